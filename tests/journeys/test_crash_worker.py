"""A worker is killed (SIGKILL) at each boundary of a run; another one finishes what it left (DESIGN sections 5, 6, 7)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from tests.journeys.crash_boundaries import Boundaries, all_ended, forget_the_dead, unchanged
from tests.journeys.server import Server, external, free_port, running
from tests.journeys.visitor import Visitor
from tests.services import pipeline_promises as promises

pytestmark = pytest.mark.crash

TO_THE_WORDS = [
    "claim",
    "enter scanning",
    "start scan_product",
    "end scan_product",
    "start scan_logo",
    "end scan_logo",
    "start like_history",
    "end like_history",
    "enter prompting",
    "start gpt_reader",
    "end gpt_reader",
]
TO_THE_END = [
    "enter generating",
    "start seedream_generate",
    "mark as sent",
    "keep the prediction id",
    "end seedream_generate",
    "enter postscan",
    "start postscan",
    "end postscan",
    "enter done",
    "refund",
    "enter error",
]
NEVER_KNOWN = "keep the prediction id"
"""Sent, and no id kept: whether it was paid for cannot be known, so it is never asked for again."""
OVERDUE = {"refund", "enter error"}


@pytest.fixture
async def looking(own_database: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that sees everything and is none of Mina's."""
    connection = await promises.connect(own_database)
    yield connection
    await connection.close()


@pytest.fixture
async def boundaries(looking: asyncpg.Connection, own_database: str) -> AsyncIterator[Boundaries]:
    holding = await asyncpg.connect(own_database)
    yield Boundaries(looking, holding)
    await holding.close()


@pytest.fixture
async def server(own_database: str, home: Path) -> AsyncIterator[Server]:
    """A server that accepts orders and works on none."""
    async with running(home, "serve", "--no-worker", port=free_port(), **external(own_database)) as server:
        yield server


def beside(server: Server, dsn: str) -> dict[str, str]:
    """The settings of a worker beside a server."""
    return external(dsn, MINA_PUBLIC_URL=server.origin)


@pytest.mark.parametrize("moments", [TO_THE_WORDS, TO_THE_END], ids=["to the words", "to the end"])
async def test_whatever_a_killed_worker_was_about_to_write_is_done_once(
    server: Server, own_database: str, looking: asyncpg.Connection, boundaries: Boundaries, moments: list[str]
) -> None:
    """J5, F5, C3: one generation for each boundary, three workers killed when all stand at theirs, one more to finish."""
    held = {await order(server, moment): moment for moment in moments}
    await boundaries.arm(held)
    for generation, moment in held.items():
        if moment in OVERDUE:
            await looking.execute(
                """update mega_generations set mg_meta = mg_meta || '{"first_started_at": "2000-01-01T00:00:00Z"}'
                where mg_id = $1""",
                generation,
            )
    async with AsyncExitStack() as stack:
        workers = [await Server.started(server.home, "work", **beside(server, own_database)) for _ in range(3)]
        for worker in workers:
            stack.push_async_callback(worker.kill)
        await boundaries.reached(len(moments))
    await boundaries.release()
    before = await promises.kept(looking)
    assert {story.status for story in before.values()} <= set(promises.ORDER) - promises.ENDED

    await forget_the_dead(looking)
    async with running(server.home, "work", **beside(server, own_database)) as worker:
        worker.calm = False
        after = await all_ended(looking, seconds=90)
    unchanged(before, after)
    for generation, moment in held.items():
        story = after[generation]
        assert story.status == ("error" if moment in {NEVER_KNOWN, *OVERDUE} else "done"), (moment, story.generation["mg_error"])


async def test_a_dead_workers_work_is_taken_over_within_a_minute(
    server: Server, own_database: str, looking: asyncpg.Connection, boundaries: Boundaries
) -> None:
    """J5, at true speed: leases, heartbeats and the reconcile job as they are."""
    moments = {await order(server, moment): moment for moment in ("end gpt_reader", "end seedream_generate")}
    await boundaries.arm(moments)
    async with AsyncExitStack() as stack:
        worker = await Server.started(server.home, "work", **beside(server, own_database))
        stack.push_async_callback(worker.kill)
        await boundaries.reached(len(moments))
    async with running(server.home, "work", **beside(server, own_database)):
        await boundaries.release()
        before = await promises.kept(looking)
        after = await all_ended(looking, seconds=60)
    unchanged(before, after)
    assert {story.status for story in after.values()} == {"done"}


async def order(server: Server, moment: str) -> str:
    """Somebody new orders a still: with a picture, but for the moments that are about words."""
    visitor = Visitor(server)
    await visitor.arrive()
    slot = "logoImageUrl" if "logo" in moment else "productImageUrl"
    if moment in TO_THE_WORDS and "scan_" not in moment:
        return await visitor.accepted()
    return await visitor.accepted(assets={slot: (await visitor.uploaded())["publicUrl"]})
