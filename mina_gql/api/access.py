"""One span, one line in the log and the metrics of every request: what was asked for by route, never by its path."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

from mina_gql.api.errors import request_id_of
from mina_gql.api.graphql.documents import Operation
from mina_gql.domain import observing

log = structlog.get_logger(__name__)

NAME_CHARS = 80
QUIET = frozenset({"/health", "/ready", "/metrics"})
"""Routes that machines ask for every few seconds: told at the level of debug."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SCOPE_KEY = "mina.operation"


@dataclass(slots=True)
class Asked:
    """What is known of a request by its end. `operation` is query, mutation or subscription; empty outside of GraphQL."""

    method: str
    route: str = "none"
    status: str = "0"
    operation: str = ""
    name: str | None = None

    def runs(self, operation: Operation) -> None:
        """Note which operation it is."""
        self.operation = operation.kind.value
        self.name = operation.name[:NAME_CHARS] if operation.name else None


def ran(scope: Scope, operation: Operation) -> None:
    """Note on a request which operation it runs."""
    asked = scope.get(_SCOPE_KEY)
    if isinstance(asked, Asked):
        asked.runs(operation)


class Watched:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        socket = scope["type"] == "websocket"
        method = "WS" if socket else scope["method"] if scope["method"] in _METHODS else "OTHER"
        asked = scope[_SCOPE_KEY] = Asked(method)

        async def watching_send(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                asked.status = str(message["status"])
            elif message["type"] == "websocket.accept":
                asked.status = "101"
            await send(message)

        # A task may be made while another request is at hand (pipelining): nothing of that one belongs here.
        clear_contextvars()
        bind_contextvars(request_id=request_id_of(scope))  # for the server's own lines, too, after the request has broken
        what = "socket" if socket else "request"
        with observing.held(observing.OPEN, what=what), told(asked, request_id_of(scope), what):
            try:
                await self.app(scope, receive, watching_send)
            except BaseException:
                asked.status = "500" if asked.status == "0" else asked.status
                raise
            finally:
                asked.route = _route_of(scope)


@contextmanager
def told(asked: Asked, request_id: str, event: str = "request") -> Iterator[None]:
    """Tell of a request when the block ends: its span, its line, its metrics."""
    started = time.perf_counter()
    # A socket lives for hours, and is no stretch of work: its operations are.
    with observing.span(asked.method, request_id=request_id) if event == "request" else bound_contextvars(request_id=request_id):
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            _tell(asked, event, seconds)


def _tell(asked: Asked, event: str, seconds: float) -> None:
    labels = {"method": asked.method, "route": asked.route, "status": asked.status, "operation": asked.operation}
    observing.count(observing.REQUESTS, **labels)
    if asked.operation != "subscription" and event == "request":  # a stream is as long as what it tells of
        observing.observe(observing.REQUEST_SECONDS, seconds, route=asked.route, operation=asked.operation)
    fields = {name: value for name, value in {**labels, "name": asked.name}.items() if value}
    observing.turned_out(" ".join(filter(None, [asked.method, asked.route, asked.operation])), fields)
    tell = log.debug if asked.route in QUIET else log.info
    tell(event, **fields, ms=round(seconds * 1000, 1))


def _route_of(scope: Scope) -> str:
    """The pattern that was matched: a raw path may name a Pass, a token or a file."""
    return str(getattr(scope.get("route"), "path", "none"))
