"""The way into PostgreSQL: `begin()` for a write transaction, `fetch()` for a read. Two different types on purpose.

Reads run statements that SQLAlchemy compiled once, on asyncpg itself: no transaction around a single SELECT, JSON columns
passed through undecoded (`orjson.Fragment`), times as PostgreSQL's own text (`Timestamp`): DESIGN section 12.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NamedTuple, NewType, Self, cast

import asyncpg
import orjson
from sqlalchemy import ColumnElement, Executable, inspect, literal_column
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapper
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.compiler import SQLCompiler

from mina_gql.mega.models import AdminRow, LedgerRow

Timestamp = NewType("Timestamp", str)
"""PostgreSQL's text of a UTC timestamptz, with microseconds: `2026-11-21 09:10:40.123456+00`."""

Transaction = AsyncSession
"""A write transaction, from `Database.begin`. Services pass it on to `mega` and do nothing else with it."""

_SESSION = {"timezone": "UTC", "application_name": "mina"}
CHECK_SECONDS = 2.0
MORE_WRITERS = 5
"""Connections that the engine may open beside those of its pool, for a moment."""
_DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects have no types


class DatabaseAway(Exception):
    """The database cannot be reached, or dropped the connection: nothing was committed."""


_UNREACHABLE = (
    OSError,
    PoolTimeout,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # terminated, shutting down, starting up
    asyncpg.InsufficientResourcesError,  # too many connections, disk or memory full
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was lost in the middle of something
)


class Connections(NamedTuple):
    """Connections of a pool: those in use, or how many it may have."""

    pool: str
    state: str
    number: int


class Query:
    """A read, compiled once at import. Parameters are the statement's `bindparam`s, by name."""

    __slots__ = ("defaults", "names", "text")

    def __init__(self, statement: Executable) -> None:
        compiled = cast("SQLCompiler", statement.compile(dialect=_DIALECT))  # type: ignore[attr-defined]  # every Executable here compiles
        self.text = str(compiled)
        self.names = tuple(compiled.positiontup or ())
        self.defaults = dict(compiled.params)

    def arguments(self, given: dict[str, Any]) -> list[Any]:
        """The values in the order of `$1, $2, …`. Raises KeyError for a parameter nobody knows."""
        if unknown := given.keys() - self.defaults.keys():
            raise KeyError(f"no such parameter: {', '.join(sorted(unknown))}")
        return [_findable(given[name]) if name in given else self.defaults[name] for name in self.names]


def _findable(value: Any) -> Any:
    """A parameter as PostgreSQL takes it: its text has no NUL, so no row is named by one; U+FFFD is in no name either."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    return [_findable(each) for each in value] if isinstance(value, list) else value


def recorded_as(row: type[LedgerRow | AdminRow]) -> ColumnElement[bool]:
    """The condition that a row is of this mapped class, as a literal: it must match partial indexes, and compile once.

    Reads select from the base class and say this, where SQLAlchemy's own criterion would be a list to expand at each run.
    """
    mapper: Mapper[Any] = inspect(row)
    column, name = mapper.polymorphic_on, mapper.polymorphic_identity
    return cast("ColumnElement[bool]", column == literal_column(f"'{name}'"))


class Database:
    """A pool of connections for reads, an engine for writes. `dsn` is a plain `postgresql://` URL."""

    def __init__(self, dsn: str, *, readers: int = 10, writers: int = 10) -> None:
        self.dsn = dsn
        self._readers = readers
        self._engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,  # asyncpg reads the DSN itself, so it may say all that libpq's may
            pool_size=writers,
            max_overflow=MORE_WRITERS,
            pool_timeout=10,
            pool_pre_ping=True,
            hide_parameters=True,  # an error's text ends in a log, where no Pass ID, e-mail or brief may stand
            json_serializer=lambda value: orjson.dumps(value).decode(),
            json_deserializer=orjson.loads,
        )
        self._begin = async_sessionmaker(self._engine, expire_on_commit=False)
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> Self:
        """Connect. Raises OSError or asyncpg.PostgresError when the database cannot be reached."""
        self._pool = await asyncpg.create_pool(
            self.dsn,
            min_size=1,
            max_size=self._readers,
            init=_read_raw,
            reset=_nothing_to_reset,
            server_settings=_SESSION,
            max_inactive_connection_lifetime=60,
        )
        return self

    async def close(self) -> None:
        """Give every connection back."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None
        await self._engine.dispose()

    async def _connect(self, *_: object, **__: object) -> asyncpg.Connection:
        return await asyncpg.connect(self.dsn, server_settings=_SESSION)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """One write transaction: commits at the end of the block, rolls back when it raises. Raises DatabaseAway."""
        with _away():
            async with self._begin.begin() as session:
                yield session

    async def fetch(self, query: Query, **parameters: Any) -> list[asyncpg.Record]:
        """All rows of a read. Raises DatabaseAway."""
        with _away():
            return cast("list[asyncpg.Record]", await self.pool.fetch(query.text, *query.arguments(parameters)))

    async def fetch_one(self, query: Query, **parameters: Any) -> asyncpg.Record | None:
        """The first row of a read, or None. Raises DatabaseAway."""
        with _away():
            return await self.pool.fetchrow(query.text, *query.arguments(parameters))

    async def check(self) -> bool:
        """Whether the database answers now."""
        try:
            with _away():
                return bool(await self.pool.fetchval("select true", timeout=CHECK_SECONDS))
        except (DatabaseAway, TimeoutError, asyncpg.PostgresError):  # the last: dropped, closed to us, full
            return False

    def connections(self) -> list[Connections]:
        """How many this process has, of each kind."""
        readers, writers = self.pool, cast("QueuePool", self._engine.pool)
        read, written = readers.get_size() - readers.get_idle_size(), writers.checkedout()
        return [
            Connections("readers", "in_use", read),
            Connections("readers", "limit", readers.get_max_size()),
            Connections("writers", "in_use", written),
            Connections("writers", "limit", writers.size() + MORE_WRITERS),
        ]

    @property
    def pool(self) -> asyncpg.Pool:
        """The readers. Raises RuntimeError before `open`."""
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool


class SessionConnection:
    """A transaction's own connection for adapters that bring their own SQL (`domain.ports.SqlConnection`).

    `exec_driver_sql` and not the raw driver connection: the first statement on the latter would run in autocommit
    and survive a rollback (DESIGN section 6).
    """

    def __init__(self, session: Transaction) -> None:
        self._session = session

    async def fetch(self, sql: str, *args: object) -> list[dict[str, object]]:
        connection = await self._session.connection()
        result = await connection.exec_driver_sql(sql, args)
        return [dict(row._mapping) for row in result]  # noqa: SLF001 -- a Row's documented way to its names


@contextmanager
def _away() -> Iterator[None]:
    """Tell a lost connection from every other database error."""
    try:
        yield
    except _UNREACHABLE as error:
        raise DatabaseAway(type(error).__name__) from error
    except DBAPIError as error:
        raised_by_driver = getattr(error.orig, "__cause__", None)
        if error.connection_invalidated or isinstance(error, InterfaceError) or isinstance(raised_by_driver, _UNREACHABLE):
            raise DatabaseAway(type(error).__name__) from error
        raise


async def _read_raw(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_encode, decoder=orjson.Fragment, format="text")
    await connection.set_type_codec("timestamptz", schema="pg_catalog", encoder=str, decoder=Timestamp, format="text")


def _encode(value: object) -> str:
    return orjson.dumps(value).decode()


async def _nothing_to_reset(_: asyncpg.Connection) -> None:
    """Reads leave nothing behind on their connection, so the four statements of asyncpg's reset are saved."""


def decode(fragment: orjson.Fragment | None) -> Any:
    """The value of a JSON column that was passed through."""
    # A Fragment gives its text to nobody but `dumps`.
    return None if fragment is None else orjson.loads(orjson.dumps(fragment))
