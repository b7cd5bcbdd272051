"""`mina doctor`: looks at settings, database, storage and models, and says what works and how to mend what does not."""

from typing import NamedTuple

import asyncpg

from mina_gql import bootstrap
from mina_gql.adapters.embedded_postgres import EmbeddedPostgresError
from mina_gql.adapters.storage_disk import DiskStore
from mina_gql.domain.ports import StorageError
from mina_gql.mega import migrations
from mina_gql.settings import BadSetting, Settings


class Finding(NamedTuple):
    """One line of the report."""

    well: bool
    subject: str
    words: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.well else 'FAIL'}  {self.subject:<9} {self.words}"


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything; changes nothing."""
    mode = f"embedded default, data in {settings.home.resolve()}" if settings.embedded else "own database (MINA_DATABASE_URL)"
    findings = [Finding(True, "settings", f"{mode}; serves at {settings.base_url}")]
    findings.append(await _database(settings))
    findings.append(await _storage(settings))
    shelf = bootstrap.shelf(settings)
    findings += [Finding("not configured" not in line, "models", line) for line in shelf.lines()]
    return findings


async def _database(settings: Settings) -> Finding:
    try:
        async with bootstrap.database_of(settings, own=False) as dsn:
            found, head = await migrations.revision(dsn), migrations.head()
    except BadSetting:
        return Finding(
            True, "database", f"PostgreSQL is not running now; `mina serve` starts its own in {settings.home.resolve()}"
        )
    except bootstrap.DatabaseUnreachable as error:
        return Finding(False, "database", str(error))
    except (OSError, asyncpg.PostgresError, EmbeddedPostgresError) as error:
        return Finding(False, "database", f"cannot be reached ({type(error).__name__})")
    if found != head:
        return Finding(False, "database", f"is at version {found or 'none'}, needs {head}: run `mina migrate`")
    return Finding(True, "database", f"reached, at version {head}")


async def _storage(settings: Settings) -> Finding:
    if not settings.home.exists():
        return Finding(True, "storage", f"files will be kept in {settings.home.resolve()}")
    store = DiskStore(settings.home / "files", settings.base_url, secret=b"signs nothing here")
    try:
        return Finding(True, "storage", await store.check())
    except StorageError as error:
        return Finding(False, "storage", str(error))
