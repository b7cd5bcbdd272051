"""Everything wired up: adapters, services and the worker, from settings and a database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from mina_gql.adapters.jobs import GenerationQueue, Worker
from mina_gql.adapters.media import SandboxedInspector
from mina_gql.adapters.observability import WatchedModels
from mina_gql.adapters.pictures import PillowPictureReader
from mina_gql.adapters.progress import PostgresProgress
from mina_gql.adapters.rates import MemoryRates
from mina_gql.adapters.remote_fetch import GuardedFetcher
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.adapters.shopify import ShopifyApi
from mina_gql.adapters.storage_disk import DiskStore
from mina_gql.api.admin_cookie import AdminCookie
from mina_gql.api.auth import Authenticator
from mina_gql.api.services import Services
from mina_gql.bootstrap.databases import check_migrated, defaults, opened
from mina_gql.bootstrap.models import shelf
from mina_gql.bootstrap.secrets import secret_key, tokens
from mina_gql.bootstrap.stores import Store, store_of
from mina_gql.domain import observing
from mina_gql.domain.ports import Models, ProgressBus
from mina_gql.mega.database import Database
from mina_gql.mega.vendors import VendorSlots
from mina_gql.services.accounts import AccountService
from mina_gql.services.admin import AdminService
from mina_gql.services.admin_sessions import AdminSessionService
from mina_gql.services.archive import ArchiveService
from mina_gql.services.assets import AssetService
from mina_gql.services.audits import AuditService
from mina_gql.services.backfill import BackfillService
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import CreditService
from mina_gql.services.estimates import EstimateService
from mina_gql.services.events import EventService
from mina_gql.services.generations import GenerationService, OrderService, SuggestionService
from mina_gql.services.pass_acts import PassActService
from mina_gql.services.passes import PassService
from mina_gql.services.pipeline.endings import Endings
from mina_gql.services.pipeline.gate import VendorGate
from mina_gql.services.pipeline.queue import QueueCompany
from mina_gql.services.pipeline.runner import Runner
from mina_gql.services.pipeline.work import Tools
from mina_gql.services.profiles import ProfileService
from mina_gql.services.progress import ProgressService
from mina_gql.services.publishing import PublishingService
from mina_gql.services.sessions import SessionService
from mina_gql.services.shopify_orders import CheckoutService, ShopifyOrderService, ShopifyTagService
from mina_gql.services.signals import SignalService
from mina_gql.services.taste import TasteService
from mina_gql.settings import Settings

log = structlog.get_logger(__name__)

CONCURRENCY = 24
"""How many generations a worker makes at a time."""


@dataclass(frozen=True, slots=True)
class Mina:
    """Everything wired up. `worker` is made here and started by whoever wants it to run."""

    settings: Settings
    dsn: str
    database: Database
    bus: ProgressBus
    services: Services
    authenticator: Authenticator
    admin_cookie: AdminCookie
    store: Store
    models: Models
    runner: Runner
    endings: Endings
    orders: ShopifyOrderService
    worker: Worker
    company: "Housekeeping"


async def backfill(settings: Settings, dsn: str) -> BackfillService:
    """What brings legacy tables into this database. Raises NotMigrated."""
    await check_migrated(dsn)
    direct = settings.database_direct_url.get_secret_value() if settings.database_direct_url else dsn
    return BackfillService(direct, secret_key(settings))


@asynccontextmanager
async def assembled(settings: Settings, dsn: str, *, models: Models | None = None) -> AsyncIterator[Mina]:
    """Everything wired up on a migrated database; `models` replaces the adapters (tests bring their own). Raises NotMigrated."""
    direct = settings.database_direct_url.get_secret_value() if settings.database_direct_url else dsn
    secret = secret_key(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened(Database(dsn)))
        await check_migrated(dsn)
        bus = PostgresProgress(direct)
        await bus.open()
        stack.push_async_callback(bus.close)

        sandbox = Sandbox()
        stack.push_async_callback(sandbox.close)
        store = await stack.enter_async_context(store_of(settings, secret))
        at_hand = shelf(settings, bus, sandbox)
        stack.push_async_callback(at_hand.close)
        models = WatchedModels(models or at_hand)
        queue = GenerationQueue()
        config = ConfigService(database, defaults(settings))
        await stack.enter_async_context(_running(config.follow(bus)))
        passes = PassService(database, config, secret)
        sessions = SessionService(database)
        assets = AssetService(store, PillowPictureReader(sandbox), GuardedFetcher(), secret)
        ledger = CreditService(database, config, bus, secret)
        checkout = CheckoutService(database, config, settings.shopify_shop, secret)
        shop = await _shop(settings, stack)
        orders, tags = ShopifyOrderService(database, config, shop, ledger), ShopifyTagService(database, shop)
        endings = Endings(database, bus, queue, ledger, config, models)
        slots = VendorSlots(direct)
        stack.push_async_callback(slots.close)
        company = Housekeeping(QueueCompany(database, bus).talk, endings.pass_on_cancels)
        gate = VendorGate(database, slots)
        taste = TasteService(database)
        tools = Tools(models, gate, assets, SandboxedInspector(sandbox), store, config, taste, secret)
        runner = Runner(database, tools, bus, endings)
        generations = GenerationService(database, passes, endings)
        accounts = AccountService(database, endings, ledger, store, secret)
        rates, verifier = MemoryRates(on=settings.rate_limits == "on"), tokens(settings)
        admin_sessions = AdminSessionService(database, bus, verifier, config, rates)
        admin_cookie = AdminCookie(admin_sessions, settings.base_url)
        services = Services(
            passes=passes,
            profiles=ProfileService(database, config, passes),
            accounts=accounts,
            sessions=sessions,
            credits=ledger,
            checkout=checkout,
            audits=AuditService(database),
            admin_sessions=admin_sessions,
            admin=AdminService(database, config, models, gate),
            pass_acts=PassActService(database, passes, ledger, secret),
            publishing=PublishingService(database, config, bus),
            generations=generations,
            orders=OrderService(database, config, passes, sessions, assets, generations, models, queue, ledger, checkout),
            suggestions=SuggestionService(tools, generations),
            archive=ArchiveService(database, config, models, store),
            assets=assets,
            events=EventService(database),
            signals=SignalService(database, passes, sessions, generations),
            taste=taste,
            progress=ProgressService(database, bus),
            estimates=EstimateService(database, config, models, concurrency=CONCURRENCY),
            config=config,
            rates=rates,
        )
        # Of a bucket, a rule of its own removes abandoned uploads (docs/deploy.md).
        swept = [store.sweep] if isinstance(store, DiskStore) else []
        chores = [endings.reconcile, ledger.sweep, tags.tag_due, accounts.remove_due, *swept]
        yield Mina(
            settings=settings,
            dsn=dsn,
            database=database,
            bus=bus,
            services=services,
            authenticator=Authenticator(passes, verifier, settings.trusted_proxies, admin_cookie),
            admin_cookie=admin_cookie,
            store=store,
            models=models,
            runner=runner,
            endings=endings,
            orders=orders,
            worker=Worker(direct, observing.spanned_run(runner.run), Housekeeping(*chores), company, concurrency=CONCURRENCY),
            company=company,
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
                log.warning("housekeeping failed, trying again", chore=chore.__qualname__, error=error)


async def _shop(settings: Settings, stack: AsyncExitStack) -> ShopifyApi | None:
    """The shop's Admin API, where a token for it is set."""
    if settings.shopify_admin_token is None or not settings.shopify_shop:
        return None
    url = settings.shopify_api_url or f"https://{settings.shopify_shop}"
    api = ShopifyApi(url, settings.shopify_admin_token.get_secret_value())
    stack.push_async_callback(api.close)
    return api


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Something that goes on beside the rest, for as long as the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
