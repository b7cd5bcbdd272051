"""`POST /graphql`: GraphQL over HTTP to the letter (graphql.github.io/graphql-over-http/draft)."""

import time
from collections.abc import AsyncGenerator, Mapping

from graphql import ExecutionResult, GraphQLError, OperationType
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import Receive, Scope, Send

from mina_gql.api.access import ran
from mina_gql.api.errors import as_graphql, coded, graphql_error, request_id_of, retry_after_seconds, status_of
from mina_gql.api.graphql.documents import Operation, RequestRefused
from mina_gql.api.graphql.encoding import GraphQLRequest, Malformed, decode, encode, read_request, result_map
from mina_gql.api.graphql.engine import Context, ContextFactory, Engine
from mina_gql.api.graphql.media import EVENT_STREAM, GRAPHQL_JSON, JSON, accepted, is_json
from mina_gql.api.graphql.sse import EventStreams
from mina_gql.domain import observing
from mina_gql.domain.errors import MinaError, RequestError, Throttled


class Rejected(MinaError):
    """An HTTP request that is not a GraphQL request: answered with its own status, whatever the media type."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = coded(code, message)
        self.headers = headers or {}


class GraphQLHTTP:
    """The endpoint as an ASGI app. `heartbeat` is seconds (see `sse`)."""

    def __init__(self, engine: Engine, make_context: ContextFactory, *, heartbeat: float = 12.0) -> None:
        self.engine = engine
        self.make_context = make_context
        self.streams = EventStreams(heartbeat)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        exchange = Exchange(scope, receive, send, accepted(headers.get("accept")))
        try:
            await self._handle(exchange, headers)
        except ClientDisconnect:
            return
        except Rejected as error:
            await exchange.refuse(error.status, [error.error], error.headers)
        except RequestRefused as error:
            await exchange.refuse(exchange.status(status_of(error.errors[0])), error.errors)
        except RequestError as error:
            wait = {"Retry-After": str(retry_after_seconds(error))} if isinstance(error, Throttled) else {}
            await exchange.refuse(error.http_status, [as_graphql(error)], wait)
        except Exception as error:
            if exchange.started:
                raise
            await exchange.refuse(500, [as_graphql(error)])

    async def drain(self) -> None:
        """End the open streams: call it when the server is told to stop, or it waits for them."""
        await self.streams.drain()

    async def _handle(self, exchange: "Exchange", headers: Headers) -> None:
        _check_headers(exchange, headers)
        request = await self._read(exchange)
        connection = HTTPConnection(exchange.scope)
        document, operation = await self.engine.admit(request, connection, None)
        ran(exchange.scope, operation)
        media = _media(exchange, operation)
        context = await self.make_context(connection, None, exchange.request_id)
        if operation.kind is OperationType.SUBSCRIPTION:
            results = await self.engine.subscribe(document, request.variables, request.operation_name, context)
            await self._stream(exchange, context, results)
            return
        result = await self.engine.execute(document, request.variables, request.operation_name, context)
        if media == EVENT_STREAM:
            await self._stream(exchange, context, _once(result))
        else:
            body = encode(result_map(result, exchange.request_id))
            await exchange.answer(200, media, body, context.response_headers)

    async def _stream(self, exchange: "Exchange", context: Context, results: AsyncGenerator[ExecutionResult, None]) -> None:
        headers = exchange.headers(EVENT_STREAM, {**_NO_BUFFERING, **context.response_headers})
        exchange.started = True
        expires_at = getattr(context, "expires_at", None)  # a stream lives as long as the token it was asked for with
        expires_in = None if expires_at is None else max(0.0, expires_at - time.time())
        revoked = getattr(context, "revoked", None)
        with observing.held(observing.OPEN, what="stream"):
            await self.streams.serve(exchange.receive, exchange.send, headers, results, exchange.request_id, expires_in, revoked)

    async def _read(self, exchange: "Exchange") -> GraphQLRequest:
        body = await _body(exchange, self.engine.limits.body_bytes)
        try:
            return read_request(decode(body))
        except Malformed as error:
            raise Rejected(400, "BAD_USER_INPUT", str(error)) from None


class Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, media: tuple[str, ...]) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.accepted = media
        self.request_id = request_id_of(scope)
        self.started = False

    @property
    def error_media(self) -> str:
        """Errors before execution are JSON, also for a client that waits for a stream."""
        return next((media for media in self.accepted if media != EVENT_STREAM), JSON)

    def status(self, status: int) -> int:
        """A request error's status. As plain JSON it is a 200: legacy clients take all else for a proxy's answer."""
        return 200 if self.error_media == JSON and JSON in self.accepted else status

    def headers(self, media: str, more: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        """The answer's headers, as ASGI wants them."""
        named = {"Content-Type": f"{media}; charset=utf-8", "X-Request-Id": self.request_id, **more}
        return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]

    async def answer(self, status: int, media: str, body: bytes, more: Mapping[str, str]) -> None:
        """Send it all."""
        headers = self.headers(media, {"Content-Length": str(len(body)), **more})
        self.started = True
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def refuse(self, status: int, errors: list[GraphQLError], more: Mapping[str, str] | None = None) -> None:
        """Answer with `errors` and no `data`: nothing ran."""
        body = encode({"errors": [graphql_error(error, self.request_id) for error in errors]})
        await self.answer(status, self.error_media, body, more or {})


_NO_BUFFERING = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def _check_headers(exchange: Exchange, headers: Headers) -> None:
    if exchange.scope["method"] != "POST":
        raise Rejected(405, "BAD_USER_INPUT", "GraphQL is spoken by POST here.", {"Allow": "POST"})
    if not exchange.accepted:
        raise Rejected(406, "BAD_USER_INPUT", f"Answers are {GRAPHQL_JSON}, {JSON} or {EVENT_STREAM}: accept one of them.")
    if not is_json(headers.get("content-type")) or headers.get("content-encoding", "identity") != "identity":
        raise Rejected(415, "BAD_USER_INPUT", f"Send the request as {JSON} in UTF-8, not compressed.")


def _media(exchange: Exchange, operation: Operation) -> str:
    if operation.kind is not OperationType.SUBSCRIPTION:
        return exchange.accepted[0]
    if EVENT_STREAM not in exchange.accepted:
        message = f"A subscription is a stream: accept {EVENT_STREAM}, or ask over a WebSocket."
        raise RequestRefused([coded("BAD_USER_INPUT", message)])
    return EVENT_STREAM


async def _body(exchange: Exchange, limit: int) -> bytes:
    """The request's body, counted while it comes: what Content-Length says may not be so."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await exchange.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            too_large = f"The body is larger than {limit} bytes. Upload pictures apart, with `createUpload`."
            raise Rejected(413, "LIMIT_EXCEEDED", too_large, {"Connection": "close"})
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _once(result: ExecutionResult) -> AsyncGenerator[ExecutionResult, None]:
    yield result
