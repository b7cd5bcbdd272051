"""Pictures made one after another by the offline models: what accepting costs, and what the pipeline adds to its steps."""

import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NamedTuple

import aiohttp
import orjson

MATCHA_A_PASS = 10
"""What the embedded default gives to a new Pass."""
BRIEF = "A cup of matcha on travertine, soft morning light"

ENSURE_PASS = "mutation { ensurePass { pass { id credits { balance } } } }"
CREATE = """mutation ($brief: String!) { create(input: {brief: $brief, ratio: "3:4"}) {
  generation { id createdAt } userErrors { code message } } }"""
WATCH = """subscription ($id: ID!) { generationEvents(generationId: $id) { __typename seq at } }"""
STEPS = "query ($id: ID!) { generation(id: $id) { status steps { startedAt endedAt } } }"


class Made(NamedTuple):
    """One still, in milliseconds: `accepted` for the create call, `first_line` from its answer to the first line at the client.

    By the server's own records: `queued` from accept to the first step, `steps` covered by steps (those side by side counted
    once), `overhead` the rest of the way to DONE.
    """

    accepted: float
    first_line: float
    queued: float
    steps: float
    overhead: float


class Order(NamedTuple):
    """A still that was accepted: its id, whose it is, when, and the milliseconds until the answer was there."""

    id: str
    pass_id: str
    created_at: str
    taken: float


class Studio:
    """A client of one server, with a Pass that always has matcha left."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._endpoint = f"{url}/graphql"
        self._pass_id = ""
        self._matcha = 0

    async def make(self) -> Made:
        """Order a still and follow it to its end."""
        order = await self.order()
        answered = time.perf_counter()
        first_line, done = 0.0, ""
        async for event in self._events(order):
            if event["__typename"] == "UserMessageAdded" and not first_line:
                first_line = (time.perf_counter() - answered) * 1000
            done = event["at"]
        made = (await self.ask(STEPS, order.pass_id, id=order.id))["generation"]
        if made["status"] != "DONE":
            raise RuntimeError(f"a still ended in {made['status']}")
        spans = sorted((_ms(step["startedAt"]), _ms(step["endedAt"])) for step in made["steps"])
        first, covered = spans[0][0], _covered(spans)
        return Made(order.taken, first_line, first - _ms(order.created_at), covered, _ms(done) - first - covered)

    async def order(self) -> Order:
        """Order a still."""
        if not self._matcha:
            await self._new_pass()
        self._matcha -= 1
        began = time.perf_counter()
        payload = (await self.ask(CREATE, self._pass_id, brief=BRIEF))["create"]
        taken = (time.perf_counter() - began) * 1000
        if payload["userErrors"]:
            raise RuntimeError(f"create was refused: {payload['userErrors']}")
        made = payload["generation"]
        return Order(made["id"], self._pass_id, made["createdAt"], taken)

    async def follow(self, order: Order) -> None:
        """Wait until a still has ended."""
        async for _ in self._events(order):
            pass

    async def ask(self, query: str, pass_id: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation. Raises RuntimeError for errors."""
        async with self._post(query, pass_id, variables, "application/json") as response:
            return _data(await response.read())

    async def _new_pass(self) -> None:
        made = (await self.ask(ENSURE_PASS, ""))["ensurePass"]["pass"]
        self._pass_id, self._matcha = made["id"], made["credits"]["balance"]
        if self._matcha != MATCHA_A_PASS:
            raise RuntimeError(f"a new Pass has {self._matcha} matcha, not {MATCHA_A_PASS}")

    async def _events(self, order: Order) -> AsyncIterator[dict[str, Any]]:
        async with self._post(WATCH, order.pass_id, {"id": order.id}, "text/event-stream") as response:
            async for line in response.content:
                if line.startswith(b"data: {"):
                    yield _data(line[6:])["generationEvents"]

    def _post(self, query: str, pass_id: str, variables: dict[str, Any], accept: str) -> Any:
        headers = {"Accept": accept, "X-Mina-Pass-Id": pass_id}
        return self._client.post(self._endpoint, json={"query": query, "variables": variables}, headers=headers)


def _data(body: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(body)
    if answer.get("errors"):
        raise RuntimeError(f"the server answered: {answer['errors']}")
    data: dict[str, Any] = answer["data"]
    return data


def _ms(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() * 1000


def _covered(spans: list[tuple[float, float]]) -> float:
    """The time that sorted spans cover, where they overlap counted once."""
    covered, reached = 0.0, spans[0][0]
    for start, end in spans:
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered
