"""Orders by REST wait for their end, up to a configured time, and never lose what was accepted (seed 003, 6 to 8)."""

import asyncio

import aiohttp
import pytest

from mina_gql.mega.database import DatabaseAway
from tests.rest.rest_house import Guest, House
from tests.services.pipeline_models import Gate

ORDER = {"brief": "A cup on stone."}
KEPT = "select mg_id from mega_generations where mg_record_type = 'generation'"


async def test_an_order_waits_for_its_end(house: House) -> None:
    """The answer comes when the picture is there, not before."""
    gate = house.models.brush.while_waiting = Gate()
    guest = await house.guest(2)
    asking = asyncio.create_task(guest.post("/editorial/generate", ORDER))
    await gate.reached.wait()
    assert not asking.done()
    gate.go.set()
    said = await asking
    assert (said.status, said.json["status"], said.json["creditsAfter"]) == (200, "done", 1)


async def test_after_the_configured_time_it_answers_where_to_follow(house: House) -> None:
    """202, with the id, the stream and the price already paid; asked again, the same order says the same, and then its end."""
    await house.studio.knobs(**{"rest.wait_seconds": 0})
    gate = house.models.brush.while_waiting = Gate()
    guest = await house.guest(2)
    said = await guest.post("/editorial/generate", ORDER, Idempotency_Key="k")
    assert said.status == 202
    id_ = said.json["generationId"]
    assert list(said.json) == ["generationId", "status", "streamUrl", "creditsAfter"]
    assert (said.json["streamUrl"], said.json["creditsAfter"]) == (f"/generations/{id_}/stream", 1)
    assert said.json["status"] == "queued"
    assert said.headers["Location"] == f"/generations/{id_}"
    await gate.reached.wait()
    looked = await guest.get(said.headers["Location"])
    assert (looked.status, looked.json["status"]) == (202, "generating")
    gate.go.set()
    await house.studio.knobs(**{"rest.wait_seconds": 55})
    again = await guest.post("/editorial/generate", ORDER, Idempotency_Key="k")
    assert (again.status, again.json["generationId"], again.json["creditsAfter"]) == (200, id_, 1)
    assert again.json == (await guest.get(f"/generations/{id_}")).json


async def test_a_time_that_runs_out_is_no_failure(house: House) -> None:
    await house.studio.knobs(**{"rest.wait_seconds": 1})
    gate = house.models.brush.while_waiting = Gate()
    guest = await house.guest(2)
    assert (await guest.post("/editorial/generate", ORDER)).status == 202
    gate.go.set()
    await house.studio.knobs(**{"rest.wait_seconds": 55})
    assert (await guest.post("/editorial/generate", ORDER)).status == 200


async def test_a_failed_one_is_answered_with_its_failure(house: House) -> None:
    """422: the old frontend takes what is `ok` for a picture, and nothing sends it again by itself; its matcha is back."""
    house.models.conscience.flags = lambda _: ["violence"]
    guest = await house.guest(2)
    said = await guest.post("/editorial/generate", ORDER)
    assert said.error == (422, "MODERATED")
    told = said.json
    assert list(told) == ["ok", "error", "generationId", "status", "creditsAfter"]
    assert (told["status"], told["creditsAfter"], told["error"]["refunded"]) == ("error", 2, True)
    assert (await guest.get(f"/generations/{told['generationId']}")).json == told


async def test_a_cancel_elsewhere_ends_the_wait(house: House) -> None:
    """Whoever ends it: the order is answered with what became of it."""
    gate = house.models.eye.before = Gate()
    guest = await house.guest(2)
    picture = await guest.uploaded()
    asking = asyncio.create_task(guest.post("/editorial/generate", {**ORDER, "assets": {"productImageUrl": picture}}))
    await gate.reached.wait()
    caller = await house.studio.seen(guest.pass_id)
    await house.studio.generations.cancel(caller, await house.studio.sql.fetchval(KEPT))
    said = await asking
    assert said.error == (422, "CANCELLED")
    assert said.json["creditsAfter"] == 2
    gate.go.set()


async def test_a_server_that_ends_answers_whoever_waits(house: House) -> None:
    """A restart costs nobody their order: 202, and the stream tells the rest."""
    gate = house.models.brush.while_waiting = Gate()
    guest = await house.guest(2)
    asking = asyncio.create_task(guest.post("/editorial/generate", ORDER))
    await gate.reached.wait()
    house.rest.drain()
    said = await asking
    assert (said.status, said.json["creditsAfter"]) == (202, 1)
    gate.go.set()


async def test_a_client_that_hangs_up_is_not_waited_for(house: House) -> None:
    """What it ordered is made all the same, and nothing listens for it any more."""
    gate = house.models.brush.while_waiting = Gate()
    guest = await house.guest(2)
    async with aiohttp.ClientSession() as http:
        asking = asyncio.create_task(http.post(f"{house.origin}/editorial/generate", json=ORDER, headers=guest.headers))
        await gate.reached.wait()
        assert len(house.listening) == 1
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    async with asyncio.timeout(10):
        while house.listening:  # noqa: ASYNC110 -- nothing tells when the server has noticed
            await asyncio.sleep(0.01)
    gate.go.set()
    again = await guest.post("/editorial/generate", {"brief": "Another."})
    assert again.json["creditsAfter"] == 0


async def test_an_accepted_order_is_never_answered_as_if_it_were_not(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told to try again, somebody would pay twice: with the database away while it waits, the order is answered 202."""

    async def away(*_: object) -> None:
        raise DatabaseAway("ConnectionRefusedError")

    monkeypatch.setattr(house.studio.mina.services.progress, "_read", away)
    said = await (await house.guest(2)).post("/editorial/generate", ORDER)
    assert (said.status, said.json["creditsAfter"]) == (202, 1)


async def test_what_is_deleted_meanwhile_is_gone(house: House) -> None:
    """The owner takes it out of the archive from elsewhere: its order waits no longer, and its matcha is back."""
    gate = house.models.eye.before = Gate()
    guest = await house.guest(2)
    picture = await guest.uploaded()
    asking = asyncio.create_task(guest.post("/editorial/generate", {**ORDER, "assets": {"productImageUrl": picture}}))
    await gate.reached.wait()
    caller = await house.studio.seen(guest.pass_id)
    await house.studio.generations.delete(caller, await house.studio.sql.fetchval(KEPT))
    assert (await asking).status in {404, 422}  # it is cancelled first, and either may be seen
    assert (await guest.get("/credits/balance")).json["credits"] == 2
    gate.go.set()


async def test_somebody_who_signs_in_meanwhile_loses_nothing(house: House) -> None:
    """The Pass is merged away while its order waits: the order is answered, and is in the archive of the one that is left."""
    gate = house.models.brush.while_waiting = Gate()
    token = house.token()
    known = Guest(house, token=token)
    await known.get("/me")
    guest = await house.guest(2)
    asking = asyncio.create_task(guest.post("/editorial/generate", ORDER))
    await gate.reached.wait()
    guest.token = token
    merged = (await guest.get("/me")).json
    assert merged["passId"] != guest.pass_id
    gate.go.set()
    said = await asking
    assert said.status == 202
    assert (await known.get(f"/generations/{said.json['generationId']}")).json["status"] == "done"
