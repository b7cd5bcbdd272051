"""How work ends that nobody finishes: attempts, deadlines, the reconcile job, and one refund whatever happens at once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from mina_gql.domain.errors import GenerationFailed
from mina_gql.services.pipeline import runner
from tests.services.pipeline_places import (
    PLACES,
    Hook,
    caught,
    everything,
    hold_words,
    ordered,
    started_ago,
)
from tests.services.pipeline_promises import kept
from tests.services.pipeline_workshop import Workshop, workshop_fixture  # noqa: F401 -- the fixture `workshop`


async def test_a_run_stops_when_its_generation_is_ended_by_somebody_else(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadline or a cancel ends it under the run, which learns of it at its next renewal."""
    monkeypatch.setattr(runner, "LEASE_RENEWAL", timedelta(milliseconds=50))
    generation = await ordered(workshop)
    async with caught(workshop, generation, hold_words) as run:
        assert await workshop.mina.endings.fail(generation, GenerationFailed("CANCELLED", "Stopped."), lease=None)
        rows = await everything(workshop)
        await asyncio.wait_for(run, 20)
    assert await everything(workshop) == rows
    assert workshop.models.brush.paid == []


@pytest.mark.parametrize(("attempts", "status"), [(4, "done"), (5, "error")])
async def test_it_is_given_up_past_five_attempts(workshop: Workshop, attempts: int, status: str) -> None:
    caller = await workshop.person(2)
    generation = await workshop.create(caller)
    await workshop.meta(generation, attempts=attempts, lease="dead", lease_until="2000-01-01T00:00:00+00:00")
    await workshop.drop_jobs()
    assert await workshop.mina.endings.reconcile() == 1
    for job in await workshop.jobs():
        await workshop.mina.runner.run(job)
    story = await workshop.story(generation)
    assert story.status == status
    if status == "error":
        assert story.generation["mg_error"] == "INTERNAL"
        assert story.steps == []
        assert await workshop.balance(caller) == 2


async def test_past_its_deadline_a_run_ends_it(workshop: Workshop) -> None:
    generation = await ordered(workshop)
    await started_ago(workshop, generation, timedelta(minutes=10, seconds=1))
    story = await workshop.run(generation)
    assert (story.status, story.generation["mg_error"]) == ("error", "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("place", PLACES)
async def test_the_deadline_ends_it_in_the_middle_of_a_step(workshop: Workshop, place: Hook) -> None:
    generation = await ordered(workshop)
    await started_ago(workshop, generation, timedelta(minutes=10) - timedelta(seconds=3))
    async with caught(workshop, generation, place) as run:
        await asyncio.wait_for(run, 30)
    story = await workshop.story(generation)
    assert (story.status, story.generation["mg_error"]) == ("error", "DEADLINE_EXCEEDED")
    assert {step["mg_error"] for step in story.steps} == {None, "DEADLINE_EXCEEDED"}


async def test_past_its_deadline_nobody_needs_to_take_it_up(workshop: Workshop) -> None:
    generation = await ordered(workshop)
    await started_ago(workshop, generation, timedelta(minutes=10, seconds=1))
    await workshop.meta(generation, lease="dead", lease_until="2000-01-01T00:00:00+00:00")
    await workshop.mina.endings.reconcile()
    assert (await workshop.story(generation)).generation["mg_error"] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(("minutes", "status"), [(29, "queued"), (31, "error")])
async def test_nothing_waits_in_the_queue_for_more_than_half_an_hour(workshop: Workshop, minutes: int, status: str) -> None:
    generation = await ordered(workshop)
    await workshop.looking.execute("alter table mega_generations disable trigger mega_generations_identity")
    await workshop.looking.execute(
        "update mega_generations set mg_created_at = mg_created_at - $2::interval where mg_id = $1",
        generation,
        timedelta(minutes=minutes),
    )
    await workshop.mina.endings.reconcile()
    assert (await workshop.story(generation)).status == status


async def test_work_without_a_job_gets_one_and_only_one(workshop: Workshop) -> None:
    generation = await ordered(workshop)
    await workshop.drop_jobs()
    await asyncio.gather(*(workshop.mina.endings.reconcile() for _ in range(4)))
    assert await workshop.jobs() == [generation]


async def test_deleted_work_is_finished_or_paid_back_too(workshop: Workshop) -> None:
    generation = await ordered(workshop)
    await workshop.drop_jobs()
    await workshop.looking.execute("update mega_generations set mg_deleted_at = now() where mg_id = $1", generation)
    await workshop.mina.endings.reconcile()
    assert await workshop.jobs() == [generation]


async def test_work_in_good_hands_is_left_alone(workshop: Workshop) -> None:
    generation = await ordered(workshop)
    async with caught(workshop, generation, hold_words):
        await workshop.drop_jobs()
        assert await workshop.mina.endings.reconcile() == 0
        assert await workshop.jobs() == []


async def test_one_that_cannot_be_ended_does_not_keep_the_others_waiting(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, fine = await ordered(workshop), await ordered(workshop)
    for generation in (stuck, fine):
        await started_ago(workshop, generation, timedelta(hours=1))
    fail = workshop.mina.endings.fail

    async def sometimes(generation: str, *arguments: Any, **options: Any) -> bool:
        if generation == stuck:
            raise RuntimeError("a row nobody foresaw")
        return await fail(generation, *arguments, **options)

    monkeypatch.setattr(workshop.mina.endings, "fail", sometimes)
    await workshop.mina.endings.reconcile()
    assert (await workshop.story(fine)).status == "error"


async def test_ten_endings_at_once_pay_back_once(workshop: Workshop) -> None:
    caller = await workshop.person(5)
    generation = await workshop.create(caller)
    failure = GenerationFailed("CANCELLED", "Stopped.")
    ended = await asyncio.gather(*(workshop.mina.endings.fail(generation, failure, lease=None) for _ in range(10)))
    assert sorted(ended) == [False] * 9 + [True]
    assert [reason for reason, _ in await workshop.entries(caller)] == ["adjustment", "charge", "refund"]
    assert (await workshop.story(generation)).status == "error"


async def test_an_end_and_a_failure_at_once_leave_one_of_them(workshop: Workshop) -> None:
    generations = [await ordered(workshop) for _ in range(8)]
    failure = GenerationFailed("CANCELLED", "Stopped.")
    runs_ = [workshop.mina.runner.run(generation) for generation in generations]
    fails = [workshop.mina.endings.fail(generation, failure, lease=None) for generation in generations]
    await asyncio.gather(*runs_, *fails)
    told = await workshop.all_ended()
    assert {told[generation].status for generation in generations} <= {"done", "error"}


async def test_orders_and_reconciling_at_once_make_one_job_each(workshop: Workshop) -> None:
    callers = [await workshop.person(2) for _ in range(4)]
    work = [workshop.create(caller, idempotency_key=str(number)) for caller in callers for number in (1, 1, 2)]
    results = await asyncio.gather(*work, *(workshop.mina.endings.reconcile() for _ in range(10)))
    generations = {generation for generation in results if isinstance(generation, str)}
    assert len(generations) == 8
    assert sorted(await workshop.jobs()) == sorted(generations)
    assert all([await workshop.balance(caller) == 0 for caller in callers])
    await kept(workshop.looking)


async def test_what_a_month_has_passed_over_ends_all_the_same(workshop: Workshop) -> None:
    """Milliseconds of 25 days are more than a column holds."""
    generation = await workshop.create()
    async with caught(workshop, generation, hold_words):
        await workshop.expire_lease(generation)
        await started_ago(workshop, generation, timedelta(days=40))
        await workshop.sql.execute("alter table mega_generations disable trigger all")
        await workshop.looking.execute(
            """update mega_generations set mg_created_at = mg_created_at - interval '40 days',
              mg_payload = case when mg_record_type = 'mma_step'
                then jsonb_set(mg_payload, '{timing,started_at}', '"2026-01-01T00:00:00.000Z"') else mg_payload end
            where mg_generation_id = $1""",
            generation.removeprefix("generation:"),
        )
        await workshop.sql.execute("alter table mega_generations enable trigger all")
        await workshop.mina.endings.reconcile()
    row = await workshop.looking.fetchrow("select * from mega_generations where mg_id = $1", generation)
    assert (row["mg_error"], row["mg_latency_ms"]) == ("DEADLINE_EXCEEDED", 2_147_483_647)
