"""The lines of a generation as server-sent events: in order, once, from any point (FEATURES O1 to O4, O6, O9)."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from tests.rest.rest_house import Guest, House
from tests.services.pipeline_models import Gate

ORDER = {"brief": "A cup on stone."}


class Heard:
    """An open stream, read event by event. Comments are skipped."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def event(self) -> dict[str, Any] | None:
        """The next one, or None at the end."""
        fields: dict[str, str] = {}
        async for line in self.answer.content:
            text = line.decode().rstrip("\n")
            if not text and fields:
                return {"id": int(fields["id"]), "event": fields["event"], "data": json.loads(fields["data"])}
            name, _, value = text.partition(": ")
            if name and not text.startswith(":"):
                fields[name] = value
        return None

    async def all(self) -> list[dict[str, Any]]:
        """Everything to the end."""
        events = []
        while (event := await self.event()) is not None:
            events.append(event)
        return events


def stream(guest: Guest, id_: str, query: str = "", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return guest.house.http.get(f"{guest.house.origin}/generations/{id_}/stream{query}", headers={**guest.headers, **named})


async def heard(guest: Guest, id_: str, query: str = "", **headers: str) -> list[dict[str, Any]]:
    async with stream(guest, id_, query, **headers) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        return await Heard(answer).all()


async def started(house: House, guest: Guest) -> str:
    """The id of a still that is not waited for."""
    await house.studio.knobs(**{"rest.wait_seconds": 0})
    said = await guest.post("/editorial/generate", ORDER)
    assert said.status == 202
    id_: str = said.json["generationId"]
    return id_


async def test_a_generation_is_followed_while_it_is_made(house: House) -> None:
    """FEATURES O1, O3: ids are the `seq` of the record; the end has the answer of the order."""
    gate = house.models.brush.while_waiting = Gate()
    guest = await house.guest(2)
    id_ = await started(house, guest)
    async with stream(guest, id_) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        await gate.reached.wait()
        open_ = Heard(answer)
        events = [await open_.event()]
        assert events[0] == {"id": 1, "event": "status", "data": {"status": "queued", "at": events[0]["data"]["at"]}}
        gate.go.set()
        events += await open_.all()
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert {event["event"] for event in events[:-1]} == {"message", "status"}
    lines = [event["data"] for event in events if event["event"] == "message"]
    assert all(list(line) == ["text", "stage", "at"] for line in lines)
    assert events[-1]["event"] == "done"
    assert events[-1]["data"] == (await guest.get(f"/generations/{id_}")).json
    assert events[-1]["data"]["userMessage"] == lines[-1]["text"]


async def test_it_is_resumed_at_any_point(house: House) -> None:
    """FEATURES O3, O4: by `after` or by Last-Event-ID, nothing twice and nothing lost; with nothing left, 204."""
    guest = await house.guest(2)
    id_ = (await guest.still())["generationId"]
    whole = await heard(guest, id_)
    for seen in range(len(whole)):
        assert await heard(guest, id_, f"?after={seen}") == whole[seen:]
        assert await heard(guest, id_, Last_Event_ID=str(seen)) == whole[seen:]
    assert await heard(guest, id_, "?after=1", Last_Event_ID="3") == whole[3:]
    async with stream(guest, id_, f"?after={len(whole)}") as answer:
        assert (answer.status, await answer.read()) == (204, b"")


async def test_a_failure_is_told_at_the_end(house: House) -> None:
    """The event `error` has what the order would have answered."""
    house.models.conscience.flags = lambda _: ["violence"]
    guest = await house.guest(2)
    id_ = await started(house, guest)
    last = (await heard(guest, id_))[-1]
    assert last["event"] == "error"
    assert last["data"] == (await guest.get(f"/generations/{id_}")).json
    assert (last["data"]["error"]["code"], last["data"]["creditsAfter"]) == ("MODERATED", 2)


async def test_somebody_else_s_is_not_followed(house: House) -> None:
    """FEATURES O6."""
    owner, other = await house.guest(2), await house.guest()
    id_ = (await owner.still())["generationId"]
    assert (await other.get(f"/generations/{id_}/stream")).error == (404, "NOT_FOUND")
    assert (await owner.get("/generations/nothing/stream")).error == (404, "NOT_FOUND")


@pytest.mark.parametrize(("query", "sent"), [("?after=-1", ""), ("?after=x", ""), ("", "x"), ("", "-1"), ("", "9" * 10)])
async def test_a_place_that_cannot_be_is_refused(house: House, query: str, sent: str) -> None:
    guest = await house.guest(2)
    id_ = (await guest.still())["generationId"]
    assert (await guest.get(f"/generations/{id_}/stream{query}", Last_Event_ID=sent)).error == (400, "INVALID_INPUT")


async def test_an_open_stream_is_kept_alive_and_ends_with_the_server(house: House) -> None:
    """Comments between events, so that no proxy hangs up; at a restart the stream ends, to be taken up elsewhere."""
    gate = house.models.brush.while_waiting = Gate()
    guest = await house.guest(2)
    id_ = await started(house, guest)
    await gate.reached.wait()
    async with stream(guest, id_) as answer:
        async for line in answer.content:
            if line == b":\n":
                break
        house.rest.drain()
        rest = await Heard(answer).all()
    assert not any(event["event"] in {"done", "error"} for event in rest)
    gate.go.set()


async def test_a_stream_ends_with_its_token(house: House) -> None:
    """DESIGN section 4: what a token let in goes when it expires."""
    gate = house.models.brush.while_waiting = Gate()
    guest = await house.guest(2)
    user = str(uuid4())
    guest.token = house.token(sub=user)
    await guest.get("/me")
    id_ = await started(house, guest)
    guest.token = house.token(sub=user, hours=3 / 3600)
    async with asyncio.timeout(30), stream(guest, id_) as answer:
        assert answer.status == 200
        events = await Heard(answer).all()
    assert not any(event["event"] == "done" for event in events)
    gate.go.set()


async def test_nobody_is_listened_for_after_they_hang_up(house: House) -> None:
    gate = house.models.brush.while_waiting = Gate()
    guest = await house.guest(2)
    id_ = await started(house, guest)
    async with stream(guest, id_) as answer:
        assert await Heard(answer).event() is not None
        assert len(house.listening) == 1
        answer.close()
    async with asyncio.timeout(10):
        while house.listening:  # noqa: ASYNC110 -- nothing tells when the server has noticed
            await asyncio.sleep(0.01)
    gate.go.set()


async def test_head_of_a_stream_sends_no_events(house: House) -> None:
    guest = await house.guest(2)
    id_ = (await guest.still())["generationId"]
    said = await guest.send("HEAD", f"/generations/{id_}/stream")
    assert (said.status, said.text, said.headers["Content-Type"]) == (200, "", "text/event-stream")
