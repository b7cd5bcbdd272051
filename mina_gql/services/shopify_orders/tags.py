"""The buyers' tag in the shop: owed in the database from the purchase on, paid by a job that may fail as often as it likes."""

import asyncio
import time
from dataclasses import dataclass

import structlog

from mina_gql.domain.shopify import BUYER_TAG, ShopAway, ShopifyAdmin, ShopRefused
from mina_gql.mega import buyers
from mina_gql.mega.database import Database

CALL_SECONDS = 5.0
ROUND_SECONDS = 5.0
"""After so long no other tag is begun: the round is part of the worker's ten seconds."""
FIRST_WAIT = 10.0
LONGEST_WAIT = 60.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Wait:
    """A tag that failed: seconds to the next try, counted from `since` on the monotonic clock."""

    seconds: float
    since: float


class ShopifyTagService:
    """Tags buyers. `shop` is None where no Admin token is set: then tags stay owed."""

    def __init__(self, database: Database, shop: ShopifyAdmin | None) -> None:
        self._database = database
        self._shop = shop
        self._waits: dict[str, _Wait] = {}

    async def tag_due(self) -> int:
        """Pay the tags that are owed, one after the other; gives how many were paid. To be called every ten seconds.

        A customer whose tag failed waits 10, 20, 40, then 60 seconds. The waits end with the process, the debts do not.
        Raises DatabaseAway.
        """
        if self._shop is None:
            return 0
        due = [(str(pass_id), str(customer)) for pass_id, customer in await self._database.fetch(buyers.TAGS_DUE)]
        self._waits = {customer: self._waits[customer] for _, customer in due if customer in self._waits}
        end, paid = time.monotonic() + ROUND_SECONDS, 0
        for pass_id, customer in due:
            if time.monotonic() >= end:
                break
            if not self._is_waiting(customer) and await self._tag(self._shop, pass_id, customer):
                paid += 1
        return paid

    async def _tag(self, shop: ShopifyAdmin, pass_id: str, customer: str) -> bool:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await shop.add_tag(customer, BUYER_TAG)
        except (ShopAway, TimeoutError) as error:
            self._wait_longer(customer)
            log.warning("shopify: tag failed, trying again", customer=customer, reason=str(error) or "it took too long")
            return False
        except ShopRefused as refusal:
            await self._settle(pass_id, customer, "refused")
            log.warning("shopify: tag refused", customer=customer, reason=str(refusal))
            return False
        await self._settle(pass_id, customer, "done")
        return True

    async def _settle(self, pass_id: str, customer: str, state: str) -> None:
        async with self._database.begin() as session:
            await buyers.settle_tag(session, pass_id, customer, state)

    def _is_waiting(self, customer: str) -> bool:
        wait = self._waits.get(customer)
        return wait is not None and time.monotonic() < wait.since + wait.seconds

    def _wait_longer(self, customer: str) -> None:
        before = self._waits.get(customer)
        seconds = FIRST_WAIT if before is None else min(2 * before.seconds, LONGEST_WAIT)
        self._waits[customer] = _Wait(seconds, time.monotonic())
