"""The buyers' tag: owed from the purchase on, paid however late, and never in the way of the matcha."""

import asyncio
from itertools import pairwise

import orjson
import pytest

from mina_gql.domain.shopify import ShopAway, ShopRefused
from mina_gql.services.shopify_orders import ShopifyTagService, tags
from tests.services.shopify_shop import Counter, order


@pytest.fixture
async def counter(studio):
    counter = Counter(studio)
    yield counter
    await studio.check_books()


class Clock:
    """`time.monotonic` that goes on when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(tags, "time", clock)
    return clock


async def states(counter):
    rows = await counter.studio.sql.fetch("select mg_meta -> 'shopify_tag' from mega_customers where mg_meta ? 'shopify_tag'")
    return [orjson.loads(row[0]) for row in rows]


async def test_a_buyer_is_tagged_once(counter):
    for _ in range(2):
        await counter.tell(order(customer={"id": 77}))
        await counter.tags.tag_due()
    assert counter.shop.tagged == ["77 Mina-users"]
    assert await states(counter) == [{"77": "done"}]


async def test_two_customers_who_buy_for_one_pass_are_both_tagged(counter):
    buyer = await counter.studio.person()
    reference = [{"name": "mina_ref", "value": await counter.reference(buyer)}]
    for customer in (77, 78):
        await counter.tell(order(customer={"id": customer}, note_attributes=reference))
    assert await counter.tags.tag_due() == 2
    assert sorted(counter.shop.tagged) == ["77 Mina-users", "78 Mina-users"]


async def test_nobody_is_tagged_for_what_was_not_paid_or_has_no_customer(counter):
    await counter.tell(order(customer={"id": 77}, financial_status="pending"))
    await counter.tell(order(customer={"id": 78}, test=True))
    await counter.tell(order())
    assert await counter.tags.tag_due() == 0
    assert counter.shop.tagged == []


async def test_a_shop_that_is_down_costs_no_matcha_and_is_asked_again_within_100_seconds(counter, clock):
    counter.shop.faults = [ShopAway("HTTP 503") for _ in range(6)]
    await counter.tell(order("MINA-50", 1, customer={"id": 77}))
    asked, left = [], 6
    while not counter.shop.tagged:
        await counter.tags.tag_due()
        if len(counter.shop.faults) < left or counter.shop.tagged:
            asked.append(clock.now)
            left = len(counter.shop.faults)
        clock.now += 10
    assert await counter.balances() == {"pass:shopify:77": 50}
    assert max(after - before for before, after in pairwise(asked)) <= 70
    assert len(asked) == 7


async def test_a_debt_outlives_the_process(counter):
    counter.shop.faults = [ShopAway("HTTP 503")]
    await counter.tell(order(customer={"id": 77}))
    assert await counter.tags.tag_due() == 0
    assert await ShopifyTagService(counter.studio.mina.database, counter.shop).tag_due() == 1


async def test_one_customer_s_trouble_is_not_another_s(counter, clock):
    counter.shop.faults = [ShopAway("HTTP 500")]
    for customer in (77, 78):
        await counter.tell(order(customer={"id": customer}))
    assert await counter.tags.tag_due() == 1
    clock.now += 10
    assert await counter.tags.tag_due() == 1
    assert len(counter.shop.tagged) == 2


async def test_a_shop_that_hangs_holds_up_neither_the_delivery_nor_the_worker(counter, monkeypatch):
    monkeypatch.setattr(tags, "CALL_SECONDS", 0.05)
    hanging = asyncio.Event()

    async def hang(customer_id: str, tag: str) -> None:
        hanging.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(counter.shop, "add_tag", hang)
    first = order("MINA-1", 1, customer={"id": 77})
    await counter.tell(first)
    paying = asyncio.create_task(counter.tags.tag_due())
    await hanging.wait()
    assert await counter.tell(order("MINA-1", 1, customer={"id": 77})) == (1, 0)
    assert await paying == 0
    assert await states(counter) == [{"77": "due"}]


async def test_a_round_begins_no_more_tags_when_its_time_is_over(counter, clock, monkeypatch):
    async def slow(customer_id: str, tag: str) -> None:
        counter.shop.tagged.append(customer_id)
        clock.now += 3

    monkeypatch.setattr(counter.shop, "add_tag", slow)
    for customer in range(71, 75):
        await counter.tell(order(customer={"id": customer}))
    assert [await counter.tags.tag_due() for _ in range(3)] == [2, 2, 0]


async def test_a_customer_the_shop_refuses_is_left_alone_until_the_next_purchase(counter):
    counter.shop.faults = [ShopRefused("Customer does not exist")]
    await counter.tell(order(customer={"id": 77}))
    assert [await counter.tags.tag_due() for _ in range(2)] == [0, 0]
    assert await states(counter) == [{"77": "refused"}]
    await counter.tell(order(customer={"id": 77}))
    assert await counter.tags.tag_due() == 1


async def test_a_tag_owed_by_a_pass_that_was_merged_away_is_paid(counter):
    await counter.tell(order(customer={"id": 77}, email="ann@example.com"))
    person = await counter.studio.person()
    await counter.signed_in("ann@example.com", presented=person.pass_id)
    assert await counter.tags.tag_due() == 1
    assert [state for state in await states(counter) if "due" in state.values()] == []


async def test_without_a_token_debts_wait(counter):
    await counter.tell(order(customer={"id": 77}))
    assert await ShopifyTagService(counter.studio.mina.database, None).tag_due() == 0
    assert await counter.tags.tag_due() == 1


async def test_looking_for_debts_reads_an_index_and_not_every_customer(counter):
    from mina_gql.mega.buyers import TAGS_DUE

    await counter.studio.sql.execute("set enable_seqscan = off")
    plan = await counter.studio.sql.fetch(f"explain {TAGS_DUE.text}")
    assert "mega_customers_shopify_tag_due" in "\n".join(row[0] for row in plan)
