"""Shopify as Mina reads it (DESIGN section 5): `orders`, the webhooks' `payloads`, and the `shop` with its API."""

from mina_gql.domain.shopify.orders import (
    MAX_QUANTITY,
    Given,
    Line,
    Order,
    OrderBooks,
    Refund,
    RefundLine,
    matcha_of,
    withdrawal,
)
from mina_gql.domain.shopify.payloads import TOPICS, ShopifyPayloadError, parse_order, parse_refund, resource_id
from mina_gql.domain.shopify.shop import (
    BUYER_TAG,
    ShopAway,
    ShopifyAdmin,
    ShopRefused,
    cart_url,
    deposit_ref,
    fingerprint,
)

__all__ = [
    "BUYER_TAG",
    "MAX_QUANTITY",
    "TOPICS",
    "Given",
    "Line",
    "Order",
    "OrderBooks",
    "Refund",
    "RefundLine",
    "ShopAway",
    "ShopRefused",
    "ShopifyAdmin",
    "ShopifyPayloadError",
    "cart_url",
    "deposit_ref",
    "fingerprint",
    "matcha_of",
    "parse_order",
    "parse_refund",
    "resource_id",
    "withdrawal",
]
