"""Estimates are learned from the steps that were recorded lately, and told to everybody who waits (FEATURES L9)."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from mina_gql.adapters.ai.offline import OfflineStill
from mina_gql.adapters.ai.registry import ModelShelf
from mina_gql.bootstrap import CONCURRENCY
from mina_gql.domain import estimates as domain
from mina_gql.domain.credits import BillableAction
from mina_gql.domain.estimates import Estimate
from mina_gql.domain.generations import MotionOrder, TweakOrder
from mina_gql.domain.passes import Caller
from mina_gql.domain.ports import Accepted, Media, MediaRequest
from mina_gql.services import estimates
from mina_gql.services.estimates import EstimateService
from mina_gql.services.pipeline import steps
from tests.studio import BRIEF, Studio, counted, opened

Ran = Callable[..., Awaitable[None]]


def fresh(studio: Studio) -> EstimateService:
    """Estimates that have learned nothing yet, as in a process that starts now."""
    mina = studio.mina
    return EstimateService(mina.database, mina.services.config, mina.models, concurrency=CONCURRENCY)


@pytest.fixture
async def ran(studio: Studio) -> Ran:
    """Record runs of a step, oldest first, by their milliseconds."""
    caller, numbers = await studio.person(), itertools.count()
    parent = await studio.row("generation", "old", caller, mma_mode="still", mma_status="done")

    async def record(step_type: str, *milliseconds: int, vendor: str = "offline", **columns: object) -> None:
        for ms in milliseconds:
            n = next(numbers)
            await studio.row(
                "mma_step",
                f"old:{n}",
                caller,
                generation_id="old",
                parent_id=parent,
                step_no=n,
                step_type=step_type,
                provider=vendor,
                latency_ms=ms,
                **{"status": "succeeded", **columns},
            )

    return record


async def order(studio: Studio, caller: Caller) -> str:
    """A still is ordered; its mg_id."""
    return (await studio.orders.create(caller, BRIEF)).generation.id


# ---------------------------------------------------------------- the pipelines


@pytest.mark.parametrize("name", ["STILL", "TWEAK", "VIDEO", "VIDEO_TWEAK"])
def test_the_stages_are_those_that_are_run(name: str) -> None:
    """DESIGN section 6, told twice: to run and to estimate."""
    run = [
        (stage.status, [plan.__name__.replace("still_gen", "_gen").replace("video_gen", "_gen") for plan in stage.plans])
        for stage in getattr(steps, name)
    ]
    told = [(stage.status, [step.type for step in stage.steps]) for stage in getattr(domain, name)]
    assert told == run


async def test_every_step_that_was_recorded_is_known_by_its_type_and_vendor(studio: Studio) -> None:
    caller = await studio.person(20)
    picture = await studio.picture(caller)
    still = (await studio.orders.create(caller, replace(BRIEF, product_image_url=picture, ratio="9:16"))).generation.id
    await studio.mina.runner.run(still)
    tweak = (await studio.orders.tweak(caller, TweakOrder(still, "warmer"))).generation.id
    await studio.mina.runner.run(tweak)
    clip = (await studio.orders.animate(caller, MotionOrder(input_still_url=picture, ratio="9:16"))).generation.id
    await studio.mina.runner.run(clip)
    recorded = await studio.sql.fetch(
        "select mg_step_type, mg_provider from mega_generations where mg_record_type = 'mma_step' and mg_provider is not null"
    )
    assert len(recorded) == 4 + 3 + 3
    service = fresh(studio)
    await service.typical(BillableAction.CREATE)
    assert {tuple(row) for row in recorded} == set(service._usual.learned)


# ---------------------------------------------------------------- learning


async def test_the_median_of_the_latest_runs_tells(studio: Studio, ran: Ran) -> None:
    for step, ms in (("scan_product", 1_000), ("gpt_reader", 2_000), ("postscan", 3_000)):
        await ran(step, ms)
    await ran("seedream_generate", *[900_000] * 40, *[20_000] * 24, 30_000, 31_000, *[40_000] * 24)
    assert await fresh(studio).typical(BillableAction.CREATE) == 1 + 2 + 30.5 + 3 + 0.5


async def test_what_failed_was_known_before_or_is_another_vendors_is_no_measure(studio: Studio, ran: Ran) -> None:
    for step in ("scan_product", "gpt_reader", "postscan", "seedream_generate"):
        await ran(step, 10_000)
        await ran(step, *[1_000] * 9, status="failed")
        await ran(step, *[1_000] * 9, vendor="openai")
    await ran("scan_product", *[1] * 9, input_chars=0)
    assert await fresh(studio).typical(BillableAction.CREATE) == 40


async def test_without_a_vendor_there_are_still_estimates(postgres, seeded: str, tmp_path: Path) -> None:
    """An action that cannot be made yet still has a button to label."""
    dsn = await postgres.create_database(seeded)
    async with opened(tmp_path, dsn, models=ModelShelf()) as studio:
        assert await studio.estimates.typical(BillableAction.ANIMATE) >= 180
    await postgres.drop_database(dsn)


async def test_it_is_learned_once_in_a_while_whoever_asks(studio: Studio, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    service = fresh(studio)
    await studio.config.runtime()
    with counted(studio.mina.database) as made:
        first = await asyncio.gather(*[service.typical(BillableAction.CREATE) for _ in range(10)])
    assert len(made) == 1
    await ran("seedream_generate", 77_000)
    assert await service.typical(BillableAction.CREATE) == first[0]
    monkeypatch.setattr(estimates, "RELEARN_SECONDS", 0)
    assert await service.typical(BillableAction.CREATE) > 77


# ---------------------------------------------------------------- the queue


@asynccontextmanager
async def worker_connections(dsn: str, count: int) -> AsyncIterator[None]:
    """As many workers as seen from the database."""
    connections = [await asyncpg.connect(dsn, server_settings={"application_name": "mina worker"}) for _ in range(count)]
    try:
        yield
    finally:
        for connection in connections:
            await connection.close()


async def test_the_queue_is_one_for_all_passes_in_the_order_of_accept(studio: Studio) -> None:
    one, other = await studio.person(5), await studio.person(5)
    line = [await order(studio, who) for who in (one, other, other, one)]
    found = await fresh(studio).by_id(list(reversed(line)))
    assert [found[id_].queue_position for id_ in line] == [0, 1, 2, 3]
    await studio.mina.runner.run(line[1])
    found = await fresh(studio).by_id(line)
    assert [found[id_].queue_position if id_ in found else "ended" for id_ in line] == [0, "ended", 1, 2]


async def test_those_before_it_are_waited_for_shared_among_all_workers(studio: Studio, ran: Ran) -> None:
    for step, ms in (("gpt_reader", 2_000), ("scan_product", 1_000), ("postscan", 8_000), ("seedream_generate", 70_000)):
        await ran(step, ms)
    caller = await studio.person(5)
    clip = await studio.row("generation", "clip", caller, mma_mode="video", mma_status="queued")
    line = [clip, *[await order(studio, caller) for _ in range(3)]]
    last = (await fresh(studio).by_id([line[-1]]))[line[-1]]
    own, clips = 2 + 70 + 8, 6.3  # no picture to look at; a clip offline, by its defaults
    at_once = {name: (await studio.config.role(name)).concurrency for name in ("still", "video")}
    assert max(at_once.values()) < CONCURRENCY, "the vendors' limits are the narrower ones"
    waited = 2 * (1 + own) / at_once["still"] + clips / at_once["video"]
    assert last == Estimate(3, math.ceil(own + waited))
    narrow = EstimateService(studio.mina.database, studio.config, studio.mina.models, concurrency=1)
    alone = (await narrow.by_id([line[-1]]))[line[-1]]
    assert alone == Estimate(3, math.ceil(own + 2 * (1 + own) + clips))
    async with worker_connections(studio.mina.dsn, 3):
        shared = (await narrow.by_id([line[-1]]))[line[-1]]
    assert shared == Estimate(3, math.ceil(own + (2 * (1 + own) + clips) / 3))


async def test_what_is_being_made_has_its_rest_and_no_place_in_the_queue(
    studio: Studio, ran: Ran, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()
    painted = OfflineStill.generate

    async def slow(
        self: OfflineStill, request: MediaRequest, into: Path, *, prediction_id: str | None, accepted: Accepted
    ) -> Media:
        started.set()
        await go_on.wait()
        return await painted(self, request, into, prediction_id=prediction_id, accepted=accepted)

    monkeypatch.setattr(OfflineStill, "generate", slow)
    await ran("seedream_generate", 1_000_000)
    await ran("postscan", 5_000)
    generation = await order(studio, await studio.person(5))
    running = asyncio.create_task(studio.mina.runner.run(generation))
    await started.wait()
    found = (await fresh(studio).by_id([generation]))[generation]
    assert found.queue_position is None
    assert 5 + 800 < found.eta_seconds <= 5 + 1000
    go_on.set()
    await running
    assert await fresh(studio).by_id([generation, "generation:none", "generation:\x00"]) == {}


async def test_many_are_looked_at_together(studio: Studio) -> None:
    caller = await studio.person(20)
    line = [await order(studio, caller) for _ in range(12)]
    with counted(studio.mina.database) as made:
        assert len(await fresh(studio).by_id(line)) == 12
    assert len(made) == 2, "one for the generations, one for what was learned"
