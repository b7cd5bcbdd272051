"""Rates per Pass and per address, in memory, with a moving window."""

import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from mina_gql.domain.errors import Throttled


class MemoryRates:
    """`domain.ports.Rates` for one process; `on` False lets everything pass (for measuring)."""

    def __init__(self, *, on: bool = True) -> None:
        self._on = on
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def hit(self, name: str, who: str, per_minute: int) -> None:
        """Count one request of `who`. Raises Throttled when it is one too many."""
        if not self._on:
            return
        item = RateLimitItemPerMinute(per_minute, namespace="mina")
        if await self._limiter.hit(item, name, who):
            return
        window = await self._limiter.get_window_stats(item, name, who)
        retry_after_ms = max(1, int((window.reset_time - time.time()) * 1000))
        raise Throttled(f"Too many requests: at most {per_minute} a minute. Try again in a moment.", retry_after_ms)
