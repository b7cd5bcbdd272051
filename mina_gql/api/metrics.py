"""`GET /metrics`: Prometheus' text format, for those who run this server (docs/observability.md)."""

import hmac
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

METRICS_PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_CLOSED = (
    "Metrics are for the people who run this server. Set MINA_METRICS_TOKEN and send it as `Authorization: Bearer …`; "
    "without one they are open only where the server is reached on its own machine alone.\n"
)


def routes(read: Callable[[], Awaitable[bytes]], token: str | None, *, private: bool) -> list[Route]:
    """The route. A `token` is asked for, where there is one; without, only a `private` server answers."""

    async def metrics(request: Request) -> Response:
        if not _may_read(request, token, private=private):
            return PlainTextResponse(_CLOSED, 401, {"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"})
        return Response(await read(), headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})

    return [Route(METRICS_PATH, metrics, methods=["GET"])]


def _may_read(request: Request, token: str | None, *, private: bool) -> bool:
    if token is None:
        return private
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1", "replace"), token.encode())
