"""Matcha bought in the Shopify shop: orders and refunds, the link to the checkout, the buyers' tag (DESIGN section 5)."""

from mina_gql.services.shopify_orders.checkout import CheckoutService
from mina_gql.services.shopify_orders.orders import Booked, ReconcileReport, ShopifyOrderService
from mina_gql.services.shopify_orders.tags import ShopifyTagService

__all__ = ["Booked", "CheckoutService", "ReconcileReport", "ShopifyOrderService", "ShopifyTagService"]
