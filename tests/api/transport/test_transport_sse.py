"""Streams by Server-Sent Events."""

import asyncio
import json

import aiohttp
import pytest

from mina_gql.api.graphql.sse import EventStreams
from tests.api.transport.conftest import Toy

STREAM = {"Accept": "text/event-stream"}
NEXT = "event: next\ndata: "
COMPLETE = "event: complete\ndata:\n\n"


async def read_all(toy: Toy, query: str) -> list[str]:
    """The frames of a stream that ends, without heartbeats."""
    async with aiohttp.ClientSession() as client, client.post(toy.url, json={"query": query}, headers=STREAM) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-cache"
        text = await answer.text()
    return [f"{frame}\n\n" for frame in text.split("\n\n") if frame not in {"", ":"}]


def data(frame: str) -> dict:
    assert frame.startswith(NEXT)
    assert frame.endswith("\n\n")
    assert frame.count("\n") == 3  # one data line
    return json.loads(frame.removeprefix(NEXT))


async def test_each_event_is_a_next_and_the_end_is_a_complete(toy: Toy) -> None:
    *events, end = await read_all(toy, "subscription { count(to: 3) { seq } }")
    assert [data(frame) for frame in events] == [{"data": {"count": {"seq": n}}} for n in (1, 2, 3)]
    assert end == COMPLETE


@pytest.mark.parametrize("query", ["{ hello }", "mutation { ensure }"])
async def test_queries_and_mutations_may_be_streamed_too(toy: Toy, query: str) -> None:
    event, end = await read_all(toy, query)
    assert data(event)["data"]
    assert end == COMPLETE


async def test_line_breaks_in_raw_json_do_not_break_the_frame(toy: Toy) -> None:
    event, _end = await read_all(toy, "subscription { raw }")
    assert data(event) == {"data": {"raw": {"a": 1}}}


async def test_a_client_that_takes_json_too_still_gets_its_subscription_streamed(toy: Toy) -> None:
    headers = {"Accept": "application/graphql-response+json, application/json, text/event-stream"}
    query = {"query": "subscription { count(to: 1) { seq } }"}
    async with aiohttp.ClientSession() as client, client.post(toy.url, json=query, headers=headers) as answer:
        assert answer.content_type == "text/event-stream"
        await answer.read()


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("subscription {", 400, "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", 400, "GRAPHQL_VALIDATION_FAILED"),
        ("query($n: Int!) { hello }", 400, "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_errors_before_execution_are_json(toy: Toy, query: str, status: int, code: str) -> None:
    answered, body = await toy.ask(query, **STREAM)
    assert (answered, body["errors"][0]["extensions"]["code"]) == (status, code)


async def test_an_error_of_the_source_ends_the_stream(toy: Toy) -> None:
    first, last, end = await read_all(toy, 'subscription { fail(kind: "not_found", after: 1) { seq } }')
    assert data(first) == {"data": {"fail": {"seq": 1}}}
    assert data(last)["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert end == COMPLETE


async def test_an_error_in_a_field_ends_the_stream_and_leaks_nothing(toy: Toy) -> None:
    first, last, end = await read_all(toy, "subscription { count(to: 3) { seq fragile } }")
    assert data(first) == {"data": {"count": {"seq": 1, "fragile": "whole"}}}
    assert data(last)["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "hunter2" not in last
    assert end == COMPLETE


async def test_a_quiet_stream_beats_and_a_client_that_leaves_closes_the_source(toy: Toy) -> None:
    query = {"query": "subscription { live { seq } }"}
    async with aiohttp.ClientSession() as client, client.post(toy.url, json=query, headers=STREAM) as answer:
        assert data((await answer.content.readuntil(b"\n\n")).decode()) == {"data": {"live": {"seq": 1}}}
        assert await answer.content.readuntil(b"\n\n") == b":\n\n"
    await asyncio.wait_for(toy.world.closed.wait(), 5)


async def test_draining_ends_open_streams_without_complete(toy: Toy) -> None:
    query = {"query": "subscription { live { seq } }"}
    async with aiohttp.ClientSession() as client, client.post(toy.url, json=query, headers=STREAM) as answer:
        await asyncio.wait_for(toy.world.started.wait(), 5)
        await toy.http.drain()
        assert "complete" not in await answer.text()
    assert toy.world.closed.is_set()


async def test_each_event_has_a_context_of_its_own(toy: Toy) -> None:
    *events, _end = await read_all(toy, "subscription { count(to: 2) { seenBy } }")
    assert [data(frame)["data"]["count"]["seenBy"] for frame in events] == ["event 1", "event 2"]


async def test_a_slow_reader_slows_its_source(toy: Toy) -> None:
    document, _ = toy.engine.prepare("subscription { flood { seq } }", None, None)
    context = await toy.world.make_context(None, None, "slow")
    results = await toy.engine.subscribe(document, None, None, context)
    blocked = asyncio.Event()

    async def send(message: dict) -> None:
        if message.get("body"):
            blocked.set()
            await asyncio.Event().wait()  # a socket that is full

    serving = asyncio.create_task(EventStreams().serve(asyncio.Event().wait, send, [], results, "slow"))
    await blocked.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert toy.world.produced == 1
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_a_stream_ends_with_the_token_it_was_asked_for_with() -> None:
    """Without `complete`: the client asks again, and is told then that it must sign in."""
    sent: list[dict] = []
    streams = EventStreams(heartbeat=60)

    async def send(message: dict) -> None:
        sent.append(message)

    async def never() -> dict:
        await asyncio.Event().wait()
        return {}

    async def results():
        await asyncio.Event().wait()
        yield

    await asyncio.wait_for(streams.serve(never, send, [], results(), "request", expires_in=0.01), 5)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
