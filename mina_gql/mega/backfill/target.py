"""Writing MEGA in a backfill: one connection, many rows a statement; a row that the database refuses takes no others with it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple, Self

import asyncpg
import orjson

from mina_gql.domain.backfill import Row
from mina_gql.mega.backfill.source import PATIENCE, SESSION
from mina_gql.mega.models import AdminRow, Base, Customer, LedgerRow

# A session's own lock: it is let go when the connection closes, also after kill -9.
_LOCK = int.from_bytes(b"backfill")
# Tables grow from nothing while this runs: a plan made for an empty one would read all of it later on.
_FRESH_PLANS = "set plan_cache_mode = force_custom_plan"
_REFUSALS = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
_FILLED_IN = {
    "mg_created_at": "coalesce(mg_created_at, clock_timestamp())",
    "mg_updated_at": "coalesce(mg_updated_at, clock_timestamp())",
    "mg_meta": "coalesce(mg_meta, '{}')",
    "mg_mma_vars": "coalesce(mg_mma_vars, '{}')",
    "mg_mma_preferences": "coalesce(mg_mma_preferences, '{}')",
}


class BackfillStopped(Exception):
    """It cannot go on: somebody else is at the same rows, or a database is away. The message says what to do."""


@contextmanager
def stopped_in_words() -> Iterator[None]:
    """Tell what can stop a run, and is no fault of ours, as a sentence. Raises BackfillStopped."""
    try:
        yield
    except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError) as error:
        raise BackfillStopped("Mina wrote a Pass that was just on its way. Run `mina backfill` again: it goes on.") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise BackfillStopped(f"A database does not allow it: {error}. Give the role that right, then run it again.") from error
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError) as error:
        away = "A database went away, Mina's or the legacy one"
        raise BackfillStopped(f"{away} ({type(error).__name__}). Run `mina backfill` again: it goes on.") from error


class Refused(NamedTuple):
    """A row that the database did not take, and why in its own short words."""

    row: Row
    why: str


def columns_of(model: type[Base]) -> str:
    """The columns of a table that can be written, as SQL."""
    return ", ".join(column.name for column in model.__table__.columns if column.computed is None)


def filled_in(model: type[Base]) -> str:
    """The same columns, with what a row may not lack filled in."""
    return ", ".join(_FILLED_IN.get(column.name, column.name) for column in model.__table__.columns if column.computed is None)


def rows_as_json(rows: Iterable[Row]) -> str:
    """Rows as a JSON array with the columns' names in the tables."""
    return orjson.dumps([{f"mg_{name}": value for name, value in row.items()} for row in rows]).decode()


CUSTOMERS, LEDGER, ADMIN = Customer, LedgerRow, AdminRow


class Standing(NamedTuple):
    """A row that stands in MEGA: where it came from, and whose it is by now."""

    origin: str | None
    pass_id: str | None


class Target:
    """The connection that writes. Temporary tables go with it: what a run knows, the next one finds out again."""

    def __init__(self, connection: asyncpg.Connection, reader: asyncpg.Connection) -> None:
        self.connection = connection
        self._reader = reader

    @classmethod
    @asynccontextmanager
    async def opened(cls, dsn: str) -> AsyncIterator[Self]:
        """Connect, as the only backfill at work. Raises BackfillStopped."""
        async with _connected(dsn) as connection, _connected(dsn) as reader:
            if not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
                raise BackfillStopped("Another `mina backfill` is at work on this database. Wait for it, or stop it first.")
            yield cls(connection, reader)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[None]:
        """One transaction."""
        async with self.connection.transaction():
            yield

    async def present(self, model: type[LedgerRow | AdminRow], ids: Sequence[str]) -> dict[str, Standing]:
        """The rows of these ids that stand in MEGA. It has a connection of its own, so it may be asked while rows are written."""
        whose = "mg_pass_id" if model is LEDGER else "mg_actor_pass_id"
        rows = await self._reader.fetch(
            f"select mg_id, mg_source_system, {whose} from public.{model.__tablename__} where mg_id = any($1::text[])",  # noqa: S608 -- our own names
            list(ids),
        )
        return {row[0]: Standing(row[1], row[2]) for row in rows}

    async def prompts(self, ids: Sequence[str]) -> dict[str, str | None]:
        """What generations were made with, of these ids."""
        rows = await self.connection.fetch(
            "select mg_id, mg_prompt from public.mega_generations where mg_id = any($1::text[])", list(ids)
        )
        return {row[0]: row[1] for row in rows}

    async def standing_owners(self, pass_ids: Iterable[str]) -> dict[str, str | None]:
        """Lock Passes against merging and erasing until the transaction ends; where their rows belong by now, if anywhere."""
        rows = await self.connection.fetch(
            """select mg_pass_id, mg_meta ->> 'merged_into' as moved, mg_meta ? 'erased' as erased
            from public.mega_customers where mg_pass_id = any($1::text[]) order by mg_pass_id for share""",
            sorted(set(pass_ids)),
        )
        return {row[0]: None if row["erased"] else row["moved"] or row[0] for row in rows}

    async def insert(self, model: type[Base], rows: Sequence[Row]) -> list[Refused]:
        """Insert rows that are not there; within a transaction. Gives those the database refused."""
        columns, key = columns_of(model), next(iter(model.__table__.primary_key)).name
        statement = (
            f"insert into public.{model.__tablename__} ({columns}) select {filled_in(model)} "  # noqa: S608 -- our own names
            f"from jsonb_populate_recordset(null::public.{model.__tablename__}, $1::text::jsonb) on conflict ({key}) do nothing"
        )

        async def write(some: Sequence[Row]) -> None:
            await self.connection.execute(statement, rows_as_json(some))

        return await self.write_all(rows, write)

    async def write_all(self, rows: Sequence[Row], write: Callable[[Sequence[Row]], Awaitable[None]]) -> list[Refused]:
        """Write rows at once, or in halves where the database refuses one, down to that one."""
        if not rows:
            return []
        try:
            async with self.connection.transaction():
                await write(rows)
        except _REFUSALS as error:
            if len(rows) == 1:
                return [Refused(rows[0], type(error).__name__)]
            half = len(rows) // 2
            return [*await self.write_all(rows[:half], write), *await self.write_all(rows[half:], write)]
        return []


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn, server_settings=SESSION)
    try:
        await connection.execute(f"{PATIENCE}; {_FRESH_PLANS}")
        yield connection
    finally:
        await connection.close()
