"""Brings a database up to date: Alembic's migrations, then the job engine's tables; or gives both as one SQL script.

A migration is a pair of files in `alembic/versions`: idempotent SQL, and a Python module that runs it.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.adapters.persistence.schema_ddl import provenance, render_converge
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.queries import Queries
from sqlalchemy import AdaptedConnection, Connection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

OPS = "ops"
"""The schema of everything that is not one of the three tables."""
_LOCK = int.from_bytes(b"mina.sql")
_ADOPTED = "adopted: "
_SHUT = f"revoke execute on all functions in schema {OPS} from public"


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What `migrate` did; `notices` lists each change to rows that were there before, a Pass named by its md5."""

    from_revision: str | None
    to_revision: str
    notices: list[str]


async def migrate(dsn: str) -> MigrationReport:
    """Bring the database at `dsn` up to date; processes that ask at once take turns.

    `dsn` is a `postgresql://…` that leads to PostgreSQL itself or to a session-mode pooler.
    Raises asyncpg.PostgresError when it cannot be done; a migration that fails leaves nothing behind.
    """
    async with _connect(dsn) as connection:
        raw = await _driver(connection)
        with _adoption_notices(raw) as notices:
            await raw.execute("select pg_advisory_lock($1)", _LOCK)  # let go when the connection closes
            await raw.execute(f"create schema if not exists {OPS}")
            before = await connection.run_sync(_revision)
            await connection.rollback()
            await connection.run_sync(_upgrade)
            after = await connection.run_sync(_revision)
            await connection.rollback()
            await _converge_jobs(raw)
    return MigrationReport(before, after or "", notices)


async def revision(dsn: str) -> str | None:
    """The version a database is at; None before the first migration."""
    async with _connect(dsn) as connection:
        return await connection.run_sync(_revision)


def head() -> str:
    """The version this code needs."""
    return list(_migrations())[-1].revision


def script() -> str:
    """The SQL of `migrate`, for `psql -f` and Supabase's editor; running it twice changes nothing."""
    migrations = list(_migrations())
    known = ", ".join(f"'{migration.revision}'" for migration in migrations)
    parts = [_HEAD.format(lock=_LOCK, ops=OPS, known=known)]
    parts += [Path(migration.path).with_suffix(".sql").read_text(encoding="utf-8") for migration in migrations]
    parts.append(_STAMP.format(ops=OPS, head=migrations[-1].revision))
    parts += [provenance(_jobs()), *render_converge(_jobs()), f"{_SHUT};", "reset client_min_messages;"]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def run_sql_beside(module: str) -> None:
    """Run the SQL file beside a migration's module, within Alembic's transaction."""
    bind = op.get_bind()
    bind.exec_driver_sql("select")  # opens the transaction, which the raw connection below does not do by itself
    sql = Path(module).with_suffix(".sql").read_text(encoding="utf-8")
    # Many statements at once: only the raw connection's simple protocol takes them.
    adapted = bind.connection.dbapi_connection
    if not isinstance(adapted, AdaptedConnection):
        raise TypeError("migrations run over asyncpg only")
    adapted.run_async(lambda connection: connection.execute(sql))


_HEAD = """
-- Mina's database: the three MEGA tables in public, the job engine's tables in {ops}. Printed by `mina migrate --sql`.
-- Creates, adopts or brings up to date; running it twice changes nothing.
begin;
set local client_min_messages = warning;

create schema if not exists {ops};

create table if not exists {ops}.alembic_version (
  version_num varchar(32) not null constraint alembic_version_pkc primary key
);

do $$
begin
  perform pg_advisory_xact_lock({lock});
  if exists (select from {ops}.alembic_version where version_num not in ({known})) then
    raise exception 'this database is newer than this script';
  end if;
end $$;
"""

_STAMP = """
insert into {ops}.alembic_version (version_num) select '{head}' where not exists (select from {ops}.alembic_version);
update {ops}.alembic_version set version_num = '{head}' where version_num <> '{head}';

commit;

-- ---------------------------------------------------------------- jobs

set client_min_messages = warning;
"""


@asynccontextmanager
async def _connect(dsn: str) -> AsyncIterator[AsyncConnection]:
    """One connection, opened by asyncpg itself, so `dsn` may say all that libpq's may (`sslmode` and so on)."""

    async def connect(*_: object, **__: object) -> asyncpg.Connection:
        return await asyncpg.connect(dsn)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    async with engine.connect() as connection:
        yield connection


async def _driver(connection: AsyncConnection) -> asyncpg.Connection:
    return (await connection.get_raw_connection()).driver_connection


@contextmanager
def _adoption_notices(raw: asyncpg.Connection) -> Iterator[list[str]]:
    """Collects what the first migration tells of rows that it adopts."""
    notices: list[str] = []

    def keep(_: object, message: asyncpg.PostgresLogMessage) -> None:
        if message.message.startswith(_ADOPTED):
            notices.append(message.message.removeprefix(_ADOPTED))

    raw.add_log_listener(keep)
    try:
        yield notices
    finally:
        raw.remove_log_listener(keep)


def _revision(connection: Connection) -> str | None:
    options = {"version_table_schema": OPS}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _converge_jobs(raw: asyncpg.Connection) -> None:
    queries = Queries(AsyncpgDriver(raw), qbe=QueryBuilderEnvironment(_jobs()))
    if (await queries.apply_upgrade()).statements:
        await raw.execute(_SHUT)


def _jobs() -> DBSettings:
    return DBSettings(db_schema=OPS)


def _config() -> Config:
    """Alembic's configuration: the directory as it lies in a wheel, or else in a checkout."""
    package = Path(__file__).parents[1]
    found = next(path for path in (package / "_alembic", package.parent / "alembic") if path.is_dir())
    config = Config()
    config.set_main_option("script_location", str(found).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _migrations() -> Iterator[Script]:
    """The migrations, first one first."""
    yield from reversed(list(ScriptDirectory.from_config(_config()).walk_revisions()))
