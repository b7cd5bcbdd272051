"""Shopify's payloads: what counts as an order, what a line gives, and that nothing odd gets past the reader."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.domain.credits import clawback, purchase
from mina_gql.domain.shopify import (
    Given,
    OrderBooks,
    ShopifyPayloadError,
    cart_url,
    deposit_ref,
    matcha_of,
    parse_order,
    parse_refund,
    resource_id,
    withdrawal,
)

SKUS = {
    "MINA-50": {"matcha": 50, "variantId": None},
    "TEA": {"matcha": 7},
    "FREE": {"matcha": 0},
    "ODD": {"matcha": "9"},
    "LIST": [1],
}
SECRET = b"a secret"
REFERENCE = deposit_ref("pass:anon:x", SECRET)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def order(**changes: Any) -> dict[str, Any]:
    return {
        "id": 1001,
        "processed_at": "2026-11-20T10:00:00-05:00",
        "financial_status": "paid",
        "test": False,
        "email": "ann@example.com",
        "customer": {"id": 77},
        "line_items": [{"id": 1, "sku": "MINA-50", "quantity": 4}],
        **changes,
    }


def test_an_order_says_who_paid_what_and_when():
    read = parse_order(order())
    assert (read.id, read.customer_id, read.email, read.paid, read.withdrawn) == ("1001", "77", "ann@example.com", True, False)
    assert read.paid_at == datetime(2026, 11, 20, 15, tzinfo=UTC)
    assert [line.matcha(SKUS) for line in read.lines] == [200]


@pytest.mark.parametrize("quantity", [0, -1, 1.5, 4.0, "4", 10**9, 1001, True, None, [4]])
def test_an_odd_quantity_gives_nothing_and_spares_the_other_lines(quantity):
    lines = [{"id": 1, "sku": "MINA-50", "quantity": quantity}, {"id": 2, "sku": "MINA-50", "quantity": 1000}]
    assert [line.matcha(SKUS) for line in parse_order(order(line_items=lines)).lines] == [0, 50_000]


@pytest.mark.parametrize(
    ("sku", "matcha"),
    [
        ("MINA-50", 50),
        ("TEA", 7),
        ("MINA-1", 1),
        ("MINA-9999", 9999),
        ("MINA-50-GIFT", 0),
        ("mina-50", 0),
        ("MINA-0", 0),
        ("MINA-00050", 0),
        ("MINA-99999", 0),
        ("MINA-٥٠", 0),
        ("MINA-５", 0),
        ("MINA--50", 0),
        ("MINA-7\n", 0),
        (" MINA-7", 0),
        ("FREE", 0),
        ("ODD", 0),
        ("LIST", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_a_sku_gives_what_the_map_says_or_its_own_number_and_nothing_else(sku, matcha):
    assert matcha_of(sku, SKUS) == matcha


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        1.0,
        "",
        "0",
        "01",
        "1 ",
        "1:2",
        "٣",
        "1\n",
        "9" * 21,
        "gid://shopify/Order/",
        "gid://shopify/Order/1:2",
        [],
    ],
)
def test_what_is_no_shopify_id_never_becomes_part_of_a_ledger_id(value):
    with pytest.raises(ShopifyPayloadError, match="order"):
        resource_id(value, "order")


def test_every_way_to_write_an_id_is_one_id():
    assert {resource_id(value, "x") for value in (12, "12", "gid://shopify/LineItem/12")} == {"12"}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"line_items": None},
        {"line_items": {}},
        {"line_items": [None]},
        {"line_items": [{"sku": "MINA-50", "quantity": 1}]},
        {"line_items": [{"id": 1}, {"id": "1"}]},
        {"customer": "77"},
        {"customer": {"id": "x"}},
        {"financial_status": 1},
        {"test": "false"},
        {"cancelled_at": 1},
        {"processed_at": "yesterday"},
        {"processed_at": "2026-11-20T10:00:00"},
        {"processed_at": "0001-01-01T00:00:00+14:00"},
        {"note_attributes": {"mina_ref": REFERENCE}},
        {"note_attributes": ["mina_ref"]},
        {"email": ["ann@example.com"]},
        {"refunds": {}},
        {"refunds": [{"id": 5}]},
    ],
)
def test_a_payload_of_another_shape_is_refused_by_the_name_of_the_place(changes):
    with pytest.raises(ShopifyPayloadError, match=r"order|refund"):
        parse_order(order(**changes))


@given(name=st.sampled_from(sorted([*order(), "note_attributes", "refunds", "updated_at", "cancelled_at"])), value=json_values)
def test_no_field_of_any_type_breaks_the_reader(name, value):
    try:
        parse_order(order(**{name: value}))
    except ShopifyPayloadError as error:
        assert "ann@" not in str(error)


@given(json_values)
def test_no_payload_of_any_type_breaks_the_readers(payload):
    for read in (parse_order, parse_refund):
        with pytest.raises(ShopifyPayloadError):
            read(payload)


@pytest.mark.parametrize(
    ("changes", "paid", "withdrawn"),
    [
        ({"financial_status": "pending"}, False, False),
        ({"financial_status": "authorized"}, False, False),
        ({"financial_status": "partially_paid"}, False, False),
        ({"financial_status": None}, False, False),
        ({"financial_status": "PAID"}, False, False),
        ({"financial_status": "partially_refunded"}, True, False),
        ({"financial_status": "refunded"}, False, True),
        ({"cancelled_at": "2026-11-20T10:00:00Z"}, False, True),
        ({"test": True}, False, False),
        ({"test": True, "cancelled_at": "2026-11-20T10:00:00Z"}, False, False),
    ],
)
def test_only_what_was_paid_for_good_gives_matcha(changes, paid, withdrawn):
    read = parse_order(order(**changes))
    assert (read.paid, read.withdrawn) == (paid, withdrawn)


def test_the_topic_alone_says_that_an_order_was_cancelled():
    assert parse_order(order(), "orders/cancelled").withdrawn


def test_the_payment_is_the_latest_thing_that_happened_to_the_order():
    late = parse_order(order(created_at="2026-11-01T00:00:00Z", processed_at=None, updated_at="2026-11-20T12:00:00Z"))
    assert late.paid_at == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert parse_order(order(processed_at=None)).paid_at is None


@pytest.mark.parametrize(
    "value", ["pass:anon:6b1f7c9e-8f4e-4a4e-9d57-0f6f6f8f2a11", "x", REFERENCE.upper(), REFERENCE + "\n", 7, None]
)
def test_only_our_own_reference_is_read_from_the_cart(value):
    attributes = [{"name": "mina_pass_id", "value": "pass:anon:victim"}, {"name": "mina_ref", "value": value}]
    assert parse_order(order(note_attributes=attributes)).deposit_ref is None
    assert parse_order(order(note_attributes=[*attributes, {"name": "mina_ref", "value": REFERENCE}])).deposit_ref == REFERENCE


@pytest.mark.parametrize("email", ["", "ann", "@", "a b@c", "a@b\x00", "a@" + "b" * 256])
def test_what_is_no_address_is_nobody_s_address(email):
    assert parse_order(order(email=email)).email is None


def test_a_refund_adds_up_what_it_says_of_a_line():
    items = [
        {"line_item_id": 1, "quantity": 1, "line_item": {"sku": "MINA-50"}},
        {"line_item_id": 1, "quantity": 2, "line_item": None},
        {"line_item_id": 2, "quantity": -1},
    ]
    refund = parse_refund({"id": 9, "order_id": 1001, "refund_line_items": items})
    assert (refund.id, refund.order_id) == ("9", "1001")
    assert [(line.line_id, line.quantity) for line in refund.lines or ()] == [("1", 3), ("2", 0)]


def test_a_refund_within_an_order_is_of_that_order():
    refund = {"id": 9, "order_id": 666, "refund_line_items": [{"line_item_id": 1, "quantity": 1}]}
    assert [each.order_id for each in parse_order(order(refunds=[refund])).refunds] == ["1001"]


@given(st.integers(1, 9), st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 12)), max_size=12))
def test_refunds_never_ask_for_more_than_the_line_gave(packs, asked):
    books = OrderBooks("p", {"1": Given(50 * packs, packs)})
    answers = [books.ask_back(refund, "1", quantity) for refund, quantity in asked]
    assert min(answers, default=0) >= 0
    assert sum(answers) <= 50 * packs


def test_a_refund_is_asked_once_and_a_line_nobody_knows_gives_nothing():
    books = OrderBooks("p", {"1": Given(200, 4)})
    assert [books.ask_back("r", "1", 1), books.ask_back("r", "1", 1), books.ask_back("r", "2", 1)] == [50, 0, 0]
    assert books.ask_back(withdrawal("1").id, "1", None) == 150


def test_ledger_rows_name_order_refund_and_line():
    bought = purchase("1001", "1", 200, sku="MINA-50", quantity=4)
    assert (bought.ledger_id, bought.delta, bought.ref_id) == ("credit_transaction:shopify:1001:1", 200, "1001")
    taken = clawback("9", "1001", "1", 50, 20)
    assert (taken.ledger_id, taken.delta, taken.ref_id) == ("credit_transaction:shopify_refund:9:1", -20, "1001")
    assert taken.meta["shortfall"] == 30


def test_a_cart_link_carries_the_reference_and_nothing_of_the_pass():
    reference = deposit_ref("pass:anon:x", SECRET)
    assert cart_url("mina.example", "42", 3, reference) == (
        f"https://mina.example/cart/42:3?attributes%5Bmina_ref%5D={reference}"
    )
    assert reference != deposit_ref("pass:anon:x", b"another secret") != deposit_ref("pass:anon:y", SECRET)
