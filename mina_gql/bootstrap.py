"""The one place where adapters meet services: from settings to a Mina that can serve and work."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from mina_gql.adapters import embedded_postgres
from mina_gql.adapters.ai.offline import OfflineStill, OfflineVision, OfflineWriter
from mina_gql.adapters.ai.registry import ModelShelf
from mina_gql.adapters.embedded_postgres import EmbeddedPostgresError
from mina_gql.adapters.jobs import GenerationQueue, Worker
from mina_gql.adapters.pictures import PillowPictureReader
from mina_gql.adapters.progress import PostgresProgress
from mina_gql.adapters.rates import MemoryRates
from mina_gql.adapters.shopify import ShopifyApi
from mina_gql.adapters.storage_disk import DiskStore
from mina_gql.adapters.supabase_jwt import SupabaseTokens
from mina_gql.api.auth import Authenticator
from mina_gql.api.services import Services
from mina_gql.domain.ports import Models
from mina_gql.mega import migrations
from mina_gql.mega.database import Database
from mina_gql.mega.migrations import MigrationReport
from mina_gql.services.assets import AssetService
from mina_gql.services.audits import AuditService
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import CreditService
from mina_gql.services.events import EventService
from mina_gql.services.generations import GenerationService
from mina_gql.services.passes import PassService
from mina_gql.services.pipeline.endings import Endings
from mina_gql.services.pipeline.runner import Runner
from mina_gql.services.pipeline.work import Tools
from mina_gql.services.progress import ProgressService
from mina_gql.services.sessions import SessionService
from mina_gql.services.shopify_orders import CheckoutService, ShopifyOrderService, ShopifyTagService
from mina_gql.services.taste import TasteService
from mina_gql.settings import BadSetting, Settings

log = structlog.get_logger(__name__)

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


@dataclass(frozen=True, slots=True)
class Mina:
    """Everything wired up. `worker` is made here and started by whoever wants it to run."""

    settings: Settings
    dsn: str
    database: Database
    services: Services
    authenticator: Authenticator
    store: DiskStore
    models: Models
    runner: Runner
    endings: Endings
    orders: ShopifyOrderService
    worker: Worker


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
    async with _opened(Database(dsn, readers=2, writers=1)) as database:
        return report, await ConfigService(database, _defaults(settings)).seed()


@asynccontextmanager
async def assembled(settings: Settings, dsn: str, *, models: Models | None = None) -> AsyncIterator[Mina]:
    """Everything wired up on a migrated database; `models` replaces the adapters (tests bring their own). Raises NotMigrated."""
    direct = settings.database_direct_url.get_secret_value() if settings.database_direct_url else dsn
    secret = secret_key(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_opened(Database(dsn)))
        await _check_migrated(dsn)
        bus = PostgresProgress(direct)
        await bus.open()
        stack.push_async_callback(bus.close)

        store = DiskStore(settings.home / "files", settings.base_url, secret)
        models = models or shelf(settings)
        queue = GenerationQueue()
        config = ConfigService(database, _defaults(settings))
        passes = PassService(database, config, secret)
        sessions = SessionService(database)
        assets = AssetService(store, PillowPictureReader(), secret)
        ledger = CreditService(database, config, bus, secret)
        checkout = CheckoutService(database, config, settings.shopify_shop, secret)
        shop = await _shop(settings, stack)
        orders, tags = ShopifyOrderService(database, config, shop, ledger), ShopifyTagService(database, shop)
        endings = Endings(database, bus, queue, ledger)
        tools = Tools(models, assets, store, config, TasteService(database), secret)
        runner = Runner(database, tools, bus, endings)
        services = Services(
            passes=passes,
            sessions=sessions,
            credits=ledger,
            checkout=checkout,
            audits=AuditService(database),
            generations=GenerationService(database, config, passes, sessions, assets, models, queue, ledger, checkout),
            assets=assets,
            events=EventService(database),
            progress=ProgressService(database, bus),
            config=config,
            rates=MemoryRates(on=settings.rate_limits == "on"),
        )
        yield Mina(
            settings=settings,
            dsn=dsn,
            database=database,
            services=services,
            authenticator=Authenticator(passes, tokens(settings), settings.trusted_proxies),
            store=store,
            models=models,
            runner=runner,
            endings=endings,
            orders=orders,
            worker=Worker(direct, runner.run, Housekeeping(endings.reconcile, ledger.sweep, tags.tag_due, store.sweep)),
        )


class Housekeeping:
    """What a worker does every few seconds beside its jobs: each by itself, so that one that fails keeps none from its turn."""

    def __init__(self, *chores: Callable[[], Awaitable[int]]) -> None:
        self._chores = chores

    async def __call__(self) -> None:
        for chore in self._chores:
            try:
                await chore()
            except Exception as error:  # noqa: BLE001 -- it comes again in a few seconds
                log.warning("housekeeping failed, trying again", chore=chore.__qualname__, error=repr(error))


async def _shop(settings: Settings, stack: AsyncExitStack) -> ShopifyApi | None:
    """The shop's Admin API, where a token for it is set."""
    if settings.shopify_admin_token is None or not settings.shopify_shop:
        return None
    url = settings.shopify_api_url or f"https://{settings.shopify_shop}"
    api = ShopifyApi(url, settings.shopify_admin_token.get_secret_value())
    stack.push_async_callback(api.close)
    return api


def shelf(settings: Settings) -> ModelShelf:
    """The models at hand: the offline ones where they are allowed, none otherwise."""
    offline = settings.embedded if settings.offline_vendors is None else settings.offline_vendors
    if not offline:
        return ModelShelf()
    return ModelShelf(OfflineVision(), OfflineWriter(), any_still=OfflineStill())


def tokens(settings: Settings) -> SupabaseTokens:
    """Who checks sign-in tokens: the legacy secret where set, the project's keys, or the embedded default's own secret.

    Raises BadSetting.
    """
    secret = settings.supabase_jwt_secret.get_secret_value().encode() if settings.supabase_jwt_secret else None
    jwks = f"{settings.issuer}/.well-known/jwks.json" if settings.supabase_url and secret is None else None
    if settings.embedded and secret is None and jwks is None:
        secret = development_secret(settings)
    try:
        return SupabaseTokens(
            settings.issuer,
            secret=secret,
            jwks_url=jwks,
            confirms_email=settings.supabase_confirms_email,
            admin_emails=settings.admin_emails,
        )
    except ValueError as error:
        raise BadSetting(f"MINA_SUPABASE_JWT_SECRET: {error}") from None


def development_secret(settings: Settings) -> bytes:
    """What the embedded default signs and checks its own tokens with (`mina token`)."""
    return _kept_secret(settings, "jwt_secret")


def secret_key(settings: Settings) -> bytes:
    """The key of owner tags and upload tokens: from the settings, or made once and kept in the home."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    return _kept_secret(settings, "secret_key")


def _kept_secret(settings: Settings, name: str) -> bytes:
    kept = settings.home / name
    if not kept.exists():
        settings.home.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(f".{secrets.token_hex(4)}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(32))
        fresh.rename(kept)
    return kept.read_text().strip().encode()


def _defaults(settings: Settings) -> Mapping[str, Any]:
    return EMBEDDED_DEFAULTS if settings.embedded else {}


@asynccontextmanager
async def _opened(database: Database) -> AsyncIterator[Database]:
    try:
        yield await database.open()
    finally:
        await database.close()


async def _check_reachable(dsn: str) -> None:
    try:
        await migrations.revision(dsn)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnreachable(error) from error


async def _check_migrated(dsn: str) -> None:
    found, head = await migrations.revision(dsn), migrations.head()
    if found != head:
        raise NotMigrated(f"The database is at version {found or 'none'} and this Mina needs {head}. Run `mina migrate` first.")
