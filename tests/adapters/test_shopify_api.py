"""The shop's Admin API, against a local shop that is well, slow, throttling, broken or gone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from aiohttp import web

from mina_gql.adapters import shopify
from mina_gql.adapters.shopify import ShopifyApi
from mina_gql.domain.shopify import ShopAway, ShopRefused, parse_order

TAGGED = {"data": {"tagsAdd": {"userErrors": []}}}
THROTTLED = {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}
SINCE = datetime(2026, 11, 14, 4, tzinfo=timezone(timedelta(hours=4)))


class Shop:
    """Answers with what it was told to, in turn; a number is a status, None hangs up, an Event is waited for."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.paths: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.tokens.append(request.headers.get("X-Shopify-Access-Token"))
        self.paths.append(request.path)
        answer = self.answers.pop(0)
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        if answer is None or isinstance(answer, asyncio.Event):
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if isinstance(answer, int):
            return web.Response(status=answer, headers=self.headers)
        return web.json_response(answer) if not isinstance(answer, str) else web.Response(text=answer)


@pytest.fixture
async def shop(free_port: int) -> AsyncIterator[Shop]:
    shop = Shop()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", shop.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", free_port).start()
    yield shop
    await runner.cleanup()


class Pauses(list[float]):
    """The pauses that were asked for, none of them taken."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
async def api(free_port: int, pauses: Pauses) -> AsyncIterator[ShopifyApi]:
    api = ShopifyApi(f"http://127.0.0.1:{free_port}/", "shpat_secret", pause=pauses)
    yield api
    await api.close()


async def test_a_tag_is_added_beside_those_there_are(shop: Shop, api: ShopifyApi):
    shop.answers = [TAGGED]
    await api.add_tag("77", "Mina-users")
    assert shop.asked[0]["variables"] == {"id": "gid://shopify/Customer/77", "tags": ["Mina-users"]}
    assert "tagsAdd(" in shop.asked[0]["query"]
    assert shop.tokens == ["shpat_secret"]
    assert shop.paths == [f"/admin/api/{shopify.API_VERSION}/graphql.json"]


@pytest.mark.parametrize("trouble", [429, 500, 502, 503, 504, None, THROTTLED])
async def test_what_passes_is_tried_again(shop: Shop, api: ShopifyApi, pauses: Pauses, trouble: Any):
    shop.answers = [trouble, trouble, trouble, TAGGED]
    await api.add_tag("77", "Mina-users")
    assert pauses == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("trouble", [429, 500, None, THROTTLED])
async def test_what_stays_is_told_after_four_tries(shop: Shop, api: ShopifyApi, trouble: Any):
    shop.answers = [trouble] * 9
    with pytest.raises(ShopAway):
        await api.add_tag("77", "Mina-users")
    assert len(shop.asked) == 4


@pytest.mark.parametrize(("said", "waited"), [("3", 3.0), ("0.1", 0.5), ("9999", 10.0), ("soon", 0.5), ("nan", 0.5), ("-5", 0.5)])
async def test_the_shop_says_how_long_to_wait_within_reason(
    shop: Shop, api: ShopifyApi, pauses: Pauses, said: str, waited: float
):
    shop.headers = {"Retry-After": said}
    shop.answers = [429, TAGGED]
    await api.add_tag("77", "Mina-users")
    assert pauses == [waited]


@pytest.mark.parametrize(
    "answer",
    [
        401,
        403,
        404,
        302,
        "<html>",
        "[]",
        {},
        {"data": None},
        {"data": {"tagsAdd": None}},
        {"errors": "[API] Invalid API key or access token"},
        {
            "errors": [{"message": "Access denied", "extensions": {"code": "ACCESS_DENIED"}}],
            "data": {"tagsAdd": {"userErrors": []}},
        },
        {"errors": ["odd"]},
    ],
)
async def test_what_the_operator_must_mend_is_no_fault_of_the_customer(shop: Shop, api: ShopifyApi, answer: Any):
    shop.answers = [answer]
    with pytest.raises(ShopAway) as told:
        await api.add_tag("77", "Mina-users")
    assert "shpat_secret" not in str(told.value)
    assert len(shop.asked) == 1


async def test_a_customer_who_is_not_there_is_refused_at_once(shop: Shop, api: ShopifyApi):
    shop.answers = [{"data": {"tagsAdd": {"userErrors": [{"field": ["id"], "message": "Customer does not exist"}]}}}]
    with pytest.raises(ShopRefused, match="Customer does not exist"):
        await api.add_tag("77", "Mina-users")


async def test_a_shop_that_cannot_be_reached_is_away(api: ShopifyApi):
    with pytest.raises(ShopAway, match="ConnectError"):
        await api.add_tag("77", "Mina-users")


async def test_a_shop_that_is_slow_is_away(shop: Shop, free_port: int, pauses: Pauses, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shopify, "TIMEOUT_SECONDS", 0.05)
    api = ShopifyApi(f"http://127.0.0.1:{free_port}", "t", pause=pauses)
    release = asyncio.Event()
    shop.answers = [release] * 4
    with pytest.raises(ShopAway, match="ReadTimeout"):
        await api.add_tag("77", "Mina-users")
    release.set()
    await api.close()


# ---------------------------------------------------------------- orders


def node(number: int, *, more: bool = False, **changes: Any) -> dict[str, Any]:
    """A paid order of four MINA-50 as the Admin API tells it."""
    line = {"id": f"gid://shopify/LineItem/{number}1", "sku": "MINA-50", "quantity": 4}
    return {
        "id": f"gid://shopify/Order/{number}",
        "legacyResourceId": str(number),
        "createdAt": "2026-11-20T10:00:00Z",
        "processedAt": "2026-11-20T10:00:01Z",
        "updatedAt": "2026-11-20T10:00:02Z",
        "cancelledAt": None,
        "test": False,
        "displayFinancialStatus": "PAID",
        "email": "ann@example.com",
        "customer": {"legacyResourceId": "77"},
        "customAttributes": [{"key": "mina_ref", "value": "a" * 32}],
        "lineItems": {"nodes": [line], "pageInfo": {"hasNextPage": more}},
        **changes,
    }


def page(*nodes: dict[str, Any], after: str | None = None) -> dict[str, Any]:
    info = {"hasNextPage": after is not None, "endCursor": after}
    return {"data": {"orders": {"nodes": list(nodes), "pageInfo": info}}}


async def test_an_order_of_the_api_is_the_order_of_the_webhook(shop: Shop, api: ShopifyApi):
    shop.answers = [page(node(1001))]
    [order] = [parse_order(each) async for each in api.orders_since(SINCE)]
    webhook = {
        "id": 1001,
        "created_at": "2026-11-20T10:00:00Z",
        "updated_at": "2026-11-20T10:00:02Z",
        "financial_status": "paid",
        "email": "ann@example.com",
        "customer": {"id": 77},
        "note_attributes": [{"name": "mina_ref", "value": "a" * 32}],
        "line_items": [{"id": 10011, "sku": "MINA-50", "quantity": 4}],
    }
    assert order == parse_order(webhook)
    assert order.paid_at == datetime(2026, 11, 20, 10, 0, 2, tzinfo=UTC)
    assert shop.asked[0]["variables"]["search"] == "updated_at:>='2026-11-14T00:00:00Z'"


async def test_every_page_is_read(shop: Shop, api: ShopifyApi):
    shop.answers = [page(node(1), after="one"), THROTTLED, page(node(2), after="two"), page()]
    assert [each["id"] async for each in api.orders_since(SINCE)] == ["1", "2"]
    assert [asked["variables"]["after"] for asked in shop.asked] == [None, "one", "one", "two"]


@pytest.mark.parametrize(
    "changes",
    [
        {"displayFinancialStatus": "PARTIALLY_REFUNDED"},
        {"cancelledAt": "2026-11-20T11:00:00Z"},
        {"more": True},
    ],
)
async def test_an_order_that_a_page_cannot_tell_whole_is_read_alone_with_its_refunds(shop: Shop, api: ShopifyApi, changes: Any):
    refunded = {"nodes": [{"quantity": 1, "lineItem": {"id": "gid://shopify/LineItem/11", "sku": "MINA-50"}}]}
    refund = {"legacyResourceId": "9", "refundLineItems": {**refunded, "pageInfo": {"hasNextPage": False}}}
    whole = node(1, **{**changes, "more": False}, refunds=[refund])
    shop.answers = [page(node(1, **changes)), {"data": {"order": whole}}]
    [order] = [parse_order(each) async for each in api.orders_since(SINCE)]
    assert shop.asked[1]["variables"] == {"id": "gid://shopify/Order/1"}
    assert [(each.id, each.order_id, [(line.line_id, line.quantity) for line in each.lines or ()]) for each in order.refunds] == [
        ("9", "1", [("11", 1)])
    ]


async def test_a_shop_that_goes_away_between_pages_is_away(shop: Shop, api: ShopifyApi):
    shop.answers = [page(node(1), after="one"), *[503] * 4]
    read = []
    with pytest.raises(ShopAway):
        async for each in api.orders_since(SINCE):
            read.append(each["id"])  # noqa: PERF401 -- what was read before it went away counts
    assert read == ["1"]
