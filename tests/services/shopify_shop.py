"""A shop for tests: orders and refunds as Shopify's webhooks tell them, and the services that book them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from mina_gql.domain.passes import Caller, Login
from mina_gql.services.shopify_orders import CheckoutService, ShopifyOrderService, ShopifyTagService
from tests.studio import ADDRESS, SECRET, Studio

SHOP = "mina.example"
NOW = datetime.now(UTC)
_numbers = count(5001)


def hours_ago(hours: float) -> str:
    """A time as Shopify writes it."""
    return (NOW - timedelta(hours=hours)).isoformat()


def order(sku: str = "MINA-50", quantity: Any = 4, **changes: Any) -> dict[str, Any]:
    """A paid order of one line, of nobody we know; the line's id is the order's and a 1."""
    number = changes.pop("id", None) or next(_numbers)
    return {
        "id": number,
        "created_at": hours_ago(0.1),
        "financial_status": "paid",
        "test": False,
        "line_items": [{"id": int(f"{number}1"), "sku": sku, "quantity": quantity}],
        **changes,
    }


def refund(of: dict[str, Any], quantity: int = 1, number: int | None = None, line: int = 0) -> dict[str, Any]:
    """A refund of some packs of one line."""
    bought = of["line_items"][line]
    items = [{"line_item_id": bought["id"], "quantity": quantity, "line_item": {"sku": bought["sku"]}}]
    return {"id": number or next(_numbers), "order_id": of["id"], "refund_line_items": items}


def attributes(**values: str) -> list[dict[str, str]]:
    """A cart's attributes, as an order tells them."""
    return [{"name": name, "value": value} for name, value in values.items()]


@dataclass
class FakeShop:
    """`ShopifyAdmin` in memory: `faults` are raised first, one a call."""

    tagged: list[str] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    asked_since: datetime | None = None

    async def add_tag(self, customer_id: str, tag: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.tagged.append(f"{customer_id} {tag}")

    async def orders_since(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        self.asked_since = since
        for each in self.orders:
            yield each


class Counter:
    """The shop's counter: services on a studio's database, with a fake shop behind them."""

    def __init__(self, studio: Studio) -> None:
        database, config = studio.mina.database, studio.mina.services.config
        self.studio = studio
        self.shop = FakeShop()
        self.orders = ShopifyOrderService(database, config, self.shop)
        self.tags = ShopifyTagService(database, self.shop)
        self.checkout = CheckoutService(database, config, SHOP, SECRET.encode())

    async def tell(self, payload: dict[str, Any], topic: str = "orders/paid") -> tuple[int, int]:
        """A delivery; credited and clawed back."""
        return tuple(await self.orders.receive(topic, payload))

    async def reference(self, caller: Caller) -> str:
        """The reference that a checkout of this person carries."""
        await self.studio.knobs(shopify_sku_map={"MINA-50": {"matcha": 50, "variantId": "42"}})
        return (await self.checkout.url(caller, "MINA-50", 1)).rpartition("=")[2]

    async def signed_in(self, email: str | None = None, *, verified: bool = True, presented: str | None = None) -> Caller:
        """Somebody who signs in, with their Pass."""
        login = Login(
            user_id=str(uuid4()),
            email=email,
            email_verified=verified,
            google=False,
            apple=False,
            method="email" if verified else None,
            admin=False,
            expires_at=NOW.timestamp() + 3600,
        )
        return await self.sign_in(login, presented)

    async def sign_in(self, login: Login, presented: str | None = None) -> Caller:
        """A login; the caller as the edge sees it from now on."""
        ensured = await self.studio.passes.ensure(Caller(None, ADDRESS, login=login, presented=presented))
        return Caller(ensured.owner.id, ADDRESS, login=login)

    async def balances(self) -> dict[str, int]:
        """Every Pass that has matcha."""
        return dict(await self.studio.sql.fetch("select mg_pass_id, mg_credits from mega_customers where mg_credits > 0"))

    async def row(self, pass_id: str) -> Any:
        """A customer row as it stands."""
        return await self.studio.sql.fetchrow("select * from mega_customers where mg_pass_id = $1", pass_id)
