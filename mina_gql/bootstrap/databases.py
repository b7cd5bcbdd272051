"""The database: the one of the settings or our own, migrated, and checked before it is used."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from mina_gql.adapters import embedded_postgres
from mina_gql.adapters.embedded_postgres import EmbeddedPostgresError
from mina_gql.mega import migrations
from mina_gql.mega.database import Database
from mina_gql.mega.migrations import MigrationReport
from mina_gql.services.config import ConfigService
from mina_gql.settings import BadSetting, Settings

EMBEDDED_DEFAULTS: Mapping[str, Any] = {"credits.free_grant": 10, "credits.grant_every_pass": True}
"""What the embedded default sets beside the built-in knobs: ten matcha for every new Pass, to look around with."""


class NotMigrated(Exception):
    """The database is not at the version this code needs; the message says what to run."""


class DatabaseUnreachable(Exception):
    """There is no way to the database of MINA_DATABASE_URL."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(
            f"MINA_DATABASE_URL: the database cannot be reached ({type(cause).__name__}). Does it run, at this address?"
        )


CANNOT_START = (BadSetting, NotMigrated, DatabaseUnreachable, EmbeddedPostgresError)
"""What stops a start and is no fault of ours: told as a sentence, without a traceback."""


@asynccontextmanager
async def database_of(settings: Settings, *, own: bool) -> AsyncIterator[str]:
    """The DSN: from the settings, or of the embedded PostgreSQL, which runs for as long as the block when it is our `own`.

    Without `own` it must be running already (`mina work` beside `mina serve`).
    Raises BadSetting, DatabaseUnreachable and EmbeddedPostgresError.
    """
    if settings.database_url is not None:
        given = settings.database_url.get_secret_value()
        await _check_reachable(given)
        yield given
    elif own:
        server = await embedded_postgres.start(settings.home)
        try:
            yield server.dsn
        finally:
            await server.stop()
    else:
        dsn = embedded_postgres.dsn_of_running(settings.home)
        if dsn is None:
            raise BadSetting(
                f"MINA_DATABASE_URL: not set, and no embedded database runs in {settings.home}: start `mina serve` first"
            )
        yield dsn


async def migrate(settings: Settings, dsn: str) -> tuple[MigrationReport, list[str]]:
    """Bring the database up to date and seed the configuration; gives the report and the ids of the seeded rows."""
    report = await migrations.migrate(dsn)
    async with opened(Database(dsn, readers=2, writers=1)) as database:
        return report, await ConfigService(database, defaults(settings)).seed()


def defaults(settings: Settings) -> Mapping[str, Any]:
    return EMBEDDED_DEFAULTS if settings.embedded else {}


@asynccontextmanager
async def opened(database: Database) -> AsyncIterator[Database]:
    try:
        yield await database.open()
    finally:
        await database.close()


async def check_migrated(dsn: str) -> None:
    found, head = await migrations.revision(dsn), migrations.head()
    if found != head:
        raise NotMigrated(f"The database is at version {found or 'none'} and this Mina needs {head}. Run `mina migrate` first.")


async def _check_reachable(dsn: str) -> None:
    try:
        await migrations.revision(dsn)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnreachable(error) from error
