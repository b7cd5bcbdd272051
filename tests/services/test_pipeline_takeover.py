"""Runs that are interrupted, and the ones that take over: nothing is done twice, paid twice or lost (DESIGN section 6)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from pipeline_models import Gate, ScriptedModels, at_once
from pipeline_promises import Row, kept
from pipeline_workshop import Workshop, until, workshop_fixture  # noqa: F401 -- the fixture `workshop`

from mina_gql.domain.errors import GenerationFailed, LeaseLost
from mina_gql.domain.pipeline import GenerationStatus
from mina_gql.mega.database import DatabaseAway
from mina_gql.mega.generations import runs
from mina_gql.services.pipeline import runner

Hook = Callable[..., Any]


def hold_scan(models: ScriptedModels, hook: Hook) -> None:
    models.eye.before = hook


def hold_words(models: ScriptedModels, hook: Hook) -> None:
    models.pen.before = hook


def hold_before_id(models: ScriptedModels, hook: Hook) -> None:
    models.brush.before_id = hook


def hold_waiting(models: ScriptedModels, hook: Hook) -> None:
    models.brush.while_waiting = hook


PLACES = [hold_scan, hold_words, hold_before_id, hold_waiting]
"""Where a run can be caught in the middle of something outside."""


@pytest.fixture
def no_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is left behind does not get its lease back."""
    monkeypatch.setattr(runner, "LEASE_RENEWAL", timedelta(hours=1))


@asynccontextmanager
async def caught(
    workshop: Workshop, generation: str, place: Callable[[ScriptedModels, Hook], None]
) -> AsyncIterator[asyncio.Task[None]]:
    """A run that stands still in the middle of something; it goes on when the block ends."""
    gate = Gate()
    place(workshop.models, gate)
    run = asyncio.create_task(workshop.mina.runner.run(generation))
    try:
        await asyncio.wait_for(gate.reached.wait(), 20)
        place(workshop.models, at_once)
        yield run
    finally:
        gate.go.set()
        await asyncio.wait([run])


async def ordered(workshop: Workshop) -> str:
    """An order with a product picture."""
    caller = await workshop.person(10)
    return await workshop.create(caller, product_image_url=await workshop.upload(caller))


async def everything(workshop: Workshop) -> list[Row]:
    """Every row of the ledger as it is."""
    return [dict(row) for row in await workshop.looking.fetch("select * from mega_generations order by mg_id")]


@pytest.mark.usefixtures("no_renewal")
@pytest.mark.parametrize("place", PLACES)
async def test_a_takeover_goes_on_from_the_checkpoints_and_the_old_run_writes_nothing_more(
    workshop: Workshop, place: Hook
) -> None:
    generation = await ordered(workshop)
    async with caught(workshop, generation, place) as old:
        before = (await workshop.story(generation)).checkpoints
        await workshop.expire_lease(generation)
        after = await workshop.run(generation)
        assert after.status == ("error" if place is hold_before_id else "done")
        assert {id_: after.checkpoints[id_] for id_ in before} == before, "what had succeeded is as it was"
        assert len({(step["mg_step_type"], step["mg_meta"]["index"]) for step in after.steps}) == len(after.steps)
        rows = await everything(workshop)
    await old
    assert await everything(workshop) == rows, "the old run woke up and wrote"
    assert len(workshop.models.brush.paid) == 1


@pytest.mark.usefixtures("no_renewal")
async def test_a_takeover_waits_for_the_prediction_that_was_paid_for(workshop: Workshop) -> None:
    generation = await ordered(workshop)
    async with caught(workshop, generation, hold_waiting):
        await workshop.expire_lease(generation)
        assert (await workshop.run(generation)).status == "done"
        assert workshop.models.brush.polled == ["prediction-1", "prediction-1"]
    assert len(workshop.models.brush.paid) == 1
    assert workshop.models.brush.cancelled == []


@pytest.mark.usefixtures("no_renewal")
async def test_sent_without_an_id_is_never_asked_again_and_the_late_id_is_cancelled(workshop: Workshop) -> None:
    caller = await workshop.person(2)
    generation = await workshop.create(caller)
    async with caught(workshop, generation, hold_before_id):
        await workshop.expire_lease(generation)
        story = await workshop.run(generation)
        assert (story.status, story.generation["mg_error"]) == ("error", "PROVIDER_ERROR")
        assert story.generation["mg_meta"]["failure"]["step_type"] == "seedream_generate"
        assert await workshop.balance(caller) == 2
    assert len(workshop.models.brush.paid) == 1
    assert [type(refusal) for refusal in workshop.models.brush.refusals] == [LeaseLost]
    assert workshop.models.brush.cancelled == ["prediction-1"]
    assert "prediction_id" not in (await workshop.story(generation)).steps[-1]["mg_meta"]


@pytest.mark.usefixtures("no_renewal")
async def test_a_crash_between_a_lost_paid_call_and_its_end_does_not_ask_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step's failure and the generation's end are one transaction: no crash in between makes the step look untried."""
    generation = await ordered(workshop)
    endings = workshop.mina.endings

    async def crash(*_: object, **__: object) -> bool:
        raise DatabaseAway

    async with caught(workshop, generation, hold_before_id):
        await workshop.expire_lease(generation)
        with monkeypatch.context() as crashing:
            crashing.setattr(endings, "fail", crash)
            with pytest.raises(DatabaseAway):
                await workshop.mina.runner.run(generation)
        await workshop.expire_lease(generation)
        assert (await workshop.run(generation)).status == "error"
    assert len(workshop.models.brush.paid) == 1


async def test_a_vendors_refusal_is_not_asked_for_twice_after_a_crash(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: str) -> None:
        raise GenerationFailed("MODERATED", "Try other words.", retryable=False)

    async def crash(*_: object, **__: object) -> bool:
        raise DatabaseAway

    workshop.models.brush.while_waiting = refuse
    generation = await ordered(workshop)
    with monkeypatch.context() as crashing:
        crashing.setattr(workshop.mina.endings, "fail", crash)
        with pytest.raises(DatabaseAway):
            await workshop.mina.runner.run(generation)
    await workshop.expire_lease(generation)
    story = await workshop.run(generation)
    assert story.generation["mg_error"] == "MODERATED"
    assert len(workshop.models.brush.paid) == 1


@pytest.mark.parametrize("place", PLACES)
async def test_a_run_that_is_stopped_hands_back_and_no_attempt_is_counted(workshop: Workshop, place: Hook) -> None:
    generation = await ordered(workshop)
    async with caught(workshop, generation, place) as run:
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    story = await workshop.story(generation)
    assert story.generation["mg_meta"]["attempts"] == 0
    assert not {"lease", "lease_until"} & story.generation["mg_meta"].keys()
    after = await workshop.run(generation)
    assert after.status == ("error" if place is hold_before_id else "done")
    assert {id_: after.checkpoints[id_] for id_ in story.checkpoints} == story.checkpoints
    assert len(workshop.models.brush.paid) == 1


async def test_without_the_lease_nothing_can_be_written(workshop: Workshop) -> None:
    generation, other = await ordered(workshop), "somebody else's"
    ending = runs.Ending("prompt", "https://x.example/y.jpg", "y.jpg", "offline", "brush")
    async with caught(workshop, generation, hold_words):
        rows = await everything(workshop)
        async with workshop.mina.database.begin() as session:
            assert not await runs.hold(session, generation, other)
            assert not await runs.renew(session, generation, other)
            assert await runs.advance(session, generation, other, status=GenerationStatus.GENERATING, line="Hello.") is None
            assert await runs.finish(session, generation, other, ending, patches={}, final_line="Hello.") is None
            await runs.release(session, generation, other)
        assert not await workshop.mina.endings.fail(generation, GenerationFailed("INTERNAL", "No."), lease=other)
        assert await everything(workshop) == rows


async def test_a_second_delivery_does_nothing_while_the_first_works_or_after(workshop: Workshop) -> None:
    generation = await ordered(workshop)
    async with caught(workshop, generation, hold_waiting):
        rows = await everything(workshop)
        await workshop.mina.runner.run(generation)
        assert await everything(workshop) == rows
    ended = await everything(workshop)
    await workshop.mina.runner.run(generation)
    assert await everything(workshop) == ended
    assert len(workshop.models.brush.paid) == 1


async def test_ten_deliveries_at_once_make_one_run(workshop: Workshop) -> None:
    generation = await ordered(workshop)
    await asyncio.gather(*(workshop.mina.runner.run(generation) for _ in range(10)))
    story = await workshop.story(generation)
    assert story.status == "done"
    assert story.generation["mg_meta"]["attempts"] == 1
    assert len(workshop.models.brush.paid) == 1


async def test_a_lease_is_renewed_for_as_long_as_the_work_takes(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    renew, renewals, enough = runs.renew, 0, asyncio.Event()

    async def counted(*arguments: Any) -> bool:
        nonlocal renewals
        renewals += 1
        if renewals > 25:
            enough.set()
        return await renew(*arguments)

    monkeypatch.setattr(runs, "renew", counted)
    monkeypatch.setattr(runner, "LEASE_RENEWAL", timedelta(milliseconds=100))
    monkeypatch.setattr(runner, "LEASE", timedelta(seconds=2))
    generation = await ordered(workshop)
    async with caught(workshop, generation, hold_words):
        await asyncio.wait_for(enough.wait(), 30)
    assert (await workshop.story(generation)).status == "done"


async def test_an_outage_shorter_than_the_lease_costs_nothing(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    renew, faults, renewed = runs.renew, [DatabaseAway(), RuntimeError("odd"), DatabaseAway()], asyncio.Event()

    async def after_an_outage(*arguments: Any) -> bool:
        if faults:
            raise faults.pop()
        held = await renew(*arguments)
        renewed.set()
        return held

    monkeypatch.setattr(runs, "renew", after_an_outage)
    monkeypatch.setattr(runner, "LEASE_RENEWAL", timedelta(milliseconds=50))
    generation = await ordered(workshop)
    async with caught(workshop, generation, hold_waiting):
        await asyncio.wait_for(renewed.wait(), 30)
    story = await workshop.story(generation)
    assert (story.status, story.generation["mg_meta"]["attempts"]) == ("done", 1)


async def test_a_database_that_is_full_is_away_and_no_failure_of_the_work(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise asyncpg.TooManyConnectionsError("sorry, too many clients already")

    generation = await ordered(workshop)
    with monkeypatch.context() as crowded:
        async with caught(workshop, generation, hold_words) as run:
            await workshop.cut("mina")
            crowded.setattr(asyncpg, "connect", full)
        assert isinstance(run.exception(), DatabaseAway)
    await workshop.expire_lease(generation)
    assert (await workshop.run(generation)).status == "done"


@pytest.mark.parametrize("place", PLACES)
async def test_a_run_that_cannot_renew_stops_before_another_may_start(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, place: Hook
) -> None:
    async def away(*_: object) -> bool:
        raise DatabaseAway

    monkeypatch.setattr(runs, "renew", away)
    monkeypatch.setattr(runner, "LEASE_RENEWAL", timedelta(milliseconds=50))
    monkeypatch.setattr(runner, "LEASE", timedelta(seconds=2))
    generation = await ordered(workshop)
    async with caught(workshop, generation, place) as run:
        await asyncio.wait_for(run, 30)
    story = await workshop.story(generation)
    assert story.status not in {"done", "error"}
    await workshop.expire_lease(generation)
    monkeypatch.undo()
    assert (await workshop.run(generation)).status == ("error" if place is hold_before_id else "done")


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


async def test_connections_that_die_between_writes_cost_nothing(workshop: Workshop) -> None:
    generation = await ordered(workshop)
    async with caught(workshop, generation, hold_words):
        assert await workshop.cut() > 0
    story = await workshop.story(generation)
    assert story.status == "done"
    assert story.generation["mg_meta"]["attempts"] == 1


@pytest.mark.parametrize(("place", "inside"), [(hold_scan, 3), (hold_words, 1), (hold_waiting, 1)])
async def test_a_connection_that_dies_within_a_write_is_no_failure_of_the_work(
    workshop: Workshop, place: Hook, inside: int
) -> None:
    """Also where several steps write at once."""
    caller = await workshop.person(10)
    urls = tuple([await workshop.upload(caller) for _ in range(3)])
    generation = await workshop.create(caller, inspiration_image_urls=urls)
    gate = Gate()
    place(workshop.models, gate)
    run = asyncio.create_task(workshop.mina.runner.run(generation))

    async def all_inside() -> bool:
        return gate.inside == inside

    async def writes() -> bool:
        query = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        return bool(await workshop.sql.fetchval(query))

    await until(all_inside)
    async with workshop.looking.transaction():
        await workshop.looking.fetch("select from mega_generations where mg_id = $1 for update", generation)
        gate.go.set()
        await until(writes)
        assert await workshop.cut() > 0
        with pytest.raises(DatabaseAway):
            await run
    before = (await workshop.story(generation)).checkpoints
    await workshop.expire_lease(generation)
    after = await workshop.run(generation)
    assert after.status == "done"
    assert {id_: after.checkpoints[id_] for id_ in before} == before
    assert len(workshop.models.brush.paid) == 1


async def started_ago(workshop: Workshop, generation: str, ago: timedelta) -> None:
    """As if the first run had started so long ago."""
    started = await workshop.looking.fetchval("select (clock_timestamp() - $1::interval)::text", ago)
    await workshop.meta(generation, first_started_at=started)
