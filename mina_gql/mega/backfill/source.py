"""Reading the legacy tables: whole rows as JSON text, through a server-side cursor, in one read-only snapshot."""

# ruff: noqa: S608 -- names of tables and columns come from the catalogue, quoted
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, Self

import asyncpg

from mina_gql.domain.backfill import NOBODY, TABLES, LegacyTable
from mina_gql.domain.backfill.values import small_name

PAGE_ROWS = 1_000
WHOLE_BYTES = 32 * 1024
"""A longer row is fetched by itself, so that a page stays small whatever is in the table."""
SESSION = {"timezone": "UTC", "application_name": "mina backfill"}
# By SET and not at the start of the session: poolers refuse names that they do not know.
PATIENCE = "set statement_timeout = 0; set idle_in_transaction_session_timeout = 0"


class LegacyAway(Exception):
    """The legacy database cannot be reached or read; the message says how, without its address."""


class FoundTable(NamedTuple):
    """A legacy table that is there: `relation` as SQL spells it, its row count, and the statement that reads it."""

    name: str
    relation: str
    rows: int
    statement: str


class LegacySource:
    """The legacy database, for as long as `opened` runs. Nothing is ever written there (FEATURES DB12)."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def opened(cls, dsn: str) -> AsyncIterator[Self]:
        """Connect, and look at one moment of the legacy tables. Raises LegacyAway."""
        try:
            connection = await asyncpg.connect(dsn, server_settings=SESSION)
            await connection.execute(PATIENCE)
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise LegacyAway(
                f"the legacy database cannot be reached ({type(error).__name__}). Does it run, at this address?"
            ) from None
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield cls(connection)
        finally:
            await connection.close()

    async def tables(self) -> dict[str, FoundTable]:
        """The legacy tables that are there, by our name for them."""
        found = {name: await self._find(name, table) for name, table in TABLES.items()}
        return {name: table for name, table in found.items() if table is not None}

    async def pages(self, table: FoundTable) -> AsyncIterator[list[tuple[str, str]]]:
        """The rows of a table, page by page: key and whole row as JSON text."""
        cursor = await self._connection.cursor(table.statement, prefetch=None)
        while page := await cursor.fetch(PAGE_ROWS):
            small: list[tuple[str, str]] = []
            for key, text, place in page:
                if text is not None:
                    small.append((key, text))
                else:
                    yield [(key, await self._whole(table, place))]
            if small:
                yield small

    async def _whole(self, table: FoundTable, place: str) -> str:
        statement = f"select row_to_json(t)::text from {table.relation} t where ctid = $1::text::tid"
        return str(await self._connection.fetchval(statement, place))

    async def _find(self, name: str, table: LegacyTable) -> FoundTable | None:
        for candidate in table.names:
            found = await self._connection.fetchrow(
                "select oid, oid::regclass::text as relation, relkind from pg_class where oid = to_regclass($1)", candidate
            )
            if found is not None and found["relkind"] in (b"r", b"p", b"v", b"m", b"f"):
                break
        else:
            return None
        columns = {small_name(each): each for each in await self._columns(found["oid"])}
        key = next((columns[each] for each in table.keys if each in columns), None)
        unique = key is not None and await self._connection.fetchval(_IS_UNIQUE, found["oid"], key)
        by_place = found["relkind"] in (b"r", b"m") and unique
        rows = await self._connection.fetchval(f"select count(*) from {found['relation']}")
        statement = _statement(found["relation"], key, unique=unique, by_place=by_place, order=_order(name, columns))
        return FoundTable(name, found["relation"], rows, statement)

    async def _columns(self, oid: int) -> list[str]:
        rows = await self._connection.fetch(
            "select attname from pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped order by attnum", oid
        )
        return [row["attname"] for row in rows]


_IS_UNIQUE = """
    select exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
      where i.indrelid = $1 and i.indisunique and i.indnkeyatts = 1 and i.indpred is null and i.indimmediate and a.attname = $2
        and a.attnotnull)
"""


def _order(name: str, columns: dict[str, str]) -> str:
    """Customers in the order of the Pass ID rule, so that of two that are one person the surer one is kept as it is."""
    if name != "customers":
        return ""
    nobody = "{" + ",".join(f'"{word}"' for word in sorted(NOBODY)) + "}"
    names_nobody = f"coalesce(lower(btrim(t.@::text)), '') = any ('{nobody}')"
    wanted = {"deleted_at": "t.@ is not null", "shopify_customer_id": names_nobody, "user_id": names_nobody, "created_at": "t.@"}
    parts = [template.replace("@", _quoted(columns[column])) for column, template in wanted.items() if column in columns]
    return f" order by {', '.join([*parts, 'key'])}"


def _statement(relation: str, key: str | None, *, unique: bool, by_place: bool, order: str) -> str:
    """Rows as (key, JSON text, place). Where no column is sure to name a row, the second of a name gets a number behind it."""
    if by_place:
        named = f"t.{_quoted(key or '')}::text"
        text = f"case when octet_length(j.row) <= {WHOLE_BYTES} then j.row end"
        source = f"from {relation} t cross join lateral (select row_to_json(t)::text as row offset 0) j"
        return f"select {named} as key, {text} as row, t.ctid::text as place {source}{order}"
    if unique:
        return f"select t.{_quoted(key or '')}::text as key, row_to_json(t)::text as row, '' as place from {relation} t{order}"
    named = f"nullif(btrim(t.{_quoted(key)}::text), '')" if key else "null::text"
    rows = f"select {named} as name, row_to_json(t)::text as row, t from {relation} t"
    keyed = f"select coalesce(name, 'row-' || md5(row)) as name, row, t from ({rows}) r"
    numbered = f"select name, row, t, row_number() over (partition by name order by row) as n from ({keyed}) k"
    outer = order.replace(" t.", " (t).").replace("(t.", "((t).")
    return f"select name || case n when 1 then '' else '.' || n end as key, row, '' as place from ({numbered}) r{outer}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
