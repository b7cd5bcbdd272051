"""Orders and refunds: what Shopify tells becomes ledger rows, once, whoever tells it and however often (DESIGN section 5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import structlog

from mina_gql.domain import credits, observing, shopify
from mina_gql.domain.errors import InvalidInput, ProviderNotConfigured
from mina_gql.domain.shopify import Given, Order, OrderBooks, Refund, RefundLine, ShopifyAdmin, ShopifyPayloadError
from mina_gql.mega import buyers
from mina_gql.mega.database import Database, Transaction
from mina_gql.mega.generations import purchases
from mina_gql.mega.generations.purchases import RememberedRefund
from mina_gql.services.config import ConfigService
from mina_gql.services.credits import CreditService, post
from mina_gql.services.shopify_orders.attribution import lock_buyer, lock_heir

MAX_DAYS = 60
"""How far back the shop shows orders to apps without a special scope."""

log = structlog.get_logger(__name__)


class Booked(NamedTuple):
    """What one delivery changed, in matcha. `clawed_back` is what was there to be taken."""

    credited: int = 0
    clawed_back: int = 0


@dataclass(slots=True)
class ReconcileReport:
    """What `reconcile` found: how many orders it read, how many of them were short of something, and what it booked."""

    orders: int = 0
    mended: int = 0
    credited: int = 0
    clawed_back: int = 0
    unreadable: int = 0


class ShopifyOrderService:
    """Books orders and refunds. `shop` is None where no Admin token is set; `ledger` wakes those who follow a balance."""

    def __init__(
        self, database: Database, config: ConfigService, shop: ShopifyAdmin | None, ledger: CreditService | None = None
    ) -> None:
        self._database = database
        self._config = config
        self._shop = shop
        self._ledger = ledger

    async def receive(self, topic: str, payload: object) -> Booked:
        """Book what a webhook tells. Raises ShopifyPayloadError, and DatabaseAway: then nothing was kept."""
        if topic == "refunds/create":
            return await self.book_refund(shopify.parse_refund(payload))
        try:
            return await self.book_order(shopify.parse_order(payload, topic))
        except InvalidInput as error:  # more than a Pass can hold: sending it again would not help
            raise ShopifyPayloadError(error.message) from error

    async def book_order(self, order: Order) -> Booked:
        """Credit what a paid order gives and was not given yet, and take back what was refunded or cancelled."""
        if order.test:
            log.info("shopify: test order, nothing booked", order=order.id)
            return Booked()
        runtime = await self._config.runtime()
        skus: dict[str, Any] = runtime.values["shopify.sku_map"]
        async with self._database.begin() as session:
            books = await _open_books(session, order.id)
            credits_now = order.paid and not await purchases.booked_elsewhere(session, order.id)
            credited = await _credit(session, order, books, skus, runtime.days_valid) if credits_now else 0
            refunds = order.all_refunds() if any(line.matcha(skus) for line in order.lines) else ()
            if credited:
                kept = await purchases.remembered_refunds(session, order.id)
                refunds = (*refunds, *(_recalled(order.id, each) for each in kept))
            clawed_back = await _take_back(session, books, refunds, skus)
        if order.paid:
            _alert_of_worthless(order, skus)
        return await self._told(books, Booked(credited, clawed_back))

    async def book_refund(self, refund: Refund) -> Booked:
        """Take back what a refund names, or remember it where its payment has not come yet."""
        if not refund.lines:
            log.warning("shopify: refund of an amount without lines, nothing taken back", order=refund.order_id, refund=refund.id)
            return Booked()
        runtime = await self._config.runtime()
        async with self._database.begin() as session:
            books = await _open_books(session, refund.order_id)
            clawed_back = await _take_back(session, books, [refund], runtime.values["shopify.sku_map"])
        return await self._told(books, Booked(0, clawed_back))

    async def reconcile(self, days: int) -> ReconcileReport:
        """Read the shop's orders of the last days and book what was missed. Twice changes nothing.

        Raises InvalidInput, ProviderNotConfigured and ShopAway.
        """
        if not 1 <= days <= MAX_DAYS:
            raise InvalidInput(f"Days are a whole number from 1 to {MAX_DAYS}.", ["days"])
        if self._shop is None:
            raise ProviderNotConfigured("MINA_SHOPIFY_SHOP and MINA_SHOPIFY_ADMIN_TOKEN are needed to read the shop's orders.")
        report = ReconcileReport()
        async for payload in self._shop.orders_since(datetime.now(UTC) - timedelta(days=days)):
            report.orders += 1
            try:
                booked = await self.book_order(shopify.parse_order(payload))
            except ShopifyPayloadError as error:
                report.unreadable += 1
                log.warning("shopify: unreadable order", order=str(payload.get("id"))[:40], reason=str(error))
                continue
            report.mended += booked != Booked()
            report.credited += booked.credited
            report.clawed_back += booked.clawed_back
        return report

    async def _told(self, books: OrderBooks, booked: Booked) -> Booked:
        """What was booked, after waking those who follow the balance that it changed."""
        observing.count(observing.MATCHA, booked.credited, what="sold")
        observing.count(observing.MATCHA, booked.clawed_back, what="taken_back")
        if booked != Booked() and self._ledger is not None and books.pass_id is not None:
            await self._ledger.changed(books.pass_id)
        return booked


async def _open_books(session: Transaction, order_id: str) -> OrderBooks:
    """What the ledger says of an order, with nobody else at it until the transaction ends."""
    await purchases.lock_order(session, order_id)
    books = OrderBooks()
    for entry in await purchases.of_order(session, order_id):
        if entry.kind == "shopify_order":
            books.pass_id = books.pass_id or entry.pass_id
            books.lines[entry.line_id] = Given(entry.matcha, entry.quantity or 1)
        else:
            books.lines[entry.line_id].asked_back += entry.matcha
            books.applied.add((entry.source_id, entry.line_id))
    return books


async def _credit(session: Transaction, order: Order, books: OrderBooks, skus: dict[str, Any], days: int) -> int:
    """Book every line that gives matcha and has not yet; gives how much."""
    fresh = [(line, line.matcha(skus)) for line in order.lines if line.id not in books.lines and line.matcha(skus)]
    if not fresh:
        return 0
    locked = await lock_buyer(session, order, books.pass_id)
    for line, matcha in fresh:
        entry = credits.purchase(order.id, line.id, matcha, sku=line.sku or "", quantity=line.quantity)
        locked = await post(session, locked, entry)
        books.lines[line.id] = Given(matcha, line.quantity)
    books.pass_id = locked.id
    await buyers.note_purchase(session, locked.id, order.paid_at, days)
    if order.customer_id is not None:
        await buyers.owe_tag(session, locked.id, order.customer_id)
    return sum(matcha for _, matcha in fresh)


async def _take_back(session: Transaction, books: OrderBooks, refunds: Iterable[Refund], skus: dict[str, Any]) -> int:
    """Book refunds line by line, in all never more than the line gave; gives what there was to take."""
    taken = 0
    for refund in refunds:
        if _comes_before_its_payment(refund, books, skus):
            packs = None if refund.lines is None else {line.line_id: line.quantity for line in refund.lines}
            await purchases.remember_refund(session, refund.order_id, RememberedRefund(refund.id, packs))
        for line in [RefundLine(id_, 0) for id_ in books.lines] if refund.lines is None else refund.lines:
            asked = books.ask_back(refund.id, line.line_id, None if refund.lines is None else line.quantity)
            if asked:
                taken += await _claw_back(session, books, refund, line.line_id, asked)
    return taken


async def _claw_back(session: Transaction, books: OrderBooks, refund: Refund, line_id: str, asked: int) -> int:
    """One ledger row, of 0 too: a refund of spent matcha is on record with what is missing."""
    locked = await lock_heir(session, books.pass_id) if books.pass_id else None
    if locked is None:
        log.warning("shopify: nobody to take a refund from", order=refund.order_id, refund=refund.id)
        return 0
    entry = credits.clawback(refund.id, refund.order_id, line_id, asked, locked.balance)
    if entry.meta["shortfall"]:
        log.warning("shopify: refund of spent matcha", order=refund.order_id, refund=refund.id, missing=entry.meta["shortfall"])
    await post(session, locked, entry)
    books.pass_id = locked.id  # who holds by now what the order gave
    return -entry.delta


def _comes_before_its_payment(refund: Refund, books: OrderBooks, skus: dict[str, Any]) -> bool:
    """Whether some of what goes back has not been given; a line whose SKU gives nothing never will be."""
    if refund.lines is None:
        return not books.lines
    worth = [line for line in refund.lines if line.sku is None or shopify.matcha_of(line.sku, skus)]
    return any(line.line_id not in books.lines for line in worth)


def _recalled(order_id: str, kept: RememberedRefund) -> Refund:
    """A remembered refund, as if it came now."""
    lines = None if kept.packs is None else tuple(RefundLine(id_, packs) for id_, packs in kept.packs.items())
    return Refund(kept.refund_id, order_id, lines)


def _alert_of_worthless(order: Order, skus: dict[str, Any]) -> None:
    """Money came and gave no matcha: somebody should look. SKUs are not logged, they are text from outside."""
    worthless = [line.id for line in order.lines if not line.matcha(skus)]
    if worthless:
        log.warning("shopify: paid lines that give no matcha", order=order.id, lines=worthless)
