"""With a vendor that is paid: kill -9 while a prediction runs, and a cancel that reaches it (FEATURES J5, R5)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from tests.journeys.server import Server, external, free_port
from tests.journeys.visitor import Visitor
from tests.services.pipeline_workshop import until
from tests.vendors.replicate_server import SIGNED, TOKEN, Replicate, running

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240)]
ANIMATE = "mutation ($input: AnimateInput!) { animate(input: $input) { generation { id } userErrors { code message } } }"
CANCEL = "mutation ($id: ID!) { cancel(generationId: $id) { generation { status } userErrors { code } } }"
EVERYTHING = "select to_jsonb(t)::text from mega_generations t union all select to_jsonb(t)::text from mega_admin t"
NEVER_KEPT = ("X-Amz-", "Signature=", "replicate.delivery", "/files/", TOKEN, "data:image")


@pytest.fixture
async def vendor() -> AsyncIterator[Replicate]:
    """A vendor that holds what it is asked for."""
    async with running(Replicate(hold=True)) as vendor:
        yield vendor


async def started(home: Path, dsn: str, vendor: Replicate, stack: AsyncExitStack, port: int) -> Server:
    """A server whose pictures and clips are paid for; words and captions are offline."""
    settings = external(dsn, REPLICATE_API_TOKEN=TOKEN, REPLICATE_BASE_URL=vendor.base)
    server = await Server.started(home, port=port, **settings)
    stack.push_async_callback(server.kill)
    return server


async def order_still(visitor: Visitor) -> str:
    return await visitor.accepted("A cup, and it is paid for", settings={"seedream": {"size": "1K"}})


async def order_clip(visitor: Visitor) -> str:
    still = (await visitor.uploaded())["publicUrl"]
    return str((await visitor.ask(ANIMATE, input={"inputStillUrl": still}))["animate"]["generation"]["id"])


@pytest.mark.parametrize("order", [order_still, order_clip])
async def test_a_killed_server_goes_on_waiting_for_the_same_prediction(
    own_database: str, home: Path, vendor: Replicate, order: Callable
) -> None:
    """Three kills while it runs: exactly one was ever created, and its output becomes ours."""
    async with AsyncExitStack() as stack:
        port = free_port()
        server = await started(home, own_database, vendor, stack, port)
        visitor = Visitor(server)
        await visitor.arrive()
        generation = await order(visitor)
        for _ in range(3):
            vendor.looked.clear()
            await asyncio.wait_for(vendor.looked.wait(), 60)  # somebody waits for it
            await server.kill()
            server = await started(home, own_database, vendor, stack, port)
        await vendor.release()
        events = await visitor.followed(generation)
        assert events[-1]["__typename"] == "GenerationCompleted"
        assert (vendor.created, vendor.cancelled) == (1, [])
        found = await visitor.generation(generation)
        assert found["outputUrl"].startswith(server.origin)
        assert [step["status"] for step in found["steps"]] == ["SUCCEEDED"] * len(found["steps"])

        looking = await asyncpg.connect(own_database)
        stack.push_async_callback(looking.close)
        kept = "\n".join(row[0] for row in await looking.fetch(EVERYTHING))
        assert [word for word in (*NEVER_KEPT, *SIGNED.split("&")) if word in kept] == []
        await server.stop()


async def test_a_cancel_reaches_the_prediction(own_database: str, home: Path, vendor: Replicate) -> None:
    async with AsyncExitStack() as stack:
        server = await started(home, own_database, vendor, stack, free_port())
        visitor = Visitor(server)
        await visitor.arrive()
        generation = await order_still(visitor)
        await asyncio.wait_for(vendor.looked.wait(), 60)
        answer = (await visitor.ask(CANCEL, id=generation))["cancel"]
        assert (answer["generation"]["status"], answer["userErrors"]) == ("ERROR", [])

        async def told() -> bool:
            return vendor.cancelled == list(vendor.predictions)

        await until(told)
        assert (await visitor.followed(generation))[-1]["failure"]["code"] == "CANCELLED"
        assert await visitor.balance() == 10
        assert vendor.created == 1
        assert json.dumps(vendor.bodies).count("A cup, and it is paid for") == 1
        await server.stop()
