"""The shop itself: its API as a port, links to its cart, and the reference that stands in one for a Pass."""

import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

from mina_gql.domain.errors import MinaError

DEPOSIT_ATTRIBUTE = "mina_ref"
BUYER_TAG = "Mina-users"


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


def deposit_ref(pass_id: str, secret: bytes) -> str:
    """The keyed hash of a Pass that stands in a cart: who has it can deposit, and nothing else."""
    return hmac.new(secret, b"deposit\n" + pass_id.encode(), hashlib.sha256).hexdigest()[:32]


def fingerprint(reference: str) -> str:
    """What is kept of a deposit reference, to find its Pass by."""
    return hashlib.sha256(reference.encode()).hexdigest()


def cart_url(shop: str, variant_id: str, quantity: int, reference: str) -> str:
    """A link that puts packs into the shop's cart (https://shopify.dev/docs/apps/build/checkout/create-cart-permalinks)."""
    return f"https://{shop}/cart/{variant_id}:{quantity}?{urlencode({f'attributes[{DEPOSIT_ATTRIBUTE}]': reference})}"
