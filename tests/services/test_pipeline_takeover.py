"""Runs that are interrupted, and the ones that take over: nothing is done twice, paid twice or lost (DESIGN section 6)."""

import asyncio
from datetime import timedelta

import pytest

from mina_gql.domain.errors import GenerationFailed, LeaseLost
from mina_gql.domain.pipeline import GenerationStatus
from mina_gql.mega.database import DatabaseAway
from mina_gql.mega.generations import runs
from mina_gql.services.pipeline import runner
from tests.services.pipeline_places import (
    PLACES,
    Hook,
    caught,
    everything,
    hold_before_id,
    hold_waiting,
    hold_words,
    ordered,
)
from tests.services.pipeline_workshop import Workshop, workshop_fixture  # noqa: F401 -- the fixture `workshop`


@pytest.fixture
def no_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is left behind does not get its lease back."""
    monkeypatch.setattr(runner, "LEASE_RENEWAL", timedelta(hours=1))


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
            assert await runs.finish(session, generation, other, ending, final_line="Hello.") is None
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
