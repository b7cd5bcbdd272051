"""Metrics, wired up: the route of the API, and a listener of its own for `mina work`, which serves nothing else."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from mina_gql.adapters import observability
from mina_gql.api import metrics
from mina_gql.api.origin import OriginGuard
from mina_gql.bootstrap import Mina
from mina_gql.services.figures import FigureService
from mina_gql.settings import BadSetting, Settings


def routes(mina: Mina) -> list[Route]:
    """`GET /metrics`: of this process, and of the whole studio's queue."""
    figures, token = FigureService(mina.database), mina.settings.metrics_token

    async def read() -> bytes:
        await figures.refresh()
        return await asyncio.to_thread(observability.exposition)

    return metrics.routes(read, token.get_secret_value() if token else None, private=mina.settings.private)


def unguarded(settings: Settings) -> frozenset[str]:
    """With a token the route is for machines that come by an address, and not by a name of ours (`OriginGuard`)."""
    return frozenset({metrics.METRICS_PATH} if settings.metrics_token else ())


@asynccontextmanager
async def listening(mina: Mina) -> AsyncIterator[None]:
    """Answer `GET /metrics` on MINA_METRICS_PORT for as long as the block runs, where it is set. Raises BadSetting."""
    settings = mina.settings
    if settings.metrics_port is None:
        yield
        return
    app = OriginGuard(Starlette(routes=routes(mina)), settings.base_url, unguarded=unguarded(settings))
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, server_header=False)
    server = _Server(config)
    with _bound(settings.host, settings.metrics_port) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to the worker."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise BadSetting(
            f"MINA_METRICS_PORT: cannot listen on {host}:{port} ({error.strerror}). Each worker on a machine needs its own."
        ) from None
