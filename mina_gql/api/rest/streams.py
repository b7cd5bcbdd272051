"""Server-sent events of the REST routes (html.spec.whatwg.org/multipage/server-sent-events.html).

Every send waits for the client's socket, so a slow reader slows its own source down and nothing piles up.
"""

import asyncio
import time
from contextlib import aclosing

import orjson
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mina_gql.api.rest.table import Event, Stream
from mina_gql.api.rest.waiting import Drain, Waiting
from mina_gql.domain.errors import MinaError
from mina_gql.mega.database import DatabaseAway

HEARTBEAT = b":\n\n"
HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}

log = structlog.get_logger(__name__)


class EventStream(Response):
    """An answer that sends events until they end, or the client, its token or the server does; whoever is left comes back."""

    def __init__(self, stream: Stream, drain: Drain, request_id: str, heartbeat: float) -> None:
        super().__init__(headers={**HEADERS, "X-Request-Id": request_id})
        del self.headers["content-length"]
        self._stream = stream
        self._drain = drain
        self._request_id = request_id
        self._heartbeat = heartbeat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] != "HEAD":
            until = self._stream.expires_at
            left = None if until is None else max(0.0, until - time.time())
            await Waiting(self._drain, receive).for_(self._write(send), left)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send) -> None:
        beating = asyncio.create_task(self._beat(send))
        try:
            async with aclosing(self._stream.events) as events:
                async for event in events:
                    await _frame(send, _text(event))
        except (MinaError, DatabaseAway) as error:
            # The client asks again with the last id it saw, and is told then what is wrong.
            log.warning("rest: a stream ends early", request_id=self._request_id, reason=type(error).__name__)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _beat(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            await _frame(send, HEARTBEAT)


async def _frame(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _text(event: Event) -> bytes:
    data = orjson.dumps(event.data.model_dump())  # has no line breaks
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.id, event.name.encode(), data)
