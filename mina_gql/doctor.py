"""`mina doctor`: looks at settings, database, storage and models, and says what works and how to mend what does not."""

from typing import NamedTuple

import asyncpg

from mina_gql import bootstrap
from mina_gql.adapters.ai.registry import ModelShelf, ModelVendor, VendorRefused
from mina_gql.adapters.embedded_postgres import EmbeddedPostgresError
from mina_gql.domain.config import Role, role_of
from mina_gql.domain.config_seed import SEED
from mina_gql.domain.errors import ProviderNotConfigured
from mina_gql.domain.ports import StorageError
from mina_gql.mega import migrations
from mina_gql.settings import BadSetting, Settings

_KEYS = {"openai": "OPENAI_API_KEY", "replicate": "REPLICATE_API_TOKEN"}


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
    return [*findings, *await _models(settings)]


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
    if not settings.stores_in_r2 and not settings.home.exists():
        return Finding(True, "storage", f"files will be kept in {settings.home.resolve()}")
    try:
        async with bootstrap.store_of(settings, secret=b"signs nothing here") as store:
            return Finding(True, "storage", await store.check())
    except StorageError as error:
        return Finding(False, "storage", str(error))


async def _models(settings: Settings) -> list[Finding]:
    """Who fills each role of the registry as it is delivered, and whether the vendors take their keys."""
    shelf = bootstrap.shelf(settings)
    try:
        registry = SEED["mma.provider.registry"]
        roles = [_role(shelf, role_of(registry, name)) for name in ("vision", "writer", "still", "video")]
        return roles + [await _vendor(name, vendor) for name, vendor in shelf.vendors.items()]
    finally:
        await shelf.close()


def _role(shelf: ModelShelf, role: Role) -> Finding:
    take = {"vision": shelf.vision, "writer": shelf.writer}.get(role.name, shelf.media)
    try:
        return Finding(True, role.name, take(role).name)
    except ProviderNotConfigured:
        return Finding(False, role.name, f"not configured: set {_KEYS[role.vendor]}, or MINA_OFFLINE_VENDORS=true to do without")


async def _vendor(name: str, vendor: ModelVendor) -> Finding:
    try:
        return Finding(True, name, await vendor.check())
    except VendorRefused as refused:
        return Finding(False, name, str(refused))
