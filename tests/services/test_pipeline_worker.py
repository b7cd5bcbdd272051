"""The worker: jobs are taken, handed back and taken again; lost connections and second deliveries change nothing."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from pgqueuer.errors import FailingListenerError
from structlog.testing import capture_logs

from mina_gql.adapters import jobs, progress
from mina_gql.domain.pipeline import MAX_ATTEMPTS
from mina_gql.mega.database import SessionConnection
from mina_gql.mega.generations import runs
from mina_gql.services.pipeline import runner
from tests.services.pipeline_models import Gate, at_once
from tests.services.pipeline_workshop import Workshop, opened, until, workshop_fixture  # noqa: F401 -- the fixture `workshop`


async def test_what_is_ordered_is_made(workshop: Workshop) -> None:
    async with workshop.mina.worker.running():
        generations = [await workshop.create() for _ in range(12)]
        told = await workshop.all_ended()
    assert {told[generation].status for generation in generations} == {"done"}
    assert {story.generation["mg_meta"]["attempts"] for story in told.values()} == {1}
    assert await workshop.jobs() == []


async def test_a_worker_that_stops_hands_back_and_the_next_one_goes_on_at_once(workshop: Workshop) -> None:
    """At once: before any lease would have run out, with the same prediction, and no attempt counted."""
    gate = Gate()
    workshop.models.brush.while_waiting = gate
    async with workshop.mina.worker.running():
        generations = [await workshop.create() for _ in range(3)]

        async def all_inside() -> bool:
            return gate.inside == 3

        await until(all_inside)
    assert sorted(await workshop.jobs()) == sorted(generations)
    statuses = await workshop.looking.fetch("select distinct status::text from ops.pgqueuer")
    assert [row["status"] for row in statuses] == ["queued"]
    for generation in generations:
        meta = (await workshop.story(generation)).generation["mg_meta"]
        assert meta["attempts"] == 0
        assert "lease" not in meta
    workshop.models.brush.while_waiting = at_once
    async with (
        opened(workshop.mina.dsn, workshop.mina.settings.home, workshop.models) as next_one,
        next_one.mina.worker.running(),
    ):
        told = await next_one.all_ended()
    assert {story.status for story in told.values()} == {"done"}
    assert len(workshop.models.brush.paid) == 3
    assert {story.generation["mg_meta"]["attempts"] for story in told.values()} == {1}


async def test_a_job_that_arrives_while_the_worker_stops_is_not_begun(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PGQueuer dispatches a whole batch once it has fetched it, also when it was told to stop meanwhile."""
    worker, begun = workshop.mina.worker, asyncio.Event()
    job = worker._job

    async def job_while_stopping(given: Any) -> None:
        await worker.stop()
        try:
            await job(given)
        finally:
            begun.set()

    monkeypatch.setattr(worker, "_job", job_while_stopping)
    async with worker.running():
        generation = await workshop.create()
        await asyncio.wait_for(begun.wait(), 30)
    assert await workshop.jobs() == [generation]
    assert (await workshop.story(generation)).status == "queued"


async def test_a_job_for_what_has_ended_or_never_was_goes_away(workshop: Workshop) -> None:
    ended = (await workshop.made()).generation
    rows = await workshop.looking.fetchval("select count(*) from mega_generations")

    async def no_jobs() -> bool:
        return await workshop.jobs() == []

    async with workshop.mina.worker.running():
        for generation in (ended["mg_id"], "generation:00000000-0000-4000-8000-000000000000", "nonsense"):
            async with workshop.mina.database.begin() as session:
                await jobs.GenerationQueue().enqueue(SessionConnection(session), generation)
        await until(no_jobs)
    assert (await workshop.story(ended["mg_id"])).generation == ended
    assert await workshop.looking.fetchval("select count(*) from mega_generations") == rows


async def test_an_order_that_is_rolled_back_leaves_no_job(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue = workshop.orders._jobs.enqueue

    async def enqueue_and_fail(*arguments: Any, **options: Any) -> None:
        await enqueue(*arguments, **options)
        raise RuntimeError("after the job was enqueued")

    caller = await workshop.person(2)
    monkeypatch.setattr(workshop.orders._jobs, "enqueue", enqueue_and_fail)
    with pytest.raises(RuntimeError):
        await workshop.create(caller)
    assert await workshop.jobs() == []
    assert await workshop.balance(caller) == 2


@pytest.mark.parametrize(
    "fault", [FailingListenerError(), RuntimeError("x"), ConnectionResetError(), ExceptionGroup("x", [OSError()])]
)
async def test_the_worker_takes_jobs_again_whatever_stopped_it(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    session, tries = workshop.mina.worker._session, 0

    async def first_time_lucky_never() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise fault
        await session()

    monkeypatch.setattr(jobs, "RECONNECT_SECONDS", 0.05)
    monkeypatch.setattr(workshop.mina.worker, "_session", first_time_lucky_never)
    async with workshop.mina.worker.running():
        await workshop.create()
        told = await workshop.all_ended()
    assert {story.status for story in told.values()} == {"done"}


async def test_a_lost_connection_keeps_neither_what_runs_nor_what_is_new(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that was under way goes on; new jobs are taken although it has not ended."""
    monkeypatch.setattr(jobs, "RECONNECT_SECONDS", 0.05)
    gate = Gate()
    async with workshop.mina.worker.running():
        workshop.models.pen.before = gate
        slow = await workshop.create()
        await asyncio.wait_for(gate.reached.wait(), 30)
        workshop.models.pen.before = at_once
        assert await workshop.cut("mina worker") == 1
        quick = await workshop.create()

        async def quick_one_is_done() -> bool:
            return (await workshop.story(quick)).status == "done"

        await until(quick_one_is_done)
        assert (await workshop.story(slow)).status == "prompting"
        gate.go.set()
        told = await workshop.all_ended()
    assert told[slow].status == "done"
    assert told[slow].generation["mg_meta"]["attempts"] == 1


async def test_a_run_without_its_job_is_handed_back_at_the_end_too(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "RECONNECT_SECONDS", 0.05)
    gate = Gate()
    workshop.models.pen.before = gate
    async with workshop.mina.worker.running():
        generation = await workshop.create()
        await asyncio.wait_for(gate.reached.wait(), 30)
        connected = workshop.mina.worker._lost
        await workshop.cut("mina worker")
        await asyncio.wait_for(asyncio.shield(connected), 30)
    meta = (await workshop.story(generation)).generation["mg_meta"]
    assert "lease" not in meta
    assert meta["attempts"] == 0


async def test_announcements_come_again_however_the_connection_was_lost(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the new connection is lost while it is made."""
    monkeypatch.setattr(progress, "RECONNECT_SECONDS", 0.05)
    add_listener, faults = (
        asyncpg.Connection.add_listener,
        [asyncpg.InterfaceError("closed"), asyncpg.InternalClientError("state")],
    )

    async def unlucky(*arguments: Any) -> None:
        if faults:
            raise faults.pop()
        await add_listener(*arguments)

    bus = progress.PostgresProgress(workshop.mina.dsn)
    await bus.open()
    try:
        async with bus.watch("generation:x") as wakeup:
            monkeypatch.setattr(asyncpg.Connection, "add_listener", unlucky)
            await workshop.cut("mina progress")
            await asyncio.wait_for(wakeup._flag.wait(), 20)  # it listens again, and something may have been missed
            wakeup._flag.clear()
            await bus.announce("generation:x", 1)
            await asyncio.wait_for(wakeup._flag.wait(), 20)
    finally:
        await bus.close()


async def test_connections_may_die_at_any_moment(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty generations while Mina's connections are ended at random: each ends, and the money adds up."""
    monkeypatch.setattr(jobs, "RECONNECT_SECONDS", 0.05)
    monkeypatch.setattr(jobs, "RECONCILE_SECONDS", 0.5)
    monkeypatch.setattr(jobs, "RETRY_AFTER", timedelta(seconds=0.2))
    monkeypatch.setattr(jobs, "HEARTBEAT_TIMEOUT", timedelta(seconds=1))
    for module in (runner, runs):
        monkeypatch.setattr(module, "LEASE", timedelta(seconds=3))
    monkeypatch.setattr(runner, "LEASE_RENEWAL", timedelta(seconds=1))
    rng = random.Random(20)
    caller = await workshop.person(30)
    urls = tuple([await workshop.upload(caller) for _ in range(3)])
    generations = [await workshop.create(caller, inspiration_image_urls=urls) for _ in range(20)]

    async def cuts() -> None:
        for _ in range(25):
            await asyncio.sleep(rng.uniform(0.02, 0.3))
            await workshop.cut(rng.choice(["mina", "mina", "mina worker", "mina progress", "mina%"]))

    with capture_logs():  # thousands of lines
        async with workshop.mina.worker.running():
            await cuts()
            told = await workshop.all_ended()
    assert set(told) == set(generations)
    refunds = sum(story.status == "error" for story in told.values())
    assert await workshop.balance(caller) == 10 + refunds
    for story in told.values():
        given_up = story.generation["mg_meta"]["attempts"] > MAX_ATTEMPTS
        assert story.generation["mg_error"] in ({"INTERNAL"} if given_up else {None, "PROVIDER_ERROR"})
    paid = Counter(request.generation for request in workshop.models.brush.paid)
    assert set(paid.values()) == {1}
