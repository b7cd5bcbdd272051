"""Closing the books of a backfill: a Pass, its legacy ledger and its balance in one transaction.

So at every instant the balance is the sum of the ledger (DESIGN section 5), and a run that was killed left no Pass half done.
"""

from collections.abc import Sequence
from typing import NamedTuple

from mina_gql.domain.backfill import Row
from mina_gql.mega.backfill.target import CUSTOMERS, LEDGER, BackfillStopped, Refused, Target, columns_of, filled_in, rows_as_json

_TABLES = "create temp table entries (like public.mega_generations); alter table entries add primary key (mg_id)"
_LEDGER = columns_of(LEDGER)
_PEOPLE = columns_of(CUSTOMERS)
_STAGE = f"""
    insert into entries ({_LEDGER}) select {filled_in(LEDGER)}
    from jsonb_populate_recordset(null::public.mega_generations, $1::text::jsonb)
    on conflict do nothing
"""  # noqa: S608 -- the columns of our own table
# `owed` is what legacy customers had, null where none is known; matcha without an end lives to infinity.
_PLAN = """
    create temp table books as
    select row_number() over (order by pass_id) as n, pass_id, sum(owed) as owed, sum(moved)::bigint as moved,
      max(until) filter (where owed > 0) as until
    from (
      select into_pass as pass_id, case when balance is not null then greatest(balance, 0) end as owed, 0::bigint as moved,
        coalesce(mg_expires_at, 'infinity') as until
      from people where fresh
      union all
      select mg_pass_id, null, sum(mg_delta)::bigint, null from entries group by mg_pass_id
    ) parts group by pass_id;
    create unique index on books (n);
    create index on people (into_pass) where fresh;
    create index on entries (mg_pass_id);
    analyze books; analyze people; analyze entries; analyze owners;
"""
# What stands for a Pass before, and what is to stand after: what it had and is owed, or what it had and what moved since.
_CLOSING = """
    select b.pass_id, b.moved, before, owed, until, least(greatest(
      case when owed is null then before + moved else before + owed end, 0), 1000000000)::bigint as target
    from books b left join public.mega_customers c on c.mg_pass_id = b.pass_id,
      lateral (select case when c.mg_expires_at <= now() then 0 else coalesce(c.mg_credits, 0) end as before) was
    where b.n > $1 and b.n <= $2
"""
_ADJUSTMENTS = f"select pass_id, (target - before - moved)::int as delta from ({_CLOSING}) k where target <> before + moved"  # noqa: S608
_LOCK = """
    select c.mg_pass_id, c.mg_meta ?| array['merged_into', 'erased'] as gone
    from public.mega_customers c join books b on b.pass_id = c.mg_pass_id where b.n > $1 and b.n <= $2
    order by c.mg_pass_id for no key update of c
"""
_WRITE_OFF = """
    with due as (
      select mg_pass_id, mg_credits from public.mega_customers join books on pass_id = mg_pass_id
      where n > $1 and n <= $2 and mg_credits > 0 and mg_expires_at <= now()
    ), written_off as (
      insert into public.mega_generations
        (mg_id, mg_record_type, mg_pass_id, mg_delta, mg_reason, mg_source, mg_ref_type, mg_ref_id, mg_source_system)
      select 'credit_transaction:expiry:' || id, 'credit_transaction', mg_pass_id, -mg_credits, 'expiry', 'mina', 'expiry', id,
        'api'
      from (select *, gen_random_uuid()::text as id from due) d
    )
    update public.mega_customers c set mg_credits = 0 from due where c.mg_pass_id = due.mg_pass_id
"""
_WRITE_PEOPLE = f"""
    insert into public.mega_customers ({_PEOPLE}) select {_PEOPLE} from people p join books b on b.pass_id = p.into_pass
    where p.fresh and b.n > $1 and b.n <= $2 returning 1
"""  # noqa: S608 -- the columns of our own table
_WRITE_ENTRIES = f"""
    insert into public.mega_generations ({_LEDGER}) select {_LEDGER} from entries e join books b on b.pass_id = e.mg_pass_id
    where b.n > $1 and b.n <= $2 returning 1
"""  # noqa: S608 -- the columns of our own table
_SETTLE = f"""
    update public.mega_customers c set mg_credits = k.target, mg_expires_at = case
        when coalesce(k.owed, 0) = 0 then c.mg_expires_at
        when c.mg_credits > 0 and c.mg_expires_at is null then null
        else nullif(greatest(c.mg_expires_at, k.until), 'infinity') end
    from ({_CLOSING}) k where c.mg_pass_id = k.pass_id and (c.mg_credits <> k.target or k.owed > 0)
"""  # noqa: S608 -- the statement above


class Closing(NamedTuple):
    """What closing one Pass's books took beside its own rows: an adjustment of `delta` matcha."""

    pass_id: str
    delta: int


class Books:
    """The ledgers that a backfill brings. `stage`, then `plan`, then `close` from one number to another."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection = target.connection

    async def open(self) -> None:
        """Make the temporary table."""
        await self._connection.execute(_TABLES)

    async def stage(self, rows: Sequence[Row]) -> list[Refused]:
        """Take in ledger rows that do not stand in MEGA; gives those the database cannot keep."""

        async def write(some: Sequence[Row]) -> None:
            await self._connection.execute(_STAGE, rows_as_json(some))

        return await self._target.write_all(rows, write)

    async def plan(self) -> int:
        """How many Passes have books to close."""
        await self._connection.execute(_PLAN)
        return int(await self._connection.fetchval("select count(*) from books"))

    async def adjustments(self, after: int, upto: int) -> list[Closing]:
        """The adjustments that closing these books takes."""
        return [Closing(*row) for row in await self._connection.fetch(_ADJUSTMENTS, after, upto)]

    async def write(self, after: int, upto: int) -> list[Closing]:
        """Write Passes and ledgers, all but the closing itself; within a transaction. Gives the adjustments that are to follow.

        Raises BackfillStopped where somebody signed in, merged or left in between.
        """
        await self._connection.execute(_WRITE_PEOPLE, after, upto)
        locked = await self._connection.fetch(_LOCK, after, upto)
        if len(locked) != await self._connection.fetchval(
            "select count(*) from books where n > $1 and n <= $2", after, upto
        ) or any(row["gone"] for row in locked):
            raise BackfillStopped(
                "Somebody signed in or left while their rows were on the way. Run `mina backfill` again: it goes on."
            )
        await self._connection.execute(_WRITE_OFF, after, upto)
        await self._connection.execute(_WRITE_ENTRIES, after, upto)
        return await self.adjustments(after, upto)

    async def closed(self) -> None:
        """Note that every Pass staged so far stands in MEGA."""
        await self._connection.execute("update people set fresh = false where fresh; analyze people")

    async def settle(self, after: int, upto: int) -> None:
        """Set the balances, once the adjustments are written; in the same transaction."""
        await self._connection.execute(_SETTLE, after, upto)
