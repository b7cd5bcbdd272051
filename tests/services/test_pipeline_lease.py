"""The lease and the database: renewed, lost, out of reach for a while."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from mina_gql.mega.database import DatabaseAway
from mina_gql.mega.generations import runs
from mina_gql.services.pipeline import runner
from tests.services.pipeline_models import Gate
from tests.services.pipeline_places import (
    PLACES,
    Hook,
    caught,
    hold_before_id,
    hold_scan,
    hold_waiting,
    hold_words,
    ordered,
)
from tests.services.pipeline_workshop import Workshop, until, workshop_fixture  # noqa: F401 -- the fixture `workshop`


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
