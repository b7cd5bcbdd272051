"""Promises of what is counted: each thing once, by how it ended, and nothing at all where nobody listens."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mina_gql.adapters.observability.meters import Meters
from mina_gql.adapters.observability.watch import Watch
from mina_gql.domain import observing
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode
from mina_gql.services.figures import FigureService
from tests import studio as studios
from tests.observability.scrape import Scrape
from tests.studio import BRIEF, Studio, counted, opened

seeded, studio = studios.seeded, studios.studio


@pytest.fixture
async def meters() -> AsyncIterator[Meters]:
    """Listens to this test alone."""
    meters = Meters()
    observing.tell_to(Watch(meters, None))
    yield meters
    observing.tell_to(observing.Nobody())


def read(meters: Meters) -> Scrape:
    """What these meters show."""
    return Scrape.of(meters.exposition().decode())


async def test_how_a_step_ended_is_told_by_its_code(meters: Meters):
    async def ends(error: BaseException) -> None:
        with pytest.raises(type(error)), observing.step("gpt_reader", "openai"):
            raise error

    await ends(GenerationFailed(FailureCode.PROVIDER_TIMEOUT, "Too slow."))
    await ends(ValueError())
    await ends(asyncio.CancelledError())
    for outcome in ("PROVIDER_TIMEOUT", "broken", "cut_off"):
        assert read(meters).value("mina_step_seconds_count", step="gpt_reader", provider="openai", outcome=outcome) == 1


async def test_nobody_listening_is_no_error():
    observing.count(observing.REQUESTS, method="GET", route="/", status="200", operation="")
    observing.put(observing.JOBS, 1, state="waiting")
    observing.note(generation="generation:1")
    with observing.step("postscan", None), observing.held(observing.OPEN, what="request"):
        pass


async def test_a_failed_generation_gives_its_matcha_back_in_the_metrics_too(studio: Studio, meters: Meters):
    caller = await studio.person(matcha=3)
    ordered = await studio.mina.services.orders.create(caller, BRIEF)
    failure = GenerationFailed(FailureCode.MODERATED, "Not this.")
    assert await studio.mina.endings.fail(ordered.generation.id, failure, lease=None)
    assert not await studio.mina.endings.fail(ordered.generation.id, failure, lease=None)
    now = read(meters)
    assert now.value("mina_generations_ended_total", kind="still", code="MODERATED") == 1
    assert now.value("mina_matcha_total", what="charged") == now.value("mina_matcha_total", what="refunded") == 1


async def test_an_order_that_is_repeated_is_accepted_once(studio: Studio, meters: Meters):
    caller = await studio.person(matcha=3)
    order = replace(BRIEF, idempotency_key="once-and-no-more")
    for _ in range(2):
        await studio.mina.services.orders.create(caller, order)
    assert read(meters).value("mina_generations_accepted_total") == 1


async def test_a_database_that_is_away_is_a_number_and_no_error(postgres, seeded, tmp_path, meters: Meters):
    dsn = await postgres.create_database(seeded)
    async with opened(tmp_path, dsn) as one:
        figures = FigureService(one.mina.database)
        await figures.refresh()
        assert read(meters).value("mina_database_up") == 1
        await postgres.drop_database(dsn)
        figures = FigureService(one.mina.database)
        await figures.refresh()
        assert read(meters).value("mina_database_up") == 0


async def test_the_queue_is_read_once_in_five_seconds(studio: Studio, meters: Meters):
    figures = FigureService(studio.mina.database)
    with counted(studio.mina.database) as reads:
        for _ in range(3):
            await figures.refresh()
        assert len(reads) == 1
        await studio.mina.services.orders.create(await studio.person(matcha=1), BRIEF)
        figures = FigureService(studio.mina.database)
        await figures.refresh()
    assert read(meters).value("mina_jobs", state="waiting") == 1
