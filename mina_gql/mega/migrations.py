"""Brings a database up to date: Alembic's migrations, then the job engine's tables; or gives both as one SQL script.

A migration is a pair of files in `alembic/versions`: idempotent SQL, and a Python module that runs it. Alembic itself is loaded
only where there is something to migrate (`alembic_upgrade`): it takes as long to import as the database takes to start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.adapters.persistence.schema_ddl import provenance, render_converge
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.queries import Queries

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
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)  # let go when the connection closes
        before = await _revision(connection)
        notices = [] if before == head() else await _upgrade(connection, dsn)
        await _converge_jobs(connection)
        return MigrationReport(before, await _revision(connection) or "", notices)
    finally:
        await connection.close()


async def revision(dsn: str) -> str | None:
    """The version a database is at; None before the first migration."""
    connection = await asyncpg.connect(dsn)
    try:
        return await _revision(connection)
    finally:
        await connection.close()


def head() -> str:
    """The version this code needs."""
    return _migrations()[-1].stem.partition("_")[0]


def script() -> str:
    """The SQL of `migrate`, for `psql -f` and Supabase's editor; running it twice changes nothing."""
    known = ", ".join(f"'{migration.stem.partition('_')[0]}'" for migration in _migrations())
    parts = [_HEAD.format(lock=_LOCK, ops=OPS, known=known)]
    parts += [migration.read_text(encoding="utf-8") for migration in _migrations()]
    parts.append(_STAMP.format(ops=OPS, head=head()))
    parts += [provenance(_jobs()), *render_converge(_jobs()), f"{_SHUT};", "reset client_min_messages;"]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def directory() -> Path:
    """Alembic's directory, as it lies in a wheel, or else in a checkout."""
    package = Path(__file__).parents[1]
    return next(path for path in (package / "_alembic", package.parent / "alembic") if path.is_dir())


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


async def _upgrade(connection: asyncpg.Connection, dsn: str) -> list[str]:
    """Run what is missing, on a connection of Alembic's own while ours holds the lock; gives the adoption notices."""
    from mina_gql.mega import alembic_upgrade  # noqa: PLC0415 -- see the top

    await connection.execute(f"create schema if not exists {OPS}")
    async with alembic_upgrade.connected(dsn) as (upgrade, raw):
        with _adoption_notices(raw) as notices:
            await upgrade()
    return notices


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


async def _revision(connection: asyncpg.Connection) -> str | None:
    if await connection.fetchval(f"select to_regclass('{OPS}.alembic_version')") is None:
        return None
    found = await connection.fetchval(f"select version_num from {OPS}.alembic_version")  # noqa: S608 -- a constant
    return None if found is None else str(found)


async def _converge_jobs(raw: asyncpg.Connection) -> None:
    queries = Queries(AsyncpgDriver(raw), qbe=QueryBuilderEnvironment(_jobs()))
    if (await queries.apply_upgrade()).statements:
        await raw.execute(_SHUT)


def _jobs() -> DBSettings:
    return DBSettings(db_schema=OPS)


def _migrations() -> list[Path]:
    """The migrations' SQL files, first one first: they are numbered."""
    return sorted((directory() / "versions").glob("[0-9]*.sql"))
