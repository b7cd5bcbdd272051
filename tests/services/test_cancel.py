"""Cancel, retry and delete: one end, one refund, no paid call after an accepted cancel (DESIGN section 6)."""

import asyncio
import random
from typing import Any

import pytest

from mina_gql.domain.errors import GenerationFailed, InvalidInput, NotCancellable, NotFound
from mina_gql.domain.generations import RetryOrder
from mina_gql.domain.passes import Caller
from mina_gql.services.pipeline.recorder import Recorder
from tests.services.pipeline_models import Gate
from tests.services.pipeline_places import caught, hold_before_id, hold_waiting, hold_words
from tests.services.pipeline_promises import Story
from tests.services.pipeline_workshop import Workshop, workshop_fixture  # noqa: F401 -- the fixture `workshop`

BOUNDARIES = ("load", "enter", "begin", "succeed", "mark", "finish")
"""Every write of a run goes through one of these."""


async def cancelled(workshop: Workshop, caller: Caller, generation: str) -> bool:
    """Whether a cancel was accepted."""
    try:
        return (await workshop.generations.cancel(caller, generation)).generation.status == "error"
    except NotCancellable:
        return False


async def ended_well(workshop: Workshop, generation: str, accepted: bool, balance: int) -> Story:
    """What must hold whatever won: `story` checks one end, one refund at most, the ledger and the order of events."""
    story = await workshop.story(generation)
    assert story.status == ("error" if accepted else "done")
    assert story.generation["mg_error"] == ("CANCELLED" if accepted else None)
    caller = story.generation["mg_pass_id"]
    assert await workshop.sql.fetchval("select mg_credits from mega_customers where mg_pass_id = $1", caller) == balance
    paid = [request for request in workshop.models.brush.paid if request.generation == generation]
    sent = [step["mg_meta"]["sent_at"] for step in story.steps if "sent_at" in step["mg_meta"]]
    assert len(paid) == len(sent) <= 1, "a paid call goes out after its mark, or not at all"
    if accepted and sent:
        end = story.generation["mg_mma_vars"]["statuses"][-1]["at"]
        assert sent[0][:19] <= end[:19], "no mark follows an accepted cancel"
    return story


async def test_a_queued_one_is_cancelled_for_free_and_never_run(workshop: Workshop) -> None:
    caller = await workshop.person(1)
    generation = await workshop.create(caller)
    changed = await workshop.generations.cancel(caller, generation)
    assert (changed.generation.status, changed.owner.balance) == ("error", 1)
    await workshop.mina.runner.run(generation)
    story = await ended_well(workshop, generation, True, 1)
    assert story.steps == []
    assert story.generation["mg_meta"]["failure"]["refunded"] is True
    assert "late_cancel" not in story.generation["mg_meta"]


async def test_cancelling_twice_and_after_the_end_is_refused_and_changes_nothing(workshop: Workshop) -> None:
    caller = await workshop.person(2)
    for generation in (await workshop.create(caller), (await workshop.made(caller)).generation["mg_id"]):
        if (await workshop.story(generation)).status == "queued":
            assert await cancelled(workshop, caller, generation)
        with pytest.raises(NotCancellable):
            await workshop.generations.cancel(caller, generation)
    assert await workshop.balance(caller) == 1


async def test_only_the_owner_cancels(workshop: Workshop) -> None:
    caller, other = await workshop.person(1), await workshop.person(1)
    generation = await workshop.create(caller)
    with pytest.raises(NotFound):
        await workshop.generations.cancel(other, generation)
    assert (await workshop.story(generation)).status == "queued"


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("where", ["before", "after", "beside"])
async def test_a_cancel_at_every_boundary_of_a_run(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, boundary: str, where: str
) -> None:
    """The cancel comes right before, right after, or at the same time as each write of a run; every occurrence in turn."""
    work = getattr(Recorder, boundary)
    for nth in range(8):
        caller = await workshop.person(3)
        generation = await workshop.create(caller, product_image_url=await workshop.upload(caller))
        seen, asked = 0, list[asyncio.Task[bool]]()

        async def cancel() -> None:
            # A task of its own: the run that it ends takes its other tasks with it.
            asked.append(asyncio.create_task(cancelled(workshop, caller, generation)))  # noqa: B023 -- called within the round
            await asyncio.shield(asked[0])  # noqa: B023 -- as above

        async def interrupted(recorder: Recorder, *arguments: Any, **options: Any) -> Any:
            nonlocal seen
            now, seen = seen == nth, seen + 1  # noqa: B023 -- called within the round
            if not now:
                return await work(recorder, *arguments, **options)
            if where == "before":
                await cancel()
            if where == "beside":
                done, _ = await asyncio.gather(work(recorder, *arguments, **options), cancel())
                return done
            done = await work(recorder, *arguments, **options)
            if where == "after":
                await cancel()
            return done

        monkeypatch.setattr(Recorder, boundary, interrupted)
        await workshop.mina.runner.run(generation)
        monkeypatch.setattr(Recorder, boundary, work)
        if not asked:
            assert nth > 0, "the boundary was never reached"
            return
        accepted = await asked[0]
        await ended_well(workshop, generation, accepted, 3 if accepted else 2)


async def test_cancels_that_come_at_any_moment(workshop: Workshop) -> None:
    """Forty runs, each cancelled after another short while, several at once and twice each."""
    rng = random.Random(6)
    await workshop.knobs(**{"limits.late_cancels_per_day": 1000})

    async def pause(*_: object) -> None:
        await asyncio.sleep(rng.uniform(0, 0.02))

    workshop.models.eye.before = workshop.models.pen.before = pause
    workshop.models.brush.before_id = workshop.models.brush.while_waiting = pause

    async def one() -> tuple[str, bool]:
        caller = await workshop.person(2)
        generation = await workshop.create(caller, product_image_url=await workshop.upload(caller))
        run = asyncio.create_task(workshop.mina.runner.run(generation))
        await asyncio.sleep(rng.uniform(0, 0.35))
        answers = await asyncio.gather(*(cancelled(workshop, caller, generation) for _ in range(2)))
        await run
        assert sum(answers) <= 1
        return generation, any(answers)

    for _ in range(7):
        for generation, accepted in await asyncio.gather(*(one() for _ in range(6))):
            await ended_well(workshop, generation, accepted, 2 if accepted else 1)


async def test_a_late_cancel_tells_the_vendor_once(workshop: Workshop) -> None:
    caller = await workshop.person(1)
    generation = await workshop.create(caller)
    async with caught(workshop, generation, hold_waiting):
        assert await cancelled(workshop, caller, generation)
        assert await workshop.mina.endings.pass_on_cancels() == 1
        assert await workshop.mina.endings.pass_on_cancels() == 0
    assert workshop.models.brush.cancelled == ["prediction-1"]
    story = await ended_well(workshop, generation, True, 1)
    assert story.generation["mg_meta"]["late_cancel"] is True


async def test_a_cancel_before_the_id_is_known_stops_the_prediction_as_its_id_comes(workshop: Workshop) -> None:
    caller = await workshop.person(1)
    generation = await workshop.create(caller)
    async with caught(workshop, generation, hold_before_id):
        assert await cancelled(workshop, caller, generation)
    assert workshop.models.brush.cancelled == ["prediction-1"]
    await ended_well(workshop, generation, True, 1)


async def test_a_vendor_that_cannot_be_told_is_no_reason_to_stop(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: str) -> None:
        raise GenerationFailed("PROVIDER_ERROR", "away")

    caller = await workshop.person(1)
    generation = await workshop.create(caller)
    async with caught(workshop, generation, hold_waiting):
        assert await cancelled(workshop, caller, generation)
        monkeypatch.setattr(workshop.models.brush, "cancel", away)
        assert await workshop.mina.endings.pass_on_cancels() == 1
    await ended_well(workshop, generation, True, 1)


async def test_late_cancels_are_limited_and_early_ones_are_not(workshop: Workshop) -> None:
    """Five a day after the paid call went out; deleting them gives none back."""
    caller = await workshop.person(30)
    for n in range(5):
        generation = await workshop.create(caller)
        async with caught(workshop, generation, hold_waiting):
            assert await cancelled(workshop, caller, generation)
        if n % 2:
            await workshop.generations.delete(caller, generation)
    early = await workshop.create(caller)
    async with caught(workshop, early, hold_words):
        assert await cancelled(workshop, caller, early)
    generation = await workshop.create(caller)
    async with caught(workshop, generation, hold_waiting):
        with pytest.raises(NotCancellable, match="5 a day"):
            await workshop.generations.cancel(caller, generation)
    await ended_well(workshop, generation, False, 29)


async def test_late_cancels_raced_keep_to_the_limit(workshop: Workshop) -> None:
    caller = await workshop.person(10)
    await workshop.knobs(**{"limits.late_cancels_per_day": 2})
    generations = [await workshop.create(caller) for _ in range(6)]
    gate = Gate()
    workshop.models.brush.while_waiting = gate
    slots = await workshop.config.role("still")
    assert slots.concurrency >= 6
    runs = [asyncio.create_task(workshop.mina.runner.run(generation)) for generation in generations]
    async with asyncio.timeout(30):
        while gate.inside < 6:  # noqa: ASYNC110 -- six arrive at one gate
            await asyncio.sleep(0.01)
    answers = await asyncio.gather(*(cancelled(workshop, caller, generation) for generation in generations))
    gate.go.set()
    await asyncio.gather(*runs)
    assert sum(answers) == 2
    assert await workshop.balance(caller) == 10 - 4


# ---------------------------------------------------------------- retry


async def test_a_retry_takes_the_same_inputs_and_keeps_the_failed_one(workshop: Workshop) -> None:
    """FEATURES T4, N9."""
    caller = await workshop.person(10)
    workshop.models.pen.answers = [{}, {}]
    failed = await workshop.made(caller, product_image_url=await workshop.upload(caller), style="moody", ratio="3:4")
    assert failed.status == "error"
    ordered = await workshop.orders.retry(caller, RetryOrder(failed.generation["mg_id"], idempotency_key="r"))
    again = await workshop.run(ordered.generation.id)
    mine, its = again.generation["mg_mma_vars"], failed.generation["mg_mma_vars"]
    assert {name: mine[name] for name in ("assets", "inputs", "settings")} == {
        name: its[name] for name in ("assets", "inputs", "settings")
    }
    assert (again.status, again.generation["mg_meta"]["retry_of"]) == ("done", failed.generation["mg_id"])
    assert (await workshop.story(failed.generation["mg_id"])).generation == failed.generation
    replayed = await workshop.orders.retry(caller, RetryOrder(failed.generation["mg_id"], idempotency_key="r"))
    assert (replayed.replayed, replayed.generation.id) == (True, again.generation["mg_id"])
    assert await workshop.balance(caller) == 9


async def test_tweaks_and_clips_are_retried_as_what_they_are(workshop: Workshop) -> None:
    caller = await workshop.person(30)
    parent = await workshop.made(caller)
    for ordered, steps in (
        (workshop.tweak(caller, parent.generation["mg_id"], "Softer"), ["gpt_feedback_still", "seedream_generate_feedback"]),
        (workshop.animate(caller, generation_id=parent.generation["mg_id"]), ["gpt_reader_motion", "kling_generate"]),
    ):
        workshop.models.pen.answers = [{}, {}]
        failed = await workshop.run(await ordered)
        assert failed.status == "error"
        again = await workshop.run((await workshop.orders.retry(caller, RetryOrder(failed.generation["mg_id"]))).generation.id)
        assert [step["mg_step_type"] for step in again.steps][:2] == steps
        assert (again.status, again.generation["mg_parent_id"]) == ("done", parent.generation["mg_id"])
        assert again.generation["mg_mma_vars"]["feedback"] == failed.generation["mg_mma_vars"]["feedback"]


async def test_only_ones_own_failures_are_retried(workshop: Workshop) -> None:
    caller, other = await workshop.person(5), await workshop.person(5)
    made, queued = (await workshop.made(caller)).generation["mg_id"], await workshop.create(caller)
    for by, generation, error in ((caller, made, InvalidInput), (caller, queued, InvalidInput), (other, made, NotFound)):
        with pytest.raises(error):
            await workshop.orders.retry(by, RetryOrder(generation))


# ---------------------------------------------------------------- delete


async def test_a_deleted_one_is_gone_from_every_read_and_its_ledger_stays(workshop: Workshop) -> None:
    """FEATURES N10."""
    caller, other = await workshop.person(5), await workshop.person(5)
    generation = (await workshop.made(caller)).generation["mg_id"]
    entries = await workshop.entries(caller)
    with pytest.raises(NotFound):
        await workshop.generations.delete(other, generation)
    assert (await workshop.generations.delete(caller, generation)).generation.id == generation
    assert await workshop.generations.own(str(caller.pass_id), generation) is None
    assert await workshop.entries(caller) == entries
    with pytest.raises(NotFound):
        await workshop.generations.delete(caller, generation)


async def test_deleting_what_is_being_made_cancels_it_first(workshop: Workshop) -> None:
    caller = await workshop.person(5)
    generation = await workshop.create(caller)
    async with caught(workshop, generation, hold_words):
        gone = await workshop.generations.delete(caller, generation)
        assert (gone.generation.status, gone.owner.balance) == ("error", 5)
    await ended_well(workshop, generation, True, 5)


async def test_deletes_raced_are_done_once(workshop: Workshop) -> None:
    caller = await workshop.person(5)
    generation = await workshop.create(caller)
    run = asyncio.create_task(workshop.mina.runner.run(generation))
    results = await asyncio.gather(*(workshop.generations.delete(caller, generation) for _ in range(5)), return_exceptions=True)
    await run
    assert [type(result) for result in results if isinstance(result, Exception)] == [NotFound] * 4
    await workshop.check_books()


async def test_a_prediction_that_took_too_long_is_stopped_at_its_vendor_too(workshop: Workshop) -> None:
    caller = await workshop.person(1)
    generation = await workshop.create(caller)
    async with caught(workshop, generation, hold_waiting):
        late = GenerationFailed("DEADLINE_EXCEEDED", "Too long.")
        assert await workshop.mina.endings.fail(generation, late, lease=None)
        assert await workshop.mina.endings.pass_on_cancels() == 1
    assert workshop.models.brush.cancelled == ["prediction-1"]
