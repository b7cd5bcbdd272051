"""Stopping what is under way: the stream ends, the matcha is back, and the same may be ordered again."""

import asyncio
from pathlib import Path

from tests.journeys.server import external, free_port, running
from tests.journeys.visitor import Visitor

CHANGED = "generation { id status failure { code refunded retryable } refund { delta } } pass { credits { balance } } userErrors { code }"
CANCEL = f"mutation ($id: ID!) {{ cancel(generationId: $id) {{ {CHANGED} }} }}"
RETRY = f"mutation ($id: ID!) {{ retry(generationId: $id) {{ {CHANGED} }} }}"
DELETE = f"mutation ($id: ID!) {{ deleteGeneration(id: $id) {{ {CHANGED} }} }}"
WAITING = "query ($id: ID!) { generation(id: $id) { queuePosition etaSeconds userMessages { text stage } } }"


async def test_a_queued_generation_is_cancelled_while_somebody_follows_it(own_database: str, home: Path) -> None:
    """Nobody works here until the end: two orders wait, one is stopped, and is made after all when it is tried again."""
    settings = external(own_database, MINA_PUBLIC_URL=f"http://127.0.0.1:{(port := free_port())}")
    async with running(home, "serve", "--no-worker", port=port, **settings) as server:
        visitor = Visitor(server)
        await visitor.arrive()
        first, second = await visitor.accepted("First"), await visitor.accepted("Second")
        waiting = (await visitor.ask(WAITING, id=second))["generation"]
        assert waiting["queuePosition"] == 1
        assert waiting["etaSeconds"] > 0

        following = asyncio.create_task(visitor.followed(first))
        payload = (await visitor.ask(CANCEL, id=first))["cancel"]
        assert payload["userErrors"] == []
        assert payload["generation"]["failure"] == {"code": "CANCELLED", "refunded": True, "retryable": True}
        assert (payload["generation"]["refund"], payload["pass"]["credits"]["balance"]) == ({"delta": 1}, 9)
        events = await following
        assert (events[-1]["__typename"], events[-1]["failure"]["code"]) == ("GenerationFailed", "CANCELLED")
        again = (await visitor.ask(CANCEL, id=first))["cancel"]
        assert [error["code"] for error in again["userErrors"]] == ["NOT_CANCELLABLE"]
        assert (await visitor.ask(WAITING, id=second))["generation"]["queuePosition"] == 0

        retried = (await visitor.ask(RETRY, id=first))["retry"]
        assert (retried["generation"]["status"], retried["pass"]["credits"]["balance"]) == ("QUEUED", 8)
        async with running(home, "work", **settings):
            assert (await visitor.followed(retried["generation"]["id"]))[-1]["__typename"] == "GenerationCompleted"
            assert (await visitor.followed(second))[-1]["__typename"] == "GenerationCompleted"

        gone = (await visitor.ask(DELETE, id=first))["deleteGeneration"]
        assert (gone["userErrors"], gone["generation"]["status"]) == ([], "ERROR")
        assert await visitor.generation(first) is None
        assert await visitor.balance() == 8
