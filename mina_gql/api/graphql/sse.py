"""Streams by Server-Sent Events: graphql-sse's "distinct connections" mode, one operation a response.

Every send waits for the client's socket, so a slow reader slows its own source down and nothing piles up.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from graphql import ExecutionResult
from starlette.types import Receive, Send

from mina_gql.api.errors import as_graphql, graphql_error
from mina_gql.api.graphql.encoding import encode, result_map

HEARTBEAT = b":\n\n"
# The empty `data` matters: browsers drop an event that has none.
COMPLETE = b"event: complete\ndata:\n\n"


class EventStreams:
    """The open streams of this process. `heartbeat` is seconds between comments that keep proxies from hanging up."""

    def __init__(self, heartbeat: float = 12.0) -> None:
        self.heartbeat = heartbeat
        self._open: set[asyncio.Task[None]] = set()

    async def serve(
        self,
        receive: Receive,
        send: Send,
        headers: Sequence[tuple[bytes, bytes]],
        results: AsyncGenerator[ExecutionResult, None],
        request_id: str,
        expires_in: float | None = None,
        revoked: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Send all results, until they, the client or `expires_in` seconds are at an end, or `revoked` returns.

        `results` is closed then.
        """
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        writing = asyncio.create_task(_write(send, results, request_id))
        others = [asyncio.create_task(self._beat(send)), asyncio.create_task(_gone(receive))]
        if expires_in is not None:
            others.append(asyncio.create_task(asyncio.sleep(expires_in)))
        if revoked is not None:
            others.append(asyncio.create_task(_when(revoked)))
        self._open.add(writing)
        try:
            await asyncio.wait({writing, *others}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, *others):
                task.cancel()
            await asyncio.gather(writing, *others, return_exceptions=True)
            self._open.discard(writing)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def drain(self) -> None:
        """End every stream, without `complete`: its client connects again, elsewhere."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _beat(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self.heartbeat)
            await _frame(send, HEARTBEAT)


async def _write(send: Send, results: AsyncGenerator[ExecutionResult, None], request_id: str) -> None:
    async with aclosing(results):
        try:
            async for result in results:
                await _frame(send, _event(result_map(result, request_id)))
        except Exception as error:  # noqa: BLE001 -- told to the client, and logged in `graphql_error`
            await _frame(send, _event({"errors": [graphql_error(as_graphql(error), request_id)]}))
    await _frame(send, COMPLETE)


async def _frame(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _when(revoked: Callable[[], Awaitable[None]]) -> None:
    await revoked()


def _event(value: object) -> bytes:
    """One `next` event. A line break can only come from a fragment's own JSON, where it is white space."""
    data = encode(value).replace(b"\n", b" ").replace(b"\r", b" ")
    return b"event: next\ndata: " + data + b"\n\n"
