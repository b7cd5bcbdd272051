"""The payloads of Shopify's webhooks (https://shopify.dev/docs/api/webhooks), read; ids become the bare number they end in."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mina_gql.domain.errors import MinaError
from mina_gql.domain.shopify.orders import MAX_QUANTITY, Line, Order, Refund, RefundLine, is_whole
from mina_gql.domain.shopify.shop import DEPOSIT_ATTRIBUTE

TOPICS = frozenset({"orders/paid", "orders/create", "orders/updated", "orders/cancelled", "refunds/create"})
"""The webhook topics that are listened to."""

_NUMBER = re.compile(r"[1-9][0-9]{0,19}")
_GID = re.compile(r"gid://shopify/[A-Za-z]{1,30}/([1-9][0-9]{0,19})")
_EMAIL = re.compile(r"[^\s@\x00-\x1f]{1,64}@[^\s@\x00-\x1f]{1,255}")
_REFERENCE = re.compile(r"[0-9a-f]{32}")


class ShopifyPayloadError(MinaError):
    """A payload that is not what Shopify documents. The message names the place, never the value."""


def resource_id(value: object, where: str) -> str:
    """The number of a Shopify id: 123, "123" or "gid://shopify/Order/123". Raises ShopifyPayloadError."""
    text = str(value) if is_whole(value) else value
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
    return value if is_whole(value) and 1 <= value <= MAX_QUANTITY else 0


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
