"""`WS /graphql`: the `graphql-transport-ws` protocol by its letter (github.com/enisdenjo/graphql-ws, PROTOCOL.md).

Operations send straight to the socket and wait for it, so a slow reader slows its own sources down and nothing piles up.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from graphql import GraphQLError, OperationType
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from mina_gql.api.access import Asked, told
from mina_gql.api.errors import as_graphql, coded, graphql_error, new_request_id
from mina_gql.api.graphql.documents import RequestRefused
from mina_gql.api.graphql.encoding import GraphQLRequest, Malformed, decode, encode, read_request, result_map
from mina_gql.api.graphql.engine import ContextFactory, Engine
from mina_gql.domain.errors import MinaError, RequestError, Unauthenticated

PROTOCOL = "graphql-transport-ws"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Admission:
    """A socket that was let in. `expires_at` is the Unix time at which its token ends, None for never.

    `revoked` returns when that is to be sooner; None where it cannot be.
    """

    expires_at: float | None = None
    revoked: Callable[[], Awaitable[None]] | None = None


class Authorise(Protocol):
    """Lets a socket in, or not."""

    async def __call__(self, connection: HTTPConnection, params: Mapping[str, object]) -> Admission:
        """`params` is the payload of `connection_init`. Raises RequestError: the socket then closes with 4403."""
        ...


class Closing(MinaError):
    """Ends a socket with a close code and the reason for it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class GraphQLWebSocket:
    """The endpoint as an ASGI app. `init_timeout` is how many seconds a client may take to say `connection_init`."""

    def __init__(
        self,
        engine: Engine,
        make_context: ContextFactory,
        authorise: Authorise | None = None,
        *,
        init_timeout: float = 10.0,
    ) -> None:
        self.engine = engine
        self.make_context = make_context
        self.authorise = authorise or _let_in
        self.init_timeout = init_timeout
        self._sockets: set[Socket] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = Socket(self, scope, receive, send)
        self._sockets.add(socket)
        try:
            await socket.run()
        finally:
            self._sockets.discard(socket)

    async def drain(self) -> None:
        """Close every socket with 1012: the service restarts, and clients connect again."""
        await asyncio.gather(*(socket.close(1012, "Service restart") for socket in self._sockets))


class Socket:
    """One socket, from its handshake to its end."""

    def __init__(self, endpoint: GraphQLWebSocket, scope: Scope, receive: Receive, send: Send) -> None:
        self.endpoint = endpoint
        self.connection = HTTPConnection(scope)
        self._receive = receive
        self._send = send
        self.params: Mapping[str, object] | None = None
        self.acknowledged = False
        self.closed = False
        self.operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # those that still clean up, too

    async def run(self) -> None:
        """Speak the protocol until one side ends it."""
        await self._receive()  # websocket.connect
        offered = PROTOCOL in self.connection.scope["subprotocols"]
        await self._send({"type": "websocket.accept", "subprotocol": PROTOCOL if offered else None})
        try:
            if not offered:
                raise Closing(4406, "Subprotocol not acceptable")  # noqa: TRY301 -- one place turns codes into closes
            await self._listen()
        except Closing as closing:
            await self.close(closing.code, closing.reason)
        except Exception:
            log.exception("websocket_error")
            await self.close(4500, "Internal server error")
        finally:
            self.closed = True
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self, code: int, reason: str) -> None:
        """Close the socket, once. A peer that does not even take the close frame is left to the server's keep-alive."""
        if self.closed:
            return
        self.closed = True
        try:
            async with asyncio.timeout(5):
                await self._send({"type": "websocket.close", "code": code, "reason": _short(reason)})
        except (OSError, TimeoutError):
            log.debug("websocket_gone", code=code)

    async def send(self, message: Mapping[str, object]) -> None:
        """Send one message, as soon as the client takes it."""
        text = encode(message).decode()
        if self.closed:
            return
        try:
            await self._send({"type": "websocket.send", "text": text})
        except OSError:
            self.closed = True  # the client has gone; `_listen` hears of it too
        except RuntimeError:
            if not self.closed:
                raise  # else it was closed while this waited for room

    async def _listen(self) -> None:
        try:
            async with asyncio.timeout(self.endpoint.init_timeout) as clock:
                while (message := await self._receive())["type"] != "websocket.disconnect":
                    await self._on_message(self._read(message), clock)
        except TimeoutError:
            if not clock.expired():
                raise
            if self.acknowledged:
                raise Closing(4403, "The token has expired") from None
            raise Closing(4408, "Connection initialisation timeout") from None

    def _read(self, message: Mapping[str, Any]) -> dict[str, Any]:
        text = message.get("text")
        if text is None:
            raise Closing(4400, "Messages must be text")
        if len(text) > self.endpoint.engine.limits.body_bytes:
            raise Closing(1009, "Message too big")
        try:
            value = decode(text)
        except Malformed:
            raise Closing(4400, "Messages must be JSON") from None
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise Closing(4400, "Messages must be objects with a type")
        return value

    async def _on_message(self, message: dict[str, Any], clock: asyncio.Timeout) -> None:
        if self.closed:
            return
        match message["type"]:
            case "connection_init":
                await self._on_init(message, clock)
            case "ping":
                payload = _payload(message)
                await self.send({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
            case "pong":
                _payload(message)
            case "subscribe":
                await self._on_subscribe(message)
            case "complete":
                task = self.operations.pop(_id(message), None)
                if task is not None:
                    task.cancel()
            case unknown:
                raise Closing(4400, f"Unknown message type: {unknown}")

    async def _on_init(self, message: dict[str, Any], clock: asyncio.Timeout) -> None:
        if self.params is not None:
            raise Closing(4429, "Too many initialisation requests")
        self.params = _payload(message) or {}
        clock.reschedule(None)
        try:
            session = await self.endpoint.authorise(self.connection, self.params)
        except RequestError as error:
            raise Closing(4403, error.message) from None
        self.acknowledged = True
        await self.send({"type": "connection_ack"})
        if session.revoked is not None:
            self._start(self._end_when(session.revoked))
        if session.expires_at is not None:
            left = session.expires_at - time.time()
            clock.reschedule(asyncio.get_running_loop().time() + left)

    async def _on_subscribe(self, message: dict[str, Any]) -> None:
        if not self.acknowledged:
            raise Closing(4401, "Unauthorized")
        name = _id(message)
        try:
            request = read_request(message.get("payload"))
        except Malformed as error:
            raise Closing(4400, str(error)) from None
        if name in self.operations:
            raise Closing(4409, f"Subscriber for {name} already exists")
        limit = self.endpoint.engine.limits.subscriptions
        if len(self.operations) >= limit:
            full = coded("LIMIT_EXCEEDED", f"A socket carries {limit} operations at once: complete one first.")
            await self.send(_error(name, [full], new_request_id()))
            return
        self.operations[name] = self._start(self._operate(name, request))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Work that ends with the socket."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._tasks.discard)
        self._tasks.add(task)
        return task

    async def _end_when(self, revoked: Callable[[], Awaitable[None]]) -> None:
        await revoked()
        await self.close(4403, "The session has ended")

    async def _operate(self, name: str, request: GraphQLRequest) -> None:
        """Run one operation and send what comes of it."""
        request_id, asked = new_request_id(), Asked("WS", "/graphql", "ok")
        with told(asked, request_id):
            last = await self._last(name, request, request_id, asked)
            asked.status = "ok" if last["type"] == "complete" else "error"
        # Free the id first: the client may use it again as soon as it reads the end.
        if self.operations.get(name) is asyncio.current_task():
            del self.operations[name]
        await self.send(last)

    async def _last(self, name: str, request: GraphQLRequest, request_id: str, asked: Asked) -> Mapping[str, object]:
        """The message that ends the operation, after all others."""
        try:
            return await self._results(name, request, request_id, asked)
        except Exception as error:  # noqa: BLE001 -- told to the client, and logged in `graphql_error`
            if isinstance(error, Unauthenticated):
                await self.close(4403, error.message)  # after which nothing is sent
            return _error(name, error.errors if isinstance(error, RequestRefused) else [as_graphql(error)], request_id)

    async def _results(self, name: str, request: GraphQLRequest, request_id: str, asked: Asked) -> Mapping[str, object]:
        """Send the results; the message that ends the operation comes back."""
        engine = self.endpoint.engine
        document, operation = await engine.admit(request, self.connection, self.params)
        asked.runs(operation)
        context = await self.endpoint.make_context(self.connection, self.params, request_id)
        arguments = (document, request.variables, request.operation_name, context)
        if operation.kind is not OperationType.SUBSCRIPTION:
            result = await engine.execute(*arguments)
            await self.send({"id": name, "type": "next", "payload": result_map(result, request_id)})
            return {"id": name, "type": "complete"}
        async with aclosing(await engine.subscribe(*arguments)) as results:
            async for result in results:
                if result.errors:
                    return _error(name, result.errors, request_id)
                await self.send({"id": name, "type": "next", "payload": {"data": result.data}})
        return {"id": name, "type": "complete"}


def _error(name: str, errors: list[GraphQLError], request_id: str) -> dict[str, object]:
    return {"id": name, "type": "error", "payload": [graphql_error(error, request_id) for error in errors]}


def _id(message: Mapping[str, Any]) -> str:
    value = message.get("id")
    if not isinstance(value, str) or not value:
        raise Closing(4400, "The message needs an id")
    return value


def _payload(message: Mapping[str, Any]) -> dict[str, Any] | None:
    value = message.get("payload")
    if not isinstance(value, dict | None):
        raise Closing(4400, "The payload must be an object")
    return value


def _short(reason: str) -> str:
    """A close frame has room for 123 bytes of reason."""
    return reason.encode()[:123].decode(errors="ignore")


async def _let_in(_connection: HTTPConnection, _params: Mapping[str, object]) -> Admission:
    return Admission()
