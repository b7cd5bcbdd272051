"""Waiting on a request's behalf: until the thing is there, for as long as the client and the server are."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.types import Receive


class Drain:
    """Says that the server is about to end: who waits answers now, who streams stops."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """From now on nobody waits."""
        self._begun.set()

    async def begun(self) -> None:
        """Returns when the server is about to end."""
        await self._begun.wait()


class Waiting:
    """How one request waits. `receive` tells when its client has hung up; its body has been read before."""

    def __init__(self, drain: Drain, receive: Receive) -> None:
        self._drain = drain
        self._receive = receive

    async def for_(self, work: Coroutine[Any, Any, None], seconds: float | None) -> bool:
        """Whether the work ended within `seconds` (None: any time), before the client and the server. Raises what it raised."""
        working = asyncio.create_task(work)
        others = [asyncio.create_task(self._drain.begun()), asyncio.create_task(self._gone())]
        try:
            await asyncio.wait({working, *others}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            return working.done()
        finally:
            for task in (working, *others):
                task.cancel()
            await asyncio.gather(working, *others, return_exceptions=True)

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
