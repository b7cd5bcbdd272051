"""Company while they wait: a line at least every five seconds, none twice in a row, in the queue as well."""

import asyncio
from itertools import pairwise

import pytest

from mina_gql.services.pipeline import lines, queue, runner
from tests.services.pipeline_models import Gate
from tests.services.pipeline_workshop import Workshop, until, workshop_fixture  # noqa: F401 -- the fixture `workshop`


async def told(workshop: Workshop, generation: str) -> list[str]:
    row = await workshop.looking.fetchrow("select mg_mma_vars from mega_generations where mg_id = $1", generation)
    return [line["text"] for line in row["mg_mma_vars"]["userMessages"]["scan_lines"]]


def test_the_pace_leaves_time_to_write() -> None:
    assert 3.0 <= lines.PACE_SECONDS <= 4.5


@pytest.mark.parametrize("mode", ["still", "video"])
async def test_a_long_step_is_kept_company(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(runner, "PACE_SECONDS", 0.05)
    gate = Gate()
    workshop.models.brush.while_waiting = workshop.models.camera.while_waiting = gate
    caller = await workshop.person(10)
    if mode == "still":
        generation = await workshop.create(caller)
    else:
        generation = await workshop.animate(caller, input_still_url=await workshop.upload(caller))
    run = asyncio.create_task(workshop.mina.runner.run(generation))
    await gate.reached.wait()
    before = len(await told(workshop, generation))

    async def ten_more() -> bool:
        return len(await told(workshop, generation)) >= before + 10

    await until(ten_more)
    gate.go.set()
    await run
    said = await told(workshop, generation)
    assert all(one != next_ for one, next_ in pairwise(said))
    waited = said[before + 1 : before + 10]
    assert len(set(waited)) == len(waited)
    assert (await workshop.story(generation)).status == "done"


async def test_a_quick_run_says_no_more_than_it_has_to_say(workshop: Workshop) -> None:
    story = await workshop.made()
    assert len(story.generation["mg_mma_vars"]["userMessages"]["scan_lines"]) == 4


async def test_those_in_the_queue_hear_something_too_once_each_time(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "QUEUED_SILENCE", 0.3)
    caller = await workshop.person(3)
    generations = [await workshop.create(caller) for _ in range(3)]
    first, second = (
        queue.QueueCompany(workshop.mina.database, workshop.mina.runner._bus),
        queue.QueueCompany(workshop.mina.database, workshop.mina.runner._bus),
    )
    for n in range(1, 8):
        await asyncio.sleep(0.35)
        assert sum(await asyncio.gather(first.talk(), second.talk())) == 3, "each line is told by one of two workers"
        assert {len(await told(workshop, generation)) for generation in generations} == {n}
    lines_told = await told(workshop, generations[0])
    assert all(one != next_ for one, next_ in pairwise(lines_told))
    assert (await workshop.run(generations[0])).status == "done"
    await asyncio.sleep(0.35)
    assert sum(await asyncio.gather(first.talk(), second.talk())) == 2


async def test_who_was_told_something_just_now_is_left_in_peace(workshop: Workshop) -> None:
    await workshop.create()
    assert await queue.QueueCompany(workshop.mina.database, workshop.mina.runner._bus).talk() == 0
