"""The gate before every vendor call: a slot among those that all workers share, and a breaker for a vendor that keeps failing."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum

import structlog

from mina_gql.domain import observing
from mina_gql.mega import vendors
from mina_gql.mega.database import Database, DatabaseAway
from mina_gql.mega.vendors import Outcome, VendorSlots

log = structlog.get_logger(__name__)

FAILURES = 5
"""So many steps in a row that failed by the vendor's fault open the breaker."""
OPEN_SECONDS = 30.0
"""After the last failure. Then one call at a time tries, until one succeeds."""
REREAD_SECONDS = 1.0
POLL_SECONDS = 0.25


class Breaker(StrEnum):
    """A vendor works, keeps failing and is left alone, or is tried by one call at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class VendorGate:
    """Lets calls through, vendor by vendor. What it knows of failures is read from the steps, so all workers know the same."""

    def __init__(self, database: Database, slots: VendorSlots, *, open_seconds: float = OPEN_SECONDS) -> None:
        self._database = database
        self._slots = slots
        self._open_seconds = open_seconds
        self._known: dict[str, tuple[float, Sequence[Outcome]]] = {}

    async def state(self, vendor: str) -> Breaker:
        """How a vendor's breaker stands."""
        failing = await self._failing_for(vendor)
        if failing is None:
            return Breaker.CLOSED
        return Breaker.OPEN if failing < self._open_seconds else Breaker.HALF_OPEN

    async def is_open(self, vendor: str) -> bool:
        """Whether a vendor keeps failing and is to be left alone now."""
        return await self.state(vendor) is Breaker.OPEN

    @asynccontextmanager
    async def turn(self, vendor: str, slots: int) -> AsyncIterator[None]:
        """Wait for the breaker and for a slot, and hold it for as long as the block runs."""
        with observing.waited(vendor):
            slot = await self._slot(vendor, slots)
        try:
            with observing.held(observing.SLOTS, vendor=vendor):
                yield
        finally:
            self._known.pop(vendor, None)
            try:
                await asyncio.shield(self._slots.give_back(vendor, slot))
            except DatabaseAway as error:
                log.warning("a slot's connection was lost", vendor=vendor, error=error)

    async def _slot(self, vendor: str, slots: int) -> int:
        while True:
            failing = await self._failing_for(vendor)
            if failing is not None and failing < self._open_seconds:
                await asyncio.sleep(min(POLL_SECONDS * 4, self._open_seconds - failing))
                continue
            slot = await self._slots.take(vendor, slots if failing is None else 1)
            if slot is not None:
                return slot
            await asyncio.sleep(POLL_SECONDS)

    async def _failing_for(self, vendor: str) -> float | None:
        """Seconds since the last failure of a vendor whose last steps all failed; None for one that works."""
        now = time.monotonic()
        read_at, outcomes = self._known.get(vendor, (float("-inf"), ()))
        if now - read_at >= REREAD_SECONDS:
            rows = await self._database.fetch(vendors.RECENT, provider=vendor, steps=FAILURES)
            read_at, outcomes = now, [Outcome(*row) for row in rows]
            self._known[vendor] = (read_at, outcomes)
        if len(outcomes) < FAILURES or not all(outcome.failed for outcome in outcomes):
            return None
        return outcomes[0].seconds_ago + (now - read_at)
