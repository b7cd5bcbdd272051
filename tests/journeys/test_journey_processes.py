"""Several processes on one database: who accepts, who works and who tells may all be different."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from tests.journeys.crash_boundaries import settled
from tests.journeys.server import Server, external, free_port, running
from tests.journeys.visitor import Visitor

STEPS = """select mg_generation_id, array_agg(mg_step_type order by mg_step_no) as types,
           array_agg(mg_step_no order by mg_step_no) as numbers
           from mega_generations where mg_record_type = 'mma_step' group by 1"""
LEFT = "select count(*) from ops.pgqueuer"
WORDS = ["like_history", "gpt_reader", "seedream_generate", "postscan"]


@pytest.fixture
async def apis(own_database: str, home: Path) -> AsyncIterator[tuple[Server, Server]]:
    """Two servers that only serve and two workers, on one database and one folder of files."""
    port = free_port()
    settings = external(own_database, MINA_PUBLIC_URL=f"http://127.0.0.1:{port}")
    async with AsyncExitStack() as stack:
        first, second, *_ = await asyncio.gather(
            stack.enter_async_context(running(home, "serve", "--no-worker", port=port, **settings)),
            stack.enter_async_context(running(home, "serve", "--no-worker", **settings)),
            stack.enter_async_context(running(home, "work", **settings)),
            stack.enter_async_context(running(home, "work", **settings)),
        )
        yield first, second


async def test_many_generations_are_each_made_once_and_followed_from_anywhere(
    apis: tuple[Server, Server], own_database: str
) -> None:
    """O5, J7, F5: accepted by one API, worked on by a worker, followed at the other API by either transport."""
    here = Visitor(apis[0])
    assert (await here.arrive())["credits"]["balance"] == 10
    there = Visitor(apis[1], here.pass_id)

    ids = await asyncio.gather(*(here.accepted(f"Cup number {n}") for n in range(8)))
    by_socket = [there.followed(id_) for id_ in ids[:4]]
    by_events = [there.streamed(id_) for id_ in ids[4:]]
    runs = await asyncio.gather(*by_socket, *by_events)

    for id_, events in zip(ids, runs, strict=True):
        assert events[-1]["__typename"] == "GenerationCompleted"
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert events == await here.followed(id_)

    connection = await asyncpg.connect(own_database)
    try:
        steps = {row["mg_generation_id"]: (row["types"], row["numbers"]) for row in await connection.fetch(STEPS)}
        await settled(connection, LEFT, wanted=0)  # a job is taken off the list a moment after its work has ended
    finally:
        await connection.close()
    assert steps == {id_.removeprefix("generation:"): (WORDS, [0, 1, 2, 3]) for id_ in ids}
    assert await there.balance() == 2
