"""Who may talk to this server: the Host and Origin rules, and the CORS answers that go with them.

A page on another site must not reach a server on localhost, and DNS rebinding makes that page's name point here: so the Host
must be ours whatever the Origin says (421), and an Origin, where sent, must be allowed (403). DESIGN section 11.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mina_gql.api.errors import request_id_of

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
METHODS = "GET, POST, PUT, OPTIONS"
REQUEST_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Mina-Pass-Id, X-Request-Id, X-Session-Id"
RESPONSE_HEADERS = "Retry-After, X-Mina-Pass-Id, X-Request-Id"
DEFAULT_PORTS = {"http": 80, "https": 443}
HTTP_SCHEMES = {"ws": "http", "wss": "https"}

WRONG_HOST = (421, "MISDIRECTED_REQUEST", "This server does not answer to that Host.")
WRONG_ORIGIN = (403, "FORBIDDEN", "This Origin may not call this server.")


class OriginGuard:
    """ASGI middleware for HTTP and WebSocket. `public_url` is where clients reach us; `allowed_origins` may call too.

    Paths in `unguarded` ask for a secret that no page has, whatever the Host: who comes by an address knows no name of ours.
    """

    def __init__(
        self, app: ASGIApp, public_url: str, allowed_origins: Iterable[str] = (), *, unguarded: frozenset[str] = frozenset()
    ) -> None:
        self.app = app
        self.unguarded = unguarded
        self.public_url = public_url
        self.hosts = LOOPBACK | {host for host in [urlsplit(public_url).hostname] if host}
        self.origins = {origin for each in (public_url, *allowed_origins) if (origin := normal_origin(each))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or scope["path"] in self.unguarded:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = _host(headers)
        origin = headers.get("origin")
        if host not in self.hosts:
            await _refuse(scope, receive, send, WRONG_HOST)
        elif origin is not None and not self._allowed(scope, headers):
            await _refuse(scope, receive, send, WRONG_ORIGIN)
        elif scope["type"] == "websocket":
            await self.app(scope, receive, send)
        elif origin is not None and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(scope, origin)(scope, receive, send)
        else:
            await self.app(scope, receive, _with_cors(send, origin))

    def _allowed(self, scope: Scope, headers: Headers) -> bool:
        """Whether the one Origin is ours, or one that may call too."""
        return _origin(headers) in self.origins or is_own_page(scope, self.public_url)


def normal_origin(url: str) -> str | None:
    """`scheme://host:port` with the port always there; None for `null` and what else is no origin."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.hostname is None or port is None or parts.username is not None:
        return None
    return f"{parts.scheme}://{parts.hostname}:{port}"


def is_own_page(scope: Scope, public_url: str) -> bool:
    """Whether a page of this very server asks, by its Origin. On loopback our own name is whichever the browser used."""
    headers = Headers(scope=scope)
    origin, host = _origin(headers), _host(headers)
    if origin is None:
        return False
    scheme = HTTP_SCHEMES.get(scope["scheme"], scope["scheme"])
    return origin == normal_origin(public_url) or (host in LOOPBACK and origin == normal_origin(f"{scheme}://{headers['host']}"))


def _origin(headers: Headers) -> str | None:
    """The one Origin, or None."""
    sent = headers.getlist("origin")
    return normal_origin(sent[0]) if len(sent) == 1 else None


def _host(headers: Headers) -> str:
    """The name in the one Host header, without its port; empty where there is none to trust."""
    sent = headers.getlist("host")
    if len(sent) != 1:
        return ""
    try:
        parts = urlsplit(f"//{sent[0]}")
        _ = parts.port  # raises for what is no port
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.netloc == sent[0] and parts.username is None else ""


def _preflight(scope: Scope, origin: str) -> Response:
    headers = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": REQUEST_HEADERS,
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
        "X-Request-Id": request_id_of(scope),
    }
    return Response(status_code=204, headers=headers)


def _with_cors(send: Send, origin: str | None) -> Send:
    async def send_with_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            headers.add_vary_header("Origin")
            if origin is not None:
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = RESPONSE_HEADERS
            message = {**message, "headers": headers.raw}
        await send(message)

    return send_with_cors


async def _refuse(scope: Scope, receive: Receive, send: Send, why: tuple[int, str, str]) -> None:
    """Answer with a status, a code and a message; a socket's handshake too, where the server can, else with its own 403."""
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    status, code, message = why
    headers = {"Vary": "Origin", "X-Request-Id": request_id_of(scope)}
    response = JSONResponse({"ok": False, "error": {"code": code, "message": message}}, status, headers)
    await response(scope, receive, send)
