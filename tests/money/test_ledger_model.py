"""Thousands of acts at once, on connections that keep dying: at every instant the books are right, at the end all is explained."""

import asyncio
import os
import random
from collections import Counter
from contextlib import asynccontextmanager

import asyncpg
import orjson
import pytest

from tests.money.busy_studio import Crowd
from tests.money.ledger_model import Ledger, Row
from tests.studio import Studio

LONG = os.environ.get("MINA_LONG_TESTS") == "1"
ACTS = 20_000 if LONG else 5_000
AT_ONCE = 6
LOOK_EVERY = 0.15
CUT_EVERY = 0.4

WRONG = """
  select c.mg_pass_id, mg_credits, coalesce(l.total, 0) from mega_customers c left join (
    select mg_pass_id, sum(mg_delta) as total from mega_generations where mg_record_type = 'credit_transaction' group by 1
  ) l using (mg_pass_id) where mg_credits <> coalesce(l.total, 0) or mg_credits < 0
"""
CUT = """
  select pg_terminate_backend(pid) from (
    select pid from pg_stat_activity where application_name = 'mina' and datname = current_database() order by random() limit 1
  ) one
"""
LEDGER = """
  select mg_id, mg_pass_id, mg_delta, mg_reason, mg_meta from mega_generations
  where mg_record_type = 'credit_transaction' order by mg_created_at, mg_id
"""
REFUNDABLE = """
  select substr(mg_id, 12), (mg_meta ->> 'refundable')::int from mega_generations
  where mg_record_type = 'generation' and mg_meta ? 'refundable'
"""


@asynccontextmanager
async def every(seconds, work):
    """`work` again and again while the block runs; gives how often it ran."""
    over, rounds = asyncio.Event(), Counter()

    async def repeat():
        while not over.is_set():
            await work()
            rounds["done"] += 1
            try:
                await asyncio.wait_for(over.wait(), seconds)
            except TimeoutError:
                continue

    task = asyncio.create_task(repeat())
    try:
        yield rounds
    finally:
        over.set()
        await task


async def check_all(studio: Studio, crowd: Crowd) -> Ledger:
    """Read the whole ledger through the model; to be called when nobody acts."""
    ledger = Ledger(crowd.asked, dict(await studio.sql.fetch(REFUNDABLE)))
    for id_, pass_id, delta, reason, meta in await studio.sql.fetch(LEDGER):
        ledger.read(Row(id_, pass_id, delta, reason, orjson.loads(meta)))
    ledger.complete()
    for pass_id, balance, merged in await studio.sql.fetch(
        "select mg_pass_id, mg_credits, mg_deleted_at is not null from mega_customers"
    ):
        assert balance == ledger.balance(pass_id)
        assert not (merged and balance), "an alias has matcha"
    return ledger


@pytest.mark.timeout(900 if LONG else 300)
async def test_the_books_are_right_at_every_instant_and_every_row_is_explained(studio, monkeypatch):
    seed = random.randrange(10**6)
    print(f"seed {seed}, {ACTS} acts")  # noqa: T201 -- shown where it fails
    await studio.knobs(credits_grant_every_pass=True, credits_free_grant=3)
    auditor, knife, hand = [await asyncpg.connect(studio.mina.dsn) for _ in range(3)]
    crowd = Crowd(studio, random.Random(seed), hand)
    await crowd.open()

    async def look():
        async with auditor.transaction(isolation="repeatable_read", readonly=True):
            assert await auditor.fetch(WRONG) == []

    async def cut():
        await knife.execute(CUT)

    batch = 500
    async with every(LOOK_EVERY, look) as looks, every(CUT_EVERY, cut) as cuts:
        for _ in range(ACTS // batch):
            left = iter(range(batch))

            async def somebody(left=left):
                for _ in left:
                    await crowd.act()

            async with asyncio.TaskGroup() as people:
                for _ in range(AT_ONCE):
                    people.create_task(somebody())
            await check_all(studio, crowd)
    await crowd.close()
    ledger = await check_all(studio, crowd)

    for order, (packs, each) in crowd.asked.orders.items():
        ledger.settled(order, packs, each, sum(back for of, back in crowd.asked.refunds.values() if of == order))
    assert set(crowd.done) == set(Crowd.ACTS)
    assert looks["done"] > 10
    assert cuts["done"] > 10
    for connection in (auditor, knife, hand):
        await connection.close()
