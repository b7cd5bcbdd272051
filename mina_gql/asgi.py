"""The app: `uvicorn mina_gql.asgi:app`, or `mina serve`, which says more while it starts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mina_gql import bootstrap, scraping
from mina_gql.adapters import observability
from mina_gql.adapters.jobs import COMPANY_SECONDS
from mina_gql.adapters.storage_disk import DiskStore
from mina_gql.api import admin_sessions, downloads, health, ide, replicate_webhook, uploads, webhooks
from mina_gql.api.access import Watched
from mina_gql.api.errors import unmatched
from mina_gql.api.graphql import schema
from mina_gql.api.graphql.context import ContextFactory
from mina_gql.api.graphql.engine import Engine
from mina_gql.api.graphql.http import GraphQLHTTP
from mina_gql.api.graphql.websocket import GraphQLWebSocket
from mina_gql.api.origin import OriginGuard, normal_origin
from mina_gql.api.replicate_webhook import ReplicateReceiver
from mina_gql.api.rest import Rest
from mina_gql.api.webhooks import ShopifyReceiver
from mina_gql.bootstrap import Mina
from mina_gql.logs import configure
from mina_gql.settings import Settings, load

Ready = Callable[[Mina], None]


class Application:
    """An ASGI app that opens the database when it starts, and closes it, after handing back its work, when it ends."""

    def __init__(self, settings: Settings | None = None, *, worker: bool = True, ready: Ready | None = None) -> None:
        self._settings = settings
        self._worker = worker
        self._ready = ready
        self._http: GraphQLHTTP | None = None
        self._websocket: GraphQLWebSocket | None = None
        self._rest: Rest | None = None
        self._fault: Exception | None = None
        self._app: ASGIApp = Starlette(lifespan=self._lifespan, exception_handlers={404: unmatched, 405: unmatched})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, self._explaining(send) if scope["type"] == "lifespan" else send)

    async def drain(self) -> None:
        """End open streams and sockets; their clients connect again and resume by `afterSeq`."""
        if self._rest is not None:
            self._rest.drain()
        if self._http is not None and self._websocket is not None:
            await asyncio.gather(self._http.drain(), self._websocket.drain())

    def _explaining(self, send: Send) -> Send:
        """What stops a start, as a sentence: Starlette would tell the server a traceback."""

        async def explained(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self._fault is not None:
                message = {**message, "message": str(self._fault)}
            await send(message)

        return explained

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                settings = self._settings or load()
                configure(settings)
                await stack.enter_async_context(observability.watching())
                mina = await _opened(settings, stack)
            except bootstrap.CANNOT_START as error:
                self._fault = error
                raise
            if self._worker:
                await stack.enter_async_context(mina.worker.running())
            else:  # whoever waits here is kept company even where no worker is up
                stack.push_async_callback(_stopped, asyncio.create_task(_again_and_again(mina.company)))
            app.router.routes[:] = self._routes(mina)
            free = scraping.unguarded(settings)
            self._app = Watched(OriginGuard(app, settings.base_url, settings.allowed_origins, unguarded=free))
            if self._ready is not None:
                self._ready(mina)
            yield

    def _routes(self, mina: Mina) -> list[BaseRoute]:
        make_context = ContextFactory(mina.services, mina.authenticator)
        engine = Engine(schema.build(), sees_schema=None if mina.settings.embedded else make_context.sees_schema)
        self._http = GraphQLHTTP(engine, make_context)
        self._websocket = GraphQLWebSocket(engine, make_context, make_context.authorise)
        self._rest = Rest(mina.services, mina.authenticator)
        worker = mina.worker if self._worker else None
        return [
            *_ide(mina),
            Route("/graphql", self._http),
            WebSocketRoute("/graphql", self._websocket),
            *health.routes(mina.database.check, (lambda: worker.connected) if worker else None),
            *uploads.routes(mina.store),
            *(uploads.asset_routes(mina.store) if isinstance(mina.store, DiskStore) else downloads.routes(mina.store)),
            *webhooks.routes(_shopify(mina)),
            *replicate_webhook.routes(_replicate(mina)),
            *self._rest.routes(),
            *scraping.routes(mina),
        ]


async def _again_and_again(chore: Callable[[], Awaitable[None]]) -> None:
    while True:
        await chore()
        await asyncio.sleep(COMPANY_SECONDS)


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _opened(settings: Settings, stack: AsyncExitStack) -> Mina:
    """Everything wired up, on a database that is migrated where it is our own. Raises `bootstrap.CANNOT_START`."""
    dsn = await stack.enter_async_context(bootstrap.database_of(settings, own=True))
    if settings.embedded:
        await bootstrap.migrate(settings, dsn)
    return await stack.enter_async_context(bootstrap.assembled(settings, dsn))


def _ide(mina: Mina) -> list[BaseRoute]:
    """GraphiQL, for admins who have signed in; in the embedded default for everybody, and the root leads there.

    It may send pictures to the object store, where there is one.
    """
    settings, cookie = mina.settings, mina.admin_cookie
    store = normal_origin(settings.r2_endpoint_url)
    return [
        *([Route("/", RedirectResponse("/graphql"))] if settings.embedded else []),
        *ide.ide(upload_origins=[store] if store else [], is_open=settings.embedded, admin_of=cookie.visitor),
        *admin_sessions.routes(cookie, settings.trusted_proxies, embedded=settings.embedded),
    ]


def _shopify(mina: Mina) -> ShopifyReceiver:
    secrets = tuple(secret.get_secret_value() for secret in mina.settings.shopify_webhook_secrets)
    return ShopifyReceiver(mina.orders, mina.settings.shopify_shop, secrets)


def _replicate(mina: Mina) -> ReplicateReceiver:
    secret = mina.settings.replicate_webhook_secret
    return ReplicateReceiver(mina.bus, secret.get_secret_value() if secret else None)


app = Application()
