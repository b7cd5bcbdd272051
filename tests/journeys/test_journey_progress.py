"""Following a generation: nothing is lost or doubled, whatever drops and however it is asked for."""

from contextlib import aclosing

import aiohttp
import pytest
from gql.transport.exceptions import TransportQueryError

from tests.journeys.server import Server
from tests.journeys.visitor import EVENTS, Event, Visitor


@pytest.fixture(scope="module")
async def finished(studio: Server) -> tuple[Visitor, str, list[Event]]:
    """Somebody's finished still, and all that happened to it."""
    visitor = Visitor(studio)
    await visitor.arrive()
    generation = await visitor.accepted("A finished still to look back at")
    return visitor, generation, await visitor.followed(generation)


async def test_server_sent_events_tell_the_same(visitor: Visitor) -> None:
    """O1, O9: live by one transport, and the same again by the other, twice."""
    generation = await visitor.accepted()
    live = await visitor.streamed(generation)
    assert live[-1]["__typename"] == "GenerationCompleted"
    assert live == await visitor.followed(generation) == await visitor.streamed(generation)


async def test_going_on_from_any_point_gives_exactly_the_rest(finished: tuple[Visitor, str, list[Event]]) -> None:
    """O3: by both transports; at the last one and past it the stream completes at once (O4)."""
    visitor, generation, events = finished
    for seen in range(len(events) + 2):
        assert await visitor.streamed(generation, after=seen) == events[seen:]
        assert await visitor.followed(generation, after=seen) == events[seen:]


async def test_a_socket_that_drops_at_any_point_loses_and_doubles_nothing(visitor: Visitor) -> None:
    """O3: a line is dropped after every single event of one run while it goes on, and taken up again with the last `seq`."""
    generation = await visitor.accepted()
    events: list[Event] = []
    while not events or events[-1]["__typename"] != "GenerationCompleted":
        async with aclosing(visitor.events(generation, after=events[-1]["seq"] if events else 0)) as stream:
            events.append(await anext(stream))
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events == await visitor.followed(generation)


async def test_sockets_that_drop_later_and_later_see_the_same(finished: tuple[Visitor, str, list[Event]]) -> None:
    """O3: the first k events, then the rest over a new socket, for every k."""
    visitor, generation, events = finished
    for dropped_after in range(1, len(events)):
        seen: list[Event] = []
        async with aclosing(visitor.events(generation)) as stream:
            while len(seen) < dropped_after:
                seen.append(await anext(stream))
        assert seen + await visitor.followed(generation, after=seen[-1]["seq"]) == events


async def test_others_cannot_follow(finished: tuple[Visitor, str, list[Event]], studio: Server) -> None:
    """O6: for a stranger there is no such generation, exactly as for one that never was; nobody is told to say who they are."""
    _, generation, _ = finished
    stranger, nobody = Visitor(studio), Visitor(studio)
    await stranger.arrive()
    faults = []
    for who, what in (
        (stranger, generation),
        (stranger, "generation:00000000-0000-4000-8000-000000000000"),
        (nobody, generation),
    ):
        with pytest.raises(TransportQueryError) as caught:
            await who.followed(what)
        assert caught.value.errors is not None
        assert caught.value.errors[0]["extensions"].pop("requestId")
        faults.append(caught.value.errors[0])
    assert faults[0] == faults[1]
    assert [fault["extensions"]["code"] for fault in faults] == ["NOT_FOUND", "NOT_FOUND", "UNAUTHENTICATED"]


@pytest.mark.parametrize(("who", "code"), [("stranger", "NOT_FOUND"), ("nobody", "UNAUTHENTICATED")])
async def test_others_cannot_follow_by_server_sent_events(
    finished: tuple[Visitor, str, list[Event]], studio: Server, who: str, code: str
) -> None:
    """O6, O9."""
    _, generation, _ = finished
    visitor = Visitor(studio)
    if who == "stranger":
        await visitor.arrive()
    headers = {**visitor.headers, "Accept": "text/event-stream"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(studio.graphql, json={"query": EVENTS, "variables": {"id": generation}}) as answer,
    ):
        said = await answer.text()
    assert f'"code":"{code}"' in said
    assert "seq" not in said


async def test_a_negative_cursor_is_refused(finished: tuple[Visitor, str, list[Event]]) -> None:
    """O3: a cursor is 0 or what was seen last."""
    visitor, generation, _ = finished
    with pytest.raises(TransportQueryError, match="afterSeq"):
        await visitor.followed(generation, after=-1)
