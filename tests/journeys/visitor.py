"""Somebody who uses the studio with other people's clients: `gql` over aiohttp and websockets, and bare server-sent events."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport

from tests.journeys.server import Server

COFFEE = (Path(__file__).parents[1] / "pictures" / "coffee.jpg").read_bytes()
SMALL = {"seedream": {"size": "1K"}}
"""Settings of a still that is made quickly."""

ENSURE_PASS = "mutation { ensurePass { pass { id state lastActive credits { balance } } userErrors { code } } }"
CREATE = """mutation ($input: CreateInput!) { create(input: $input) {
  generation { id status kind cost provider model }
  pass { id credits { balance } }
  replayed
  userErrors { __typename code message field ... on InsufficientMatcha { required balance checkoutUrl } }
} }"""
CREATE_UPLOAD = """mutation ($input: CreateUploadInput!) { createUpload(input: $input) {
  upload { url headers key publicUrl expiresInSec maxBytes timeoutSeconds } userErrors { code message field } } }"""
CONFIRM_UPLOAD = """mutation ($key: String!) { confirmUpload(key: $key) {
  asset { key publicUrl contentType bytes width height } userErrors { code message field } } }"""
EVENTS = """subscription ($id: ID!, $after: Int! = 0) { generationEvents(generationId: $id, afterSeq: $after) {
  __typename seq at generationId
  ... on UserMessageAdded { message { seq text stage at } }
  ... on StatusChanged { status }
  ... on GenerationCompleted { generation { id status outputUrl finalMessage } }
  ... on GenerationFailed { failure { code message refunded } }
} }"""
GENERATION = """query ($id: ID!) { generation(id: $id) {
  id kind status brief style ratio prompt outputUrl outputKey downloadUrl contentType width height provider model latencyMs cost
  settings vars finalMessage createdAt updatedAt
  assets { productImageUrl logoImageUrl inspirationImageUrls inputStillUrl endStillUrl }
  scans { product logo inspirations inputStill outputStill }
  userMessages { seq text stage at }
  failure { code message retryable refunded }
  charge { id delta reason source refType refId generation { id } }
  refund { id }
  session { id title }
  steps { id stepNo stepType status provider model startedAt endedAt durationMs error config { key version id } }
  pass { id credits { balance } }
} }"""

Event = dict[str, Any]
Answer = dict[str, Any]


class Visitor:
    """Holds a Pass, or none yet, and speaks to one server."""

    def __init__(self, server: Server, pass_id: str | None = None) -> None:
        self.server = server
        self.pass_id = pass_id

    @property
    def headers(self) -> dict[str, str]:
        """What every request of this visitor carries."""
        return {"X-Mina-Pass-Id": self.pass_id} if self.pass_id else {}

    async def ask(self, document: str, headers: dict[str, str] | None = None, **variables: Any) -> Answer:
        """The data of one operation. Raises TransportQueryError where there are errors."""
        transport = AIOHTTPTransport(self.server.graphql, headers={**self.headers, **(headers or {})})
        async with Client(transport=transport) as session:
            return await session.execute(GraphQLRequest(document, variable_values=variables))

    async def post(self, document: str, headers: dict[str, str] | None = None, **variables: Any) -> Answer:
        """The whole answer, errors and all."""
        async with (
            aiohttp.ClientSession(headers={**self.headers, **(headers or {})}) as http,
            http.post(self.server.graphql, json={"query": document, "variables": variables}) as answer,
        ):
            whole: Answer = await answer.json()
            return whole

    async def arrive(self) -> Answer:
        """`ensurePass`; keeps the id, as a client should."""
        found: Answer = (await self.ask(ENSURE_PASS))["ensurePass"]["pass"]
        self.pass_id = found["id"]
        return found

    async def balance(self) -> int:
        """Matcha at hand."""
        balance: int = (await self.ask("{ me { credits { balance } } }"))["me"]["credits"]["balance"]
        return balance

    async def create(self, brief: str = "A cup on a stone table", **more: Any) -> Answer:
        """The payload of `create`."""
        payload: Answer = (await self.ask(CREATE, input={"brief": brief, "settings": SMALL, **more}))["create"]
        return payload

    async def accepted(self, brief: str = "A cup on a stone table", **more: Any) -> str:
        """The id of a generation that was accepted."""
        payload = await self.create(brief, **more)
        assert payload["userErrors"] == []
        generation: str = payload["generation"]["id"]
        return generation

    async def generation(self, generation: str) -> Answer:
        """All that can be read of one generation."""
        found: Answer = (await self.ask(GENERATION, id=generation))["generation"]
        return found

    async def sign(self, size: int, content_type: str = "image/jpeg", name: str = "cup.jpg") -> Answer:
        """The payload of `createUpload`."""
        asked = {"contentType": content_type, "fileName": name, "bytes": size}
        payload: Answer = (await self.ask(CREATE_UPLOAD, input=asked))["createUpload"]
        return payload

    async def put(self, upload: Answer, data: bytes, **headers: str) -> int:
        """The status of sending the bytes, as the signed upload says."""
        sent = {**upload["headers"], **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with aiohttp.ClientSession() as http, http.put(upload["url"], data=data, headers=sent) as answer:
            return answer.status

    async def confirm(self, key: str) -> Answer:
        """The payload of `confirmUpload`."""
        payload: Answer = (await self.ask(CONFIRM_UPLOAD, key=key))["confirmUpload"]
        return payload

    async def uploaded(self, data: bytes = COFFEE) -> Answer:
        """A confirmed picture, by the three steps that a studio's page takes."""
        upload = (await self.sign(len(data)))["upload"]
        assert await self.put(upload, data) == 204
        payload = await self.confirm(upload["key"])
        assert payload["userErrors"] == []
        asset: Answer = payload["asset"]
        return asset

    async def events(self, generation: str, after: int = 0) -> AsyncIterator[Event]:
        """What happens to a generation, over a WebSocket."""
        hello = {name.lower(): value for name, value in self.headers.items()}
        transport = WebsocketsTransport(self.server.websocket, init_payload=hello)
        async with Client(transport=transport) as session:
            async for data in session.subscribe(GraphQLRequest(EVENTS, variable_values={"id": generation, "after": after})):
                yield data["generationEvents"]

    async def followed(self, generation: str, after: int = 0) -> list[Event]:
        """All that happens to a generation, to its end."""
        return [event async for event in self.events(generation, after)]

    async def streamed(self, generation: str, after: int = 0) -> list[Event]:
        """The same by server-sent events, from the first byte to `complete`."""
        headers = {**self.headers, "Accept": "text/event-stream"}
        body = {"query": EVENTS, "variables": {"id": generation, "after": after}}
        async with aiohttp.ClientSession(headers=headers) as http, http.post(self.server.graphql, json=body) as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
            frames = [frame for frame in (await answer.text()).split("\n\n") if frame and not frame.startswith(":")]
        assert frames[-1].splitlines()[0] == "event: complete"
        return [_payload(frame)["data"]["generationEvents"] for frame in frames[:-1]]


def _payload(frame: str) -> Answer:
    event, data = frame.splitlines()
    assert event == "event: next"
    payload: Answer = json.loads(data.removeprefix("data: "))
    return payload
