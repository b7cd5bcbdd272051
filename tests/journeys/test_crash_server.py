"""The embedded default is killed (SIGKILL) at random moments and started again: nothing is lost, doubled or paid twice."""

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mina_gql.adapters.embedded_postgres import dsn_of_running
from tests.journeys.crash_boundaries import all_ended, settled, unchanged
from tests.journeys.server import Server, free_port
from tests.journeys.visitor import Visitor
from tests.services import pipeline_promises as promises

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]
KILLS = 8
BURST = 6
SEED = 7


async def test_a_server_may_be_killed_at_any_moment(home: Path) -> None:
    """J5, N4: six stills, eight kills, the same MINA_HOME; a minute after the last start all have ended, with the money right."""
    rng, port = random.Random(SEED), free_port()
    server = await Server.started(home, port=port, MINA_RATE_LIMITS="off")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.kill)
        visitor = Visitor(server)
        await visitor.arrive()
        picture = (await visitor.uploaded())["publicUrl"]
        orders = [visitor.accepted(f"Cup number {n}", assets={"productImageUrl": picture}) for n in range(BURST)]
        generations = await asyncio.gather(*orders)

        before: dict[str, promises.Story] = {}
        for _ in range(KILLS):
            await asyncio.sleep(rng.uniform(0, 3))  # the moment is the point: any will do
            await server.kill()
            server = await Server.started(home, port=port, MINA_RATE_LIMITS="off")
            stack.push_async_callback(server.kill)
            before = await checked(home, before)

        dsn = dsn_of_running(home)
        assert dsn is not None
        looking = await promises.connect(dsn)
        stack.push_async_callback(looking.close)
        after = await all_ended(looking, seconds=60)
        unchanged_where_done(before, after)
        assert set(after) == set(generations)
        refunds = sum(story.status == "error" for story in after.values())
        again = Visitor(server, visitor.pass_id)
        assert await again.balance() == 10 - BURST + refunds
        for generation in generations:
            seqs = [event["seq"] for event in await again.followed(generation)]
            assert seqs == list(range(1, len(seqs) + 1))
        await settled(looking, "select count(*) from ops.pgqueuer", wanted=0)


async def checked(home: Path, before: dict[str, promises.Story]) -> dict[str, promises.Story]:
    """Every promise on every row right after a start, and what had succeeded before it is as it was."""
    dsn = dsn_of_running(home)
    assert dsn is not None
    looking = await promises.connect(dsn)
    try:
        async with looking.transaction(isolation="repeatable_read", readonly=True):
            after = await promises.kept(looking)
    finally:
        await looking.close()
    unchanged_where_done(before, after)
    return after


def unchanged_where_done(before: dict[str, promises.Story], after: dict[str, promises.Story]) -> None:
    """`unchanged`, for stories of which some have been there."""
    unchanged({id_: story for id_, story in before.items() if id_ in after}, after)
    assert set(before) <= set(after)
