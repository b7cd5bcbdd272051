"""Whose a legacy row is: everybody a backfill met, in temporary tables, so that its own memory stays small."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from mina_gql.domain.backfill import Person, Refs, Row, nobody_known
from mina_gql.mega.backfill.target import CUSTOMERS, Refused, Target, columns_of, filled_in, rows_as_json

_TABLES = """
    create temp table people (like public.mega_customers);
    alter table people add primary key (mg_pass_id), add into_pass text not null, add balance bigint, add fresh boolean not null;
    create temp table owners (name text primary key, pass_id text, user_id text);
"""
_COLUMNS = columns_of(CUSTOMERS)
_STAGE = f"""
    insert into people ({_COLUMNS}, into_pass, balance, fresh)
    select {filled_in(CUSTOMERS)}, e ->> 'mg_into_pass', (e ->> 'mg_balance')::bigint, true
    from jsonb_array_elements($1::text::jsonb) e, jsonb_populate_record(null::public.mega_customers, e)
    on conflict do nothing
"""  # noqa: S608 -- the columns of our own table
# Who stands in MEGA already, and where a row that was merged away leads to.
_STANDING = """
    with recursive found as (
      select mg_pass_id from public.mega_customers where mg_pass_id = any($1::text[])
      union select mg_pass_id from public.mega_customers
        where mg_user_id = any($2::text[]::uuid[]) and mg_user_id is not null and mg_deleted_at is null
      union select mg_pass_id from public.mega_customers
        where mg_shopify_customer_id = any($3::text[]) and mg_shopify_customer_id is not null and mg_deleted_at is null
    ), trail as (
      select mg_pass_id as start, mg_pass_id, mg_meta ->> 'merged_into' as next, 0 as hops
      from found join public.mega_customers using (mg_pass_id)
      union all
      select t.start, c.mg_pass_id, c.mg_meta ->> 'merged_into', hops + 1
      from trail t join public.mega_customers c on c.mg_pass_id = t.next where hops < 32
    )
    select s.mg_pass_id as pass_id, s.mg_user_id::text as user_id, s.mg_shopify_customer_id as shopify_id,
      s.mg_deleted_at is null as live, s.mg_meta #>> '{legacy,key}' as key,
      case when not (s.mg_meta ? 'erased' or c.mg_meta ? 'erased') then c.mg_pass_id end as owner,
      c.mg_user_id::text as owner_user
    from trail t
    join public.mega_customers s on s.mg_pass_id = t.start
    join public.mega_customers c on c.mg_pass_id = t.mg_pass_id
    where t.next is null
"""


class Owner(NamedTuple):
    """Whose something is: a Pass that stands or is to be made, None where it was erased, and its user."""

    pass_id: str | None
    user_id: str | None


class Placed(NamedTuple):
    """Where a person went. `row` is to be written; None where they stand in MEGA already."""

    person: Person
    owner: Owner
    row: Row | None
    notes: tuple[str, ...]


class People:
    """Everybody met so far. `secret` makes anonymous ids that nobody can guess."""

    def __init__(self, target: Target, secret: bytes) -> None:
        self._target = target
        self._connection = target.connection
        self._secret = secret

    async def open(self) -> None:
        """Make the temporary tables."""
        await self._connection.execute(_TABLES)

    # ------------------------------------------------------------ meeting

    async def meet(self, persons: Sequence[Person]) -> tuple[list[Placed], list[Refused]]:
        """Find or stage the Pass of each; two that are one person share one. Gives where they went, and what cannot be kept."""
        if not persons:
            return [], []
        known = await self.known(name for person in persons for name in person.names)
        standing = await self._standing(persons)
        placed = []
        for person in persons:
            place = _place(person, known, standing)
            placed.append(place)
            known |= {name: place.owner for name in person.names if name not in known}
            if place.row is not None:
                standing.taken.add(place.row["pass_id"])
        rows = [place.row for place in placed if place.row is not None]
        refused = await self._target.write_all(rows, self._stage)
        lost = {each.row["pass_id"] for each in refused}
        kept = [place for place in placed if place.owner.pass_id not in lost]
        # The first one that has a name keeps it, here as in the table.
        await self.remember({name: place.owner for place in reversed(kept) for name in place.person.names})
        return placed, refused

    async def owners_of(self, refs: Sequence[Refs]) -> tuple[list[str | None], int]:
        """The Pass of each row by whom it names, or what it stands beside; None where that was erased. Orphans get one.

        Gives also how many rows were orphans.
        """
        named = [each.names or each.context or ["nobody"] for each in refs]
        known = await self.known({name for names in named for name in names})
        owners = [next((known[name] for name in names if name in known), None) for names in named]
        orphans = {n: nobody_known(each, self._secret) for n, each in enumerate(refs) if owners[n] is None}
        placed, _ = await self.meet(list({person.pass_id: person for person in orphans.values()}.values()))
        made = {place.person.pass_id: place.owner for place in placed}
        found = [owner or made[orphans[n].pass_id] for n, owner in enumerate(owners)]
        return [owner.pass_id for owner in found], len(orphans)

    async def known(self, names: Iterable[str]) -> dict[str, Owner]:
        """Those of these names that somebody has."""
        rows = await self._connection.fetch("select name, pass_id, user_id from owners where name = any($1::text[])", list(names))
        return {row[0]: Owner(row[1], row[2]) for row in rows}

    async def remember(self, names: dict[str, Owner]) -> None:
        """Note whose names these are; who has one keeps it."""
        values = list(names.values())
        await self._connection.execute(
            "insert into owners select * from unnest($1::text[], $2::text[], $3::text[]) on conflict do nothing",
            list(names),
            [owner.pass_id for owner in values],
            [owner.user_id for owner in values],
        )

    async def remember_rows(self, owners: dict[str, str | None]) -> None:
        """Note whose rows these are, by their ids."""
        await self.remember({id_: Owner(pass_id, None) for id_, pass_id in owners.items()})

    async def write(self, pass_ids: Iterable[str]) -> None:
        """Write the staged Passes of these ids that have no books to close; within a transaction."""
        await self._connection.execute(
            f"""with due as (update people set fresh = false where mg_pass_id = any($1::text[]) and fresh returning {_COLUMNS})
            insert into public.mega_customers ({_COLUMNS}) select {_COLUMNS} from due on conflict do nothing""",  # noqa: S608 -- our own columns
            list(pass_ids),
        )

    async def _stage(self, rows: Sequence[Row]) -> None:
        await self._connection.execute(_STAGE, rows_as_json(rows))

    async def _standing(self, persons: Sequence[Person]) -> "_Standing":
        ids = [id_ for person in persons for id_ in person.ids]
        users = [person.user_id for person in persons if person.user_id]
        shopify = [person.shopify_id for person in persons if person.shopify_id]
        rows = await self._connection.fetch(_STANDING, ids, users, shopify)
        staged = await self._connection.fetch("select mg_pass_id from people where mg_pass_id = any($1::text[])", ids)
        return _Standing(rows, {row[0] for row in staged})


class _Standing:
    """Who stands in MEGA, of those who may be met in one batch. `taken` are the ids that no other may have."""

    def __init__(self, rows: Sequence[Any], staged: set[str]) -> None:
        self.by_id = {row["pass_id"]: row for row in rows}
        self.by_user = {row["user_id"]: row for row in rows if row["live"] and row["user_id"]}
        self.by_shopify = {row["shopify_id"]: row for row in rows if row["live"] and row["shopify_id"]}
        self.taken = staged | self.by_id.keys()

    def own(self, person: Person) -> Owner | None:
        """The Pass that an earlier run made for this very row, or that was erased."""
        for id_ in person.ids:
            row = self.by_id.get(id_)
            if row is not None and (row["key"] == _key_of(person) or row["owner"] is None):
                return Owner(row["owner"], row["owner_user"])
        return None


def _key_of(person: Person) -> str | None:
    legacy = person.values["meta"]["legacy"]
    return str(legacy["key"])


def _place(person: Person, known: dict[str, Owner], standing: _Standing) -> Placed:
    """Where a person belongs: to who they are already, by user, Shopify customer or Pass ID, or to a Pass of their own.

    Two users are two people, whatever else they share.
    """
    own = standing.own(person)
    if own is not None:
        return Placed(person, own, None, ())
    user = _owner(known, standing.by_user, "user", person.user_id)
    shopify = _owner(known, standing.by_shopify, "shopify", person.shopify_id)
    same_id = _owner(known, standing.by_id, "pass", person.pass_id)
    others = [each for each in (shopify, same_id) if each is not None and person.user_id in {None, each.user_id}]
    owner = user or next(iter(others), None)
    id_ = next(id_ for id_ in person.ids if id_ not in standing.taken)
    if owner is not None:
        if owner.pass_id is None or person.key.startswith("orphan:"):
            return Placed(person, owner, None, ())
        row = person.row(id_, merged_into=owner.pass_id, shopify_id=person.shopify_id)
        extra = {"into_pass": owner.pass_id, "balance": person.balance}
        return Placed(person, owner, {**row, **extra}, ("the same person as another row, merged into its Pass",))
    notes = ("Shopify customer of another Pass, kept apart",) if shopify is not None else ()
    row = person.row(id_, merged_into=None, shopify_id=None if shopify is not None else person.shopify_id)
    return Placed(person, Owner(id_, person.user_id), {**row, "into_pass": id_, "balance": person.balance}, notes)


def _owner(known: dict[str, Owner], standing: dict[str, Any], kind: str, value: str | None) -> Owner | None:
    if value is None:
        return None
    row = standing.get(value)
    return known.get(f"{kind}:{value}") or (None if row is None else Owner(row["owner"], row["owner_user"]))
