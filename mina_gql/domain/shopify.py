"""Shopify as Mina reads it: orders, refunds, SKUs, the deposit reference, and the port to the shop (DESIGN section 5).

Payloads are those of Shopify's webhooks (https://shopify.dev/docs/api/webhooks); every id becomes the bare number it ends in.
"""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeGuard
from urllib.parse import urlencode

from mina_gql.domain.errors import MinaError

TOPICS = frozenset({"orders/paid", "orders/create", "orders/updated", "orders/cancelled", "refunds/create"})
"""The webhook topics that are listened to."""
DEPOSIT_ATTRIBUTE = "mina_ref"
BUYER_TAG = "Mina-users"
MAX_QUANTITY = 1_000
MAX_PACK = 100_000

# A partly refunded order was paid; what was refunded comes with it.
_PAID = frozenset({"paid", "partially_refunded"})
_SKU = re.compile(r"MINA-([1-9][0-9]{0,3})")
_NUMBER = re.compile(r"[1-9][0-9]{0,19}")
_GID = re.compile(r"gid://shopify/[A-Za-z]{1,30}/([1-9][0-9]{0,19})")
_EMAIL = re.compile(r"[^\s@\x00-\x1f]{1,64}@[^\s@\x00-\x1f]{1,255}")
_REFERENCE = re.compile(r"[0-9a-f]{32}")


class ShopifyPayloadError(MinaError):
    """A payload that is not what Shopify documents. The message names the place, never the value."""


class ShopAway(MinaError):
    """The shop's API did not answer, or not with what was asked for: worth another try later."""


class ShopRefused(MinaError):
    """The shop's API refused this very request (`userErrors`): asking again will not help."""


class ShopifyAdmin(Protocol):
    """The shop's Admin API."""

    async def add_tag(self, customer_id: str, tag: str) -> None:
        """Add a tag to a customer, beside those there are. Raises ShopAway and ShopRefused."""
        ...

    def orders_since(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Every order that changed since then, in the shape of the webhooks' payload. Raises ShopAway."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order. `quantity` is 0 where it is no whole number from 1 to `MAX_QUANTITY`."""

    id: str
    sku: str | None
    quantity: int

    def matcha(self, sku_map: Mapping[str, Any]) -> int:
        """What the line gives."""
        return matcha_of(self.sku, sku_map) * self.quantity


@dataclass(frozen=True, slots=True)
class RefundLine:
    """How many packs of a line go back. `sku` is None where the payload does not say it."""

    line_id: str
    quantity: int
    sku: str | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """What goes back of an order: these lines, or with None for `lines` all that is left."""

    id: str
    order_id: str
    lines: tuple[RefundLine, ...] | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order. `paid_at` is UTC, None where the payload tells no time; `deposit_ref` is our own reference, if it is one."""

    id: str
    paid_at: datetime | None
    financial_status: str
    test: bool
    cancelled: bool
    customer_id: str | None
    email: str | None
    deposit_ref: str | None
    lines: tuple[Line, ...]
    refunds: tuple[Refund, ...]

    @property
    def paid(self) -> bool:
        """Whether its lines give matcha."""
        return self.financial_status in _PAID and not self.test and not self.cancelled

    @property
    def withdrawn(self) -> bool:
        """Whether all that is left of it goes back: it was cancelled, or refunded altogether."""
        return (self.cancelled or self.financial_status == "refunded") and not self.test

    def all_refunds(self) -> tuple[Refund, ...]:
        """What goes back, the withdrawal last."""
        return (*self.refunds, withdrawal(self.id)) if self.withdrawn else self.refunds


@dataclass(slots=True)
class Given:
    """What a line gave, in matcha for `quantity` packs, and how much of it was asked back so far."""

    matcha: int
    quantity: int
    asked_back: int = 0


@dataclass(slots=True)
class OrderBooks:
    """What the ledger says of an order: who got it, what each line gave, which refunds were applied to which line."""

    pass_id: str | None = None
    lines: dict[str, Given] = field(default_factory=dict)
    applied: set[tuple[str, str]] = field(default_factory=set)

    def ask_back(self, refund_id: str, line_id: str, quantity: int | None) -> int:
        """The matcha a refund takes of a line, noted here: in all never more than the line gave. None is all that is left."""
        given = self.lines.get(line_id)
        if given is None or (refund_id, line_id) in self.applied:
            return 0
        left = given.matcha - given.asked_back
        asked = left if quantity is None else min(left, given.matcha // given.quantity * quantity)
        given.asked_back += asked
        self.applied.add((refund_id, line_id))
        return asked


def withdrawal(order_id: str) -> Refund:
    """The cancellation of an order as a refund of all that is left."""
    return Refund(f"cancel-{order_id}", order_id, None)


def matcha_of(sku: str | None, sku_map: Mapping[str, Any]) -> int:
    """The matcha of one pack: from the map, else the number of `MINA-<n>`, else 0."""
    if sku is None:
        return 0
    pack = sku_map.get(sku)
    if pack is None:
        found = _SKU.fullmatch(sku)
        return int(found[1]) if found else 0
    matcha = pack.get("matcha") if isinstance(pack, Mapping) else None
    return matcha if _whole(matcha) and 1 <= matcha <= MAX_PACK else 0


def deposit_ref(pass_id: str, secret: bytes) -> str:
    """The keyed hash of a Pass that stands in a cart: who has it can deposit, and nothing else."""
    return hmac.new(secret, b"deposit\n" + pass_id.encode(), hashlib.sha256).hexdigest()[:32]


def fingerprint(reference: str) -> str:
    """What is kept of a deposit reference, to find its Pass by."""
    return hashlib.sha256(reference.encode()).hexdigest()


def cart_url(shop: str, variant_id: str, quantity: int, reference: str) -> str:
    """A link that puts packs into the shop's cart (https://shopify.dev/docs/apps/build/checkout/create-cart-permalinks)."""
    return f"https://{shop}/cart/{variant_id}:{quantity}?{urlencode({f'attributes[{DEPOSIT_ATTRIBUTE}]': reference})}"


def resource_id(value: object, where: str) -> str:
    """The number of a Shopify id: 123, "123" or "gid://shopify/Order/123". Raises ShopifyPayloadError."""
    text = str(value) if _whole(value) else value
    if isinstance(text, str):
        found = _GID.fullmatch(text) or _NUMBER.fullmatch(text)
        if found:
            return found[found.lastindex or 0]
    raise ShopifyPayloadError(f"{where} is no Shopify id")


def parse_order(payload: object, topic: str = "orders/updated") -> Order:
    """An order as a webhook of this topic tells it. Raises ShopifyPayloadError."""
    order = _object(payload, "order")
    id_ = resource_id(order.get("id"), "order.id")
    customer = _object(order.get("customer") or {}, "order.customer")
    lines = tuple(_line(item, f"order.line_items[{at}]") for at, item in enumerate(_list(order, "line_items", "order")))
    if len({line.id for line in lines}) != len(lines):
        raise ShopifyPayloadError("order.line_items has one id twice")
    refunds = order.get("refunds")
    return Order(
        id=id_,
        paid_at=_paid_at(order),
        financial_status=_text(order, "financial_status", "order") or "",
        test=_flag(order, "test", "order"),
        cancelled=topic == "orders/cancelled" or _text(order, "cancelled_at", "order") is not None,
        customer_id=None if customer.get("id") is None else resource_id(customer["id"], "order.customer.id"),
        email=_email(order, customer),
        deposit_ref=_deposit_ref(order),
        lines=lines,
        refunds=() if refunds is None else tuple(parse_refund(each, id_) for each in _list(order, "refunds", "order")),
    )


def parse_refund(payload: object, order_id: str | None = None) -> Refund:
    """A refund; of `order_id` where it came inside an order. Raises ShopifyPayloadError."""
    refund = _object(payload, "refund")
    packs: dict[str, RefundLine] = {}
    for at, item in enumerate(_list(refund, "refund_line_items", "refund")):
        where = f"refund.refund_line_items[{at}]"
        line = _object(item, where)
        sku = _object(line.get("line_item") or {}, f"{where}.line_item").get("sku")
        id_ = resource_id(line.get("line_item_id"), f"{where}.line_item_id")
        before = packs[id_].quantity if id_ in packs else 0
        packs[id_] = RefundLine(id_, before + _quantity(line.get("quantity")), sku if isinstance(sku, str) else None)
    return Refund(
        id=resource_id(refund.get("id"), "refund.id"),
        order_id=resource_id(order_id or refund.get("order_id"), "refund.order_id"),
        lines=tuple(packs.values()),
    )


def _line(item: object, where: str) -> Line:
    line = _object(item, where)
    sku = line.get("sku")
    return Line(
        resource_id(line.get("id"), f"{where}.id"), sku if isinstance(sku, str) else None, _quantity(line.get("quantity"))
    )


def _paid_at(order: Mapping[str, Any]) -> datetime | None:
    """When it was paid: no field says so, but the payload that first calls an order paid was made by the payment itself."""
    times = [_time(order, name) for name in ("created_at", "processed_at", "updated_at")]
    return max((time for time in times if time is not None), default=None)


def _time(order: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(order, name, "order")
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ShopifyPayloadError(f"order.{name} is no time") from None
    if time.tzinfo is None or not 2000 <= time.year <= 2200:
        raise ShopifyPayloadError(f"order.{name} is no time of our days with its zone")
    return time.astimezone(UTC)


def _email(order: Mapping[str, Any], customer: Mapping[str, Any]) -> str | None:
    text = _text(order, "email", "order") or _text(order, "contact_email", "order") or _text(customer, "email", "order.customer")
    return text.strip() if text is not None and _EMAIL.fullmatch(text.strip()) else None


def _deposit_ref(order: Mapping[str, Any]) -> str | None:
    """Our reference among the cart's attributes. Anything else there, a raw Pass ID too, counts for nothing."""
    if order.get("note_attributes") is None:
        return None
    for at, item in enumerate(_list(order, "note_attributes", "order")):
        attribute = _object(item, f"order.note_attributes[{at}]")
        value = attribute.get("value")
        if attribute.get("name") == DEPOSIT_ATTRIBUTE and isinstance(value, str) and _REFERENCE.fullmatch(value):
            return value
    return None


def _quantity(value: object) -> int:
    return value if _whole(value) and 1 <= value <= MAX_QUANTITY else 0


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ShopifyPayloadError(f"{where} is no object")
    return value


def _list(value: Mapping[str, Any], name: str, where: str) -> list[Any]:
    found = value.get(name)
    if not isinstance(found, list):
        raise ShopifyPayloadError(f"{where}.{name} is no list")
    return found


def _text(value: Mapping[str, Any], name: str, where: str) -> str | None:
    found = value.get(name)
    if found is not None and not isinstance(found, str):
        raise ShopifyPayloadError(f"{where}.{name} is no text")
    return found


def _flag(value: Mapping[str, Any], name: str, where: str) -> bool:
    found = value.get(name)
    if found is not None and not isinstance(found, bool):
        raise ShopifyPayloadError(f"{where}.{name} is neither true nor false")
    return bool(found)
