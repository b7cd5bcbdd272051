"""The whole way with Replicate as the vendor: an order, a run, and what stands in the tables afterwards (E4, E5, E11, J5, R2, R3)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mina_gql.adapters.ai.offline import OfflineVendor
from mina_gql.adapters.ai.registry import ModelShelf
from mina_gql.domain.generations import MotionOrder, StillOrder
from tests.studio import Studio, seeded
from tests.studio import opened as studio_opened
from tests.vendors.replicate_server import SIGNED, Accident, Replicate
from tests.vendors.replicate_studio import bus, opened, replicate

__all__ = ["bus", "replicate", "seeded"]

COLUMNS = """
  select table_name, column_name from information_schema.columns
  where table_schema = 'public' and data_type in ('text', 'json', 'jsonb', 'ARRAY')
"""
TEMPORARY = ("X-Amz-", "Signature=", "replicate.delivery", "data:image", "/v1/predictions")


@pytest.fixture
async def studio(postgres, seeded: str, tmp_path: Path, replicate: Replicate, bus) -> AsyncIterator[Studio]:
    """A studio whose stills and clips come from the vendor; the rest is offline."""
    dsn = await postgres.create_database(seeded)
    async with opened(replicate.base, bus, inline=True) as vendor:
        models = ModelShelf({"replicate": vendor}, OfflineVendor())
        async with studio_opened(tmp_path, dsn, models=models) as studio:
            yield studio
    await postgres.drop_database(dsn)


async def found(studio: Studio, *words: str) -> list[tuple[str, str, str]]:
    """Table, column and word, for each of the words that stands anywhere in the tables."""
    places = [tuple(row) for row in await studio.sql.fetch(COLUMNS)]
    return [
        (table, column, word)
        for table, column in places
        for word in words
        if await studio.sql.fetchval(f"select exists(select from {table} where {column}::text like '%' || $1 || '%')", word)
    ]


async def test_a_still_and_a_clip_come_from_the_vendor_and_leave_no_address_of_its(studio: Studio, replicate: Replicate):
    """E4, E5: scanned are all text and JSON columns of all tables. R3: the steps are named for the registry's providers."""
    person = await studio.person(10)
    product = await studio.picture(person)
    still = (await studio.orders.create(person, StillOrder("A bottle on wet stone", product_image_url=product))).generation.id
    await studio.mina.runner.run(still)
    url = await studio.sql.fetchval("select mg_output_url from mega_generations where mg_id = $1", still)
    clip = (await studio.orders.animate(person, MotionOrder(generation_id=still))).generation.id
    await studio.mina.runner.run(clip)
    rows = await studio.sql.fetch(
        "select mg_step_type, mg_provider, mg_model, mg_status from mega_generations where mg_step_type like '%generate' "
        "order by mg_created_at"
    )
    assert [tuple(row) for row in rows] == [
        ("seedream_generate", "seedream", "bytedance/seedream-4", "succeeded"),
        ("kling_generate", "kling", "kwaivgi/kling-v2.1", "succeeded"),
    ]
    assert replicate.created == 2
    assert studio.mina.store.key_of(url) is not None
    assert await found(studio, *TEMPORARY, replicate.base) == []
    assert await found(studio, *replicate.predictions) != []  # the ids are kept, so the scan does see what is there


async def test_a_prediction_that_failed_leaves_no_address_either_and_gives_the_matcha_back(studio: Studio, replicate: Replicate):
    replicate.steps = ["failed"]
    replicate.error = f"cannot load https://x.replicate.delivery/a.png?{SIGNED}"
    person = await studio.person(1)
    order = await studio.orders.create(person, StillOrder("A bottle on wet stone"))
    await studio.mina.runner.run(order.generation.id)
    assert await studio.balance(person) == 1
    assert await found(studio, *TEMPORARY, replicate.base) == []


async def test_a_run_that_is_stopped_while_it_waits_is_taken_up_without_a_second_bill(studio: Studio, replicate: Replicate):
    """J5: the next run finds the prediction's id and waits for that one."""
    replicate.hold = True
    person = await studio.person(1)
    order = await studio.orders.create(person, StillOrder("A bottle on wet stone"))
    run = asyncio.create_task(studio.mina.runner.run(order.generation.id))
    await replicate.looked.wait()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    await replicate.release()
    await studio.mina.runner.run(order.generation.id)
    status = await studio.sql.fetchval("select mg_mma_status from mega_generations where mg_id = $1", order.generation.id)
    assert status == "done"
    assert replicate.created == 1


async def test_three_500s_in_a_row_are_survived(studio: Studio, replicate: Replicate, monkeypatch):
    """DESIGN section 14, with one prediction in the end."""
    monkeypatch.setattr("mina_gql.adapters.ai.retries.FIRST_WAIT", 0.0)
    monkeypatch.setattr("mina_gql.adapters.ai.retries.JITTER", 0.0)
    replicate.creates = [Accident(500), Accident(500, made=False), Accident(500, made=True)]
    person = await studio.person(1)
    order = await studio.orders.create(person, StillOrder("A bottle on wet stone"))
    await studio.mina.runner.run(order.generation.id)
    assert await studio.balance(person) == 0
    assert replicate.created == 1
