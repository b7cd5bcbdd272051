"""Orders become matcha once, refunds take it back once, and the books are right whatever Shopify sends in whatever order."""

import asyncio
import random
from datetime import timedelta

import orjson
import pytest
from structlog.testing import capture_logs

from mina_gql.domain.errors import InvalidInput, ProviderNotConfigured
from mina_gql.domain.shopify import ShopifyPayloadError
from mina_gql.mega.database import Database, DatabaseAway
from mina_gql.services.shopify_orders import ShopifyOrderService
from tests.services.shopify_shop import NOW, Counter, hours_ago, order, refund


@pytest.fixture
async def counter(studio):
    counter = Counter(studio)
    yield counter
    await studio.check_books()


async def ledger(counter):
    rows = await counter.studio.sql.fetch(
        "select mg_id, mg_delta, mg_reason, mg_source, mg_ref_type, mg_ref_id, mg_meta from mega_generations "
        "where mg_record_type = 'credit_transaction' order by mg_created_at, mg_id"
    )
    return [(*tuple(row)[:6], orjson.loads(row["mg_meta"])) for row in rows]


async def deltas(counter):
    return [row[1] for row in await ledger(counter)]


# ---------------------------------------------------------------- buying


async def test_four_packs_of_fifty_are_two_hundred(counter):
    bought = order("MINA-50", 4, customer={"id": 77})
    assert await counter.tell(bought) == (200, 0)
    number = str(bought["id"])
    line = f"{number}1"
    assert await ledger(counter) == [
        (
            f"credit_transaction:shopify:{number}:{line}",
            200,
            "purchase",
            "shopify",
            "shopify_order",
            number,
            {"line": line, "sku": "MINA-50", "quantity": 4},
        )
    ]
    assert await counter.balances() == {"pass:shopify:77": 200}


async def test_lines_add_up_and_what_gives_nothing_is_told(counter):
    lines = [
        ("MINA-50", 2),
        ("MINA-100", 1),
        ("MINA-7", 3),
        ("MUG", 1),
        ("MINA-50-GIFT", 1),
        ("MINA-50", 10**9),
        ("MINA-50", True),
    ]
    items = [{"id": number, "sku": sku, "quantity": quantity} for number, (sku, quantity) in enumerate(lines, 1)]
    with capture_logs() as logs:
        assert await counter.tell(order(line_items=items)) == (221, 0)
    assert [log["lines"] for log in logs if "no matcha" in log["event"]] == [["4", "5", "6", "7"]]
    assert all(word not in str(logs) for word in ("GIFT", "MUG", "pass:"))


async def test_ten_deliveries_at_once_and_several_topics_are_one_purchase(counter):
    bought = order(customer={"id": 77}, email="ann@example.com")
    topics = ["orders/create", "orders/paid", "orders/updated", *["orders/paid"] * 7]
    told = await asyncio.gather(*(counter.tell(bought, topic) for topic in topics))
    assert sorted(told) == [(0, 0)] * 9 + [(200, 0)]
    assert await deltas(counter) == [200]


async def test_many_new_orders_of_one_new_customer_at_once_make_one_pass(counter):
    await asyncio.gather(*(counter.tell(order("MINA-1", 1, customer={"id": 77})) for _ in range(8)))
    assert await counter.balances() == {"pass:shopify:77": 8}


@pytest.mark.parametrize("changes", [{"financial_status": "pending"}, {"financial_status": "voided"}, {"test": True}])
async def test_what_is_not_paid_for_good_books_nothing(counter, changes):
    assert await counter.tell(order(customer={"id": 77}, **changes), "orders/create") == (0, 0)
    assert await ledger(counter) == []
    assert await counter.row("pass:shopify:77") is None


async def test_an_order_counts_from_the_moment_it_is_paid(counter):
    pending = order(financial_status="pending")
    assert await counter.tell(pending, "orders/create") == (0, 0)
    assert await counter.tell({**pending, "financial_status": "paid"}) == (200, 0)


async def test_a_line_added_later_goes_where_the_others_went(counter):
    first = order(customer={"id": 77})
    await counter.tell(first)
    edited = {**first, "customer": {"id": 78}, "line_items": [*first["line_items"], {"id": 9, "sku": "MINA-1", "quantity": 1}]}
    assert await counter.tell(edited, "orders/updated") == (1, 0)
    assert await counter.balances() == {"pass:shopify:77": 201}


async def test_prices_of_the_day_do_not_change_what_was_given(counter):
    bought = order("MINA-50", 2)
    await counter.tell(bought)
    await counter.studio.knobs(shopify_sku_map={"MINA-50": {"matcha": 500}})
    assert await counter.tell(bought) == (0, 0)
    assert await counter.tell(refund(bought), "refunds/create") == (0, 50)
    assert await counter.tell(order("MINA-50", 1)) == (500, 0)


async def test_an_unreadable_payload_books_nothing(counter):
    with pytest.raises(ShopifyPayloadError):
        await counter.tell({**order(), "id": "1; drop table"})
    assert await ledger(counter) == []


# ---------------------------------------------------------------- expiry and top-up


async def test_matcha_lives_thirty_days_from_its_payment_and_never_shorter(counter):
    paid = [5, 48, 0.5, 300]
    for hours in paid:
        await counter.tell(order(customer={"id": 77}, created_at=hours_ago(hours)))
    row = await counter.row("pass:shopify:77")
    assert row["mg_expires_at"] == NOW - timedelta(hours=0.5) + timedelta(days=30)
    assert row["mg_last_topup_at"] == NOW - timedelta(hours=0.5)
    assert (row["mg_topup_source"], row["mg_topup_default_packs"]) == ("shopify", 3)


async def test_a_duplicate_changes_no_date(counter):
    bought = order(customer={"id": 77}, created_at=hours_ago(5))
    await counter.tell(bought)
    before = await counter.row("pass:shopify:77")
    await counter.tell({**bought, "updated_at": hours_ago(0)}, "orders/updated")
    after = await counter.row("pass:shopify:77")
    assert [after[name] for name in ("mg_expires_at", "mg_last_topup_at")] == [
        before[name] for name in ("mg_expires_at", "mg_last_topup_at")
    ]


@pytest.mark.parametrize("created_at", [hours_ago(-500), None], ids=["future", "none"])
async def test_a_payment_of_the_future_or_of_no_time_is_one_of_now(counter, created_at):
    await counter.tell(order(customer={"id": 77}, created_at=created_at))
    days = await counter.studio.sql.fetchval(
        "select mg_expires_at - clock_timestamp() between interval '29.9 days' and interval '30 days' from mega_customers"
    )
    assert days


async def test_what_had_expired_is_gone_before_the_new_comes(counter):
    caller = await counter.studio.person(matcha=7)
    reference = await counter.reference(caller)
    await counter.studio.expire(caller)
    await counter.tell(order("MINA-50", 1, note_attributes=[{"name": "mina_ref", "value": reference}]))
    assert await counter.studio.entries(caller) == [("adjustment", 7), ("expiry", -7), ("purchase", 50)]


# ---------------------------------------------------------------- refunds and cancellations


async def test_a_refund_takes_its_packs_back_once(counter):
    bought = order("MINA-50", 4, customer={"id": 77})
    await counter.tell(bought)
    back = refund(bought, 1, number=901)
    told = await asyncio.gather(*(counter.tell(back, "refunds/create") for _ in range(6)))
    assert sorted(told) == [(0, 0)] * 5 + [(0, 50)]
    line = str(bought["line_items"][0]["id"])
    assert (await ledger(counter))[1] == (
        f"credit_transaction:shopify_refund:901:{line}",
        -50,
        "clawback",
        "shopify",
        "shopify_refund",
        str(bought["id"]),
        {"line": line, "refund": "901", "shortfall": 0},
    )
    assert await counter.balances() == {"pass:shopify:77": 150}


async def test_refunds_and_a_cancellation_take_no_more_than_was_given(counter):
    own = order("MINA-100", 1, customer={"id": 77})
    bought = order("MINA-50", 2, customer={"id": 77})
    await counter.tell(own)
    await counter.tell(bought)
    assert await counter.tell(refund(bought, 1), "refunds/create") == (0, 50)
    assert await counter.tell(refund(bought, 900), "refunds/create") == (0, 50)
    assert await counter.tell(refund(bought, 1), "refunds/create") == (0, 0)
    assert await counter.tell({**bought, "cancelled_at": hours_ago(0)}, "orders/cancelled") == (0, 0)
    assert await counter.balances() == {"pass:shopify:77": 100}


async def test_a_cancellation_takes_what_is_left_of_each_line(counter):
    items = [{"id": 1, "sku": "MINA-50", "quantity": 2}, {"id": 2, "sku": "MINA-7", "quantity": 1}]
    bought = order(line_items=items, customer={"id": 77})
    await counter.tell(bought)
    await counter.tell(refund(bought, 1), "refunds/create")
    told = [await counter.tell(bought, "orders/cancelled") for _ in range(3)]
    assert told == [(0, 57), (0, 0), (0, 0)]
    assert {row[0] for row in await ledger(counter)} >= {
        f"credit_transaction:shopify_refund:cancel-{bought['id']}:{line}" for line in (1, 2)
    }
    assert await counter.tell(bought, "orders/paid") == (0, 0)


async def test_spent_matcha_is_not_taken_but_recorded_as_missing(counter):
    caller = await counter.studio.person()
    reference = await counter.reference(caller)
    bought = order("MINA-50", 2, note_attributes=[{"name": "mina_ref", "value": reference}])
    await counter.tell(bought)
    await counter.studio.deposit(caller.pass_id, -70)
    assert await counter.tell(refund(bought, 1), "refunds/create") == (0, 30)
    assert await counter.tell(refund(bought, 1), "refunds/create") == (0, 0)
    await counter.studio.deposit(caller.pass_id, 500)
    assert await counter.tell(bought, "orders/cancelled") == (0, 0)
    rows = await ledger(counter)
    assert [(row[1], row[6]["shortfall"]) for row in rows if row[2] == "clawback"] == [(-30, 20), (0, 50)]


async def test_refunds_that_come_before_their_payment_are_netted_when_it_comes(counter):
    bought = order("MINA-50", 4, customer={"id": 77})
    back = refund(bought, 1)
    for _ in range(3):
        assert await counter.tell(back, "refunds/create") == (0, 0)
    assert await ledger(counter) == []
    assert await counter.tell(bought) == (200, 50)
    assert await counter.tell(back, "refunds/create") == (0, 0)
    assert await counter.balances() == {"pass:shopify:77": 150}


async def test_a_cancellation_that_comes_before_its_payment_leaves_nothing(counter):
    bought = order(customer={"id": 77})
    assert await counter.tell({**bought, "cancelled_at": hours_ago(0)}, "orders/cancelled") == (0, 0)
    assert await counter.tell(bought, "orders/paid") == (200, 200)
    assert await counter.tell(bought, "orders/create") == (0, 0)
    assert await counter.balances() == {}


async def test_a_refund_at_the_same_time_as_its_payment_is_netted_either_way(counter):
    for _ in range(5):
        bought = order("MINA-50", 1, customer={"id": 77})
        back = refund(bought, 1)
        await asyncio.gather(counter.tell(bought), counter.tell(back, "refunds/create"), counter.tell(bought, "orders/create"))
    assert await counter.balances() == {}


async def test_refunds_told_within_the_order_are_the_same_refunds(counter):
    bought = order("MINA-50", 4, customer={"id": 77})
    back = refund(bought, 1)
    partly = {**bought, "financial_status": "partially_refunded", "refunds": [back]}
    assert await counter.tell(partly, "orders/updated") == (200, 50)
    assert await counter.tell(back, "refunds/create") == (0, 0)
    assert await counter.tell({**partly, "financial_status": "refunded"}, "orders/updated") == (0, 150)


async def test_a_refund_of_an_amount_and_of_other_goods_takes_nothing(counter):
    bought = order(line_items=[{"id": 1, "sku": "MINA-50", "quantity": 1}, {"id": 2, "sku": "MUG", "quantity": 1}])
    await counter.tell(bought)
    assert await counter.tell(refund(bought, 1, line=1), "refunds/create") == (0, 0)
    assert await counter.tell({"id": 1, "order_id": bought["id"], "refund_line_items": []}, "refunds/create") == (0, 0)
    assert await counter.studio.sql.fetchval("select count(*) from mega_admin where mg_action like 'shopify.%'") == 0


async def test_a_refund_finds_the_pass_that_the_buyer_s_was_merged_into(counter):
    bought = order("MINA-50", 2, customer={"id": 77}, email="ann@example.com")
    other = await counter.signed_in("ann@example.com")
    await counter.studio.sql.execute("update mega_customers set mg_verified_email = false")  # so the order starts a Pass
    await counter.tell(bought)
    assert await counter.balances() == {"pass:shopify:77": 100}
    await counter.sign_in(other.login)
    assert await counter.balances() == {other.pass_id: 100}
    assert await counter.tell(refund(bought, 1), "refunds/create") == (0, 50)
    assert await counter.tell(order("MINA-1", 1, customer={"id": 77})) == (1, 0)
    edited = {**bought, "line_items": [*bought["line_items"], {"id": 9, "sku": "MINA-7", "quantity": 1}]}
    assert await counter.tell(edited, "orders/updated") == (7, 0)
    assert await counter.balances() == {other.pass_id: 58}


# ---------------------------------------------------------------- reconciling


async def test_reconcile_books_what_was_missed_and_nothing_twice(counter):
    known, missed, refunded = order("MINA-50", 1), order("MINA-100", 1), order("MINA-50", 2)
    await counter.tell(known)
    await counter.tell(refunded)
    partly = {**refunded, "financial_status": "partially_refunded", "refunds": [refund(refunded, 1)]}
    counter.shop.orders = [known, missed, partly, order(financial_status="pending"), order(test=True), {"id": "odd"}]
    report = await counter.orders.reconcile(7)
    assert (report.orders, report.mended, report.credited, report.clawed_back, report.unreadable) == (6, 2, 100, 50, 1)
    again = await counter.orders.reconcile(7)
    assert (again.mended, again.credited, again.clawed_back) == (0, 0, 0)
    assert timedelta(days=7) <= NOW + timedelta(minutes=10) - counter.shop.asked_since


@pytest.mark.parametrize("days", [0, -1, 61])
async def test_reconcile_looks_back_as_far_as_the_shop_shows(counter, days):
    with pytest.raises(InvalidInput):
        await counter.orders.reconcile(days)


async def test_reconcile_without_a_token_says_what_is_missing(counter):
    orders = ShopifyOrderService(counter.studio.mina.database, counter.studio.config, None)
    with pytest.raises(ProviderNotConfigured, match="MINA_SHOPIFY_ADMIN_TOKEN"):
        await orders.reconcile(1)


# ---------------------------------------------------------------- a bad day


async def test_a_database_that_is_away_keeps_nothing_and_says_so(counter, free_port):
    away = Database(f"postgresql://nobody@127.0.0.1:{free_port}/nothing")
    with pytest.raises(DatabaseAway):
        await ShopifyOrderService(away, counter.studio.config, None).receive("orders/paid", order())
    await away.close()


@pytest.mark.parametrize("broken", ["mega_customers before update", "mega_generations before insert"])
async def test_a_write_that_breaks_leaves_nothing_and_the_next_delivery_books_all(counter, broken):
    table, _, event = broken.partition(" ")
    caller = await counter.studio.person()
    bought = order(note_attributes=[{"name": "mina_ref", "value": await counter.reference(caller)}])
    await counter.studio.sql.execute(
        "create function break() returns trigger language plpgsql as 'begin raise exception ''broken''; end';"
        f"create trigger break {event} on {table} for each row execute function break()"
    )
    with pytest.raises(Exception, match="broken"):
        await counter.tell(bought)
    assert await ledger(counter) == []
    await counter.studio.sql.execute(f"drop trigger break on {table}")
    assert await counter.tell(bought) == (200, 0)


@pytest.mark.parametrize("seed", range(3))
async def test_the_books_are_right_after_a_day_of_everything_in_any_order(counter, seed):
    chance = random.Random(seed)
    orders = [order("MINA-50", chance.randint(1, 4), customer={"id": 70 + number % 2}) for number in range(6)]
    told = []
    for bought in orders:
        told += [(bought, topic) for topic in ("orders/create", "orders/paid", "orders/updated")]
        told += [(refund(bought, chance.randint(1, 3)), "refunds/create") for _ in range(chance.randint(0, 2))]
        told += [(bought, "orders/cancelled")] * chance.randint(0, 1)
    expected = sum(max(0, _left(bought, told)) for bought in orders)
    told = told * 2
    chance.shuffle(told)
    for at in range(0, len(told), 8):
        await asyncio.gather(*(counter.tell(*each) for each in told[at : at + 8]))
    assert sum((await counter.balances()).values()) == expected


def _left(bought, told):
    if (bought, "orders/cancelled") in told:
        return 0
    back = sum(each["refund_line_items"][0]["quantity"] for each, _ in told if each.get("order_id") == bought["id"])
    return 50 * (bought["line_items"][0]["quantity"] - back)


async def test_an_order_that_another_system_credited_is_not_credited_again(counter):
    """A database adopted from the old tables holds rows of another shape for the same order."""
    person = await counter.studio.person()
    await counter.studio.sql.execute(
        "insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_delta, mg_reason, mg_source, mg_ref_type, mg_ref_id) "
        "values ('credit_transaction:txn-1', 'credit_transaction', $1, 50, 'purchase', 'shopify', 'shopify_order', '424242')",
        person.pass_id,
    )
    await counter.studio.sql.execute("update mega_customers set mg_credits = 50 where mg_pass_id = $1", person.pass_id)
    assert await counter.tell(order("MINA-50", 1, id=424242)) == (0, 0)


async def test_more_than_a_pass_can_hold_is_an_unreadable_order(counter):
    lines = [{"id": number, "sku": "MINA-9999", "quantity": 1000} for number in range(1, 150)]
    with pytest.raises(ShopifyPayloadError, match="holds at most"):
        await counter.tell(order("MINA-50", 1, line_items=lines))
    assert await ledger(counter) == []
