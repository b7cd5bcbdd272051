"""The webhook's route: nothing is believed before its signature, and 200 means that it was committed."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from mina_gql.api.webhooks import MAX_BODY_BYTES, SHOPIFY_PATH, ShopifyReceiver, routes
from mina_gql.domain.shopify import parse_order
from mina_gql.mega.database import Database
from mina_gql.services.shopify_orders import Booked, ShopifyOrderService
from tests.studio import seeded, studio

__all__ = ["seeded", "studio"]

SHOP = "mina.example"
NEW, OLD = "the-new-secret", "the-old-secret"
ORDER = {
    "id": 1001,
    "created_at": "2026-11-20T10:00:00Z",
    "financial_status": "paid",
    "email": "ann@example.com",
    "customer": {"id": 77},
    "line_items": [{"id": 1, "sku": "MINA-50", "quantity": 4}],
}
BODY = orjson.dumps(ORDER)


class Orders:
    """Books in memory: what it was told, in its order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    async def receive(self, topic: str, payload: object) -> Booked:
        parse_order(payload, topic)
        self.told.append((topic, payload))
        return Booked(200, 0)


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def receiver(orders: Orders) -> ShopifyReceiver:
    return ShopifyReceiver(orders, SHOP, (NEW, OLD))


def signature(body: bytes, secret: str = NEW) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


async def post(
    receiver: ShopifyReceiver, body: bytes = BODY, *, chunks: Iterable[bytes] | AsyncIterator[bytes] = (), **headers: str | None
) -> tuple[int, Any]:
    """A delivery over ASGI, signed unless told otherwise; status and JSON."""
    said = {
        "x-shopify-hmac-sha256": signature(body),
        "x-shopify-shop-domain": SHOP,
        "x-shopify-topic": "orders/paid",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    sent: list[Any] = []
    pieces = chunks if isinstance(chunks, AsyncIterator) else _each(chunks or [body])

    async def receive() -> dict[str, Any]:
        piece = await anext(pieces, b"")
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "path": SHOPIFY_PATH,
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in said.items() if value is not None],
    }
    await Starlette(routes=routes(receiver))(scope, receive, send)
    return sent[0]["status"], orjson.loads(b"".join(message.get("body", b"") for message in sent[1:]))


async def _each(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


# ---------------------------------------------------------------- who may speak


@pytest.mark.parametrize("topic", ["orders/paid", "orders/create", "orders/updated", "orders/cancelled", "refunds/create"])
async def test_a_signed_delivery_is_booked_and_answered(receiver: ShopifyReceiver, orders: Orders, topic: str):
    answer = await post(receiver, x_shopify_topic=topic)
    assert answer == (200, {"ok": True, "read": True, "credited": 200, "clawedBack": 0})
    assert orders.told == [(topic, ORDER)]


@pytest.mark.parametrize("secret", [NEW, OLD])
async def test_either_secret_signs_while_they_are_being_changed(receiver: ShopifyReceiver, secret: str):
    assert (await post(receiver, x_shopify_hmac_sha256=signature(BODY, secret)))[0] == 200


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        signature(BODY, "another-secret"),
        signature(BODY, ""),
        signature(BODY)[:-1],
        signature(BODY) + " =",
        signature(BODY).swapcase(),
        hmac.digest(NEW.encode(), BODY, hashlib.sha256).hex(),
        "\xff" * 44,
        f"{signature(BODY, 'x')},{signature(BODY)}",
    ],
)
async def test_a_wrong_or_missing_signature_is_401_and_nothing_is_read(receiver: ShopifyReceiver, orders: Orders, given: Any):
    status, answer = await post(receiver, x_shopify_hmac_sha256=given)
    assert (status, answer["error"]["code"]) == (401, "UNAUTHENTICATED")
    assert orders.told == []


@pytest.mark.parametrize("sent", [BODY.replace(b":4", b":5"), BODY + b" ", orjson.dumps(ORDER, option=orjson.OPT_INDENT_2), b""])
async def test_the_signature_is_over_the_raw_bytes(receiver: ShopifyReceiver, orders: Orders, sent: bytes):
    assert (await post(receiver, sent, x_shopify_hmac_sha256=signature(BODY)))[0] == 401
    assert orders.told == []


async def test_bytes_are_signed_as_they_come_in_whatever_pieces(receiver: ShopifyReceiver, orders: Orders):
    body = b'{ "id":1001 , "line_items":[],\n "note":"\xc3\xa9" }'
    assert (await post(receiver, body, chunks=[bytes([byte]) for byte in body]))[0] == 200
    assert orders.told[0][1] == {"id": 1001, "line_items": [], "note": "é"}


@pytest.mark.parametrize("missing", [{"secrets": ()}, {"secrets": ("",)}, {"shop": ""}])
async def test_what_is_not_set_up_is_closed_and_never_open(receiver: ShopifyReceiver, orders: Orders, missing: Any):
    closed = replace(receiver, **missing)
    for given in (signature(BODY), signature(BODY, ""), None):
        status, answer = await post(closed, x_shopify_hmac_sha256=given, x_shopify_shop_domain=closed.shop)
        assert (status, answer["error"]["code"]) == (503, "UNAVAILABLE")
    assert orders.told == []


@pytest.mark.parametrize("shop", [None, "", "evil.example", "mina.example.evil.example", "sub.mina.example"])
async def test_another_shop_is_refused(receiver: ShopifyReceiver, orders: Orders, shop: Any):
    assert (await post(receiver, x_shopify_shop_domain=shop))[0] == 403
    assert orders.told == []


async def test_a_shop_s_name_has_no_case(receiver: ShopifyReceiver):
    assert (await post(receiver, x_shopify_shop_domain="Mina.Example"))[0] == 200


@pytest.mark.parametrize("topic", [None, "", "orders/delete", "ORDERS/PAID", "customers/redact"])
async def test_another_topic_is_refused(receiver: ShopifyReceiver, orders: Orders, topic: Any):
    assert (await post(receiver, x_shopify_topic=topic))[0] == 403
    assert orders.told == []


# ---------------------------------------------------------------- how much, how long


async def test_a_body_of_one_mebibyte_is_read_and_one_byte_more_is_not(receiver: ShopifyReceiver, orders: Orders):
    whole = BODY + b" " * (MAX_BODY_BYTES - len(BODY))
    assert (await post(receiver, whole))[0] == 200
    assert (await post(receiver, whole + b" "))[0] == 413
    assert len(orders.told) == 1


@pytest.mark.parametrize("announced", [str(MAX_BODY_BYTES + 1), "9" * 5000])
async def test_a_body_that_announces_too_much_is_not_read(receiver: ShopifyReceiver, announced: str):
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    assert (await post(receiver, chunks=never(), content_length=announced))[0] == 413


async def test_a_body_without_end_is_left_after_one_mebibyte(receiver: ShopifyReceiver):
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 65536
            yield b" " * 65536

    assert (await post(receiver, chunks=endless(), content_length="10"))[0] == 413
    assert read <= MAX_BODY_BYTES + 65536


async def test_a_body_that_dribbles_is_left(receiver: ShopifyReceiver, orders: Orders):
    async def dribble() -> AsyncIterator[bytes]:
        yield BODY[:5]
        await asyncio.Event().wait()

    status, answer = await post(replace(receiver, body_seconds=0.05), chunks=dribble())
    assert (status, answer["error"]["code"]) == (408, "TIMEOUT")
    assert orders.told == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"id": NaN}', b"\xff\xfe", b"[" * 100_000, b'{"id": 1e400, "line_items": []}']
)
async def test_a_signed_body_that_can_never_be_read_is_answered_and_alerted(receiver: ShopifyReceiver, body: bytes):
    with capture_logs() as logs:
        assert await post(receiver, body) == (200, {"ok": True, "read": False})
    assert [log["event"] for log in logs] == ["shopify: unreadable webhook"]


# ---------------------------------------------------------------- with a database


@pytest.fixture
def booking(studio: Any, receiver: ShopifyReceiver) -> ShopifyReceiver:
    return replace(receiver, orders=ShopifyOrderService(studio.mina.database, studio.mina.services.config, None))


async def test_two_hundred_is_answered_only_for_what_is_committed(studio: Any, booking: ShopifyReceiver):
    assert (await post(booking))[1]["credited"] == 200
    assert await studio.sql.fetchval("select mg_credits from mega_customers where mg_pass_id = 'pass:shopify:77'") == 200
    assert (await post(booking))[1]["credited"] == 0
    await studio.check_books()


async def test_ten_deliveries_at_once_are_one_purchase(studio: Any, booking: ShopifyReceiver):
    answers = await asyncio.gather(*(post(booking, x_shopify_topic=topic) for topic in ["orders/paid", "orders/create"] * 5))
    assert sorted(answer["credited"] for _, answer in answers) == [0] * 9 + [200]
    await studio.check_books()


async def test_a_database_that_is_away_is_503_so_that_it_comes_again(studio: Any, booking: ShopifyReceiver, free_port: int):
    away = Database(f"postgresql://nobody@127.0.0.1:{free_port}/nothing")
    receiver = replace(booking, orders=ShopifyOrderService(away, studio.mina.services.config, None))
    status, answer = await post(receiver)
    assert (status, answer["error"]["code"]) == (503, "UNAVAILABLE")
    await away.close()
    assert (await post(booking))[1]["credited"] == 200


async def test_a_database_that_hangs_is_503_in_time_and_the_next_delivery_is_booked(studio: Any, booking: ShopifyReceiver):
    await post(booking, _order(1))
    async with studio.sql.transaction():
        await studio.sql.execute("select from mega_customers for update")
        assert (await post(replace(booking, answer_seconds=0.1), _order(2)))[0] == 503
    assert (await post(booking, _order(2)))[1]["credited"] == 200
    await studio.check_books()


async def test_connections_that_the_server_cut_are_503_or_booked_never_lost(studio: Any, booking: ShopifyReceiver):
    await post(booking, _order(1))
    await studio.sql.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
    )
    status, _ = await post(booking, _order(2))
    assert status in {200, 503}
    if status == 503:
        status, _ = await post(booking, _order(2))
    assert status == 200
    assert await studio.sql.fetchval("select sum(mg_credits) from mega_customers") == 400


async def test_logs_name_no_buyer(studio: Any, booking: ShopifyReceiver):
    with capture_logs() as logs:
        await post(booking, orjson.dumps({**ORDER, "line_items": [{"id": 1, "sku": "SECRET-SKU", "quantity": 1}]}))
        await post(booking, orjson.dumps({**ORDER, "email": ["ann@example.com"]}))
        await post(booking, x_shopify_topic="refunds/create")
    assert len(logs) >= 3
    assert all(word not in str(logs) for word in ("ann@", "pass:", "SECRET-SKU", "MINA-50"))


def _order(number: int) -> bytes:
    return orjson.dumps({**ORDER, "id": number})
