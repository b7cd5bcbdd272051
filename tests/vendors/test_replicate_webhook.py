"""The webhook wakes whoever waits, and can do nothing else: forged, stale, early, twice or lying (DESIGN section 9)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from mina_gql.adapters.ai.replicate.model import topic_of
from mina_gql.api.replicate_webhook import REPLICATE_PATH, ReplicateReceiver, routes
from mina_gql.api.webhooks import MAX_BODY_BYTES
from mina_gql.domain.errors import GenerationFailed
from mina_gql.settings import BadSetting, load
from tests.vendors.replicate_server import WEBHOOK_SECRET, Replicate, signed
from tests.vendors.replicate_studio import NEVER, MemoryBus, Till, bus, opened, replicate

__all__ = ["bus", "replicate"]

TOLD = {"id": "gm3qorzdhgbfurvjtvhg6dckhu", "status": "succeeded", "output": "https://evil.example/a.png"}
OTHER_SECRET = "whsec_c29tZWJvZHktZWxzZXMtc2VjcmV0LW9mLTMyLWJ5dGVz"


def edge(bus: MemoryBus, secret: str | None = WEBHOOK_SECRET) -> httpx2.AsyncClient:
    """A client of the route alone."""
    app = Starlette(routes=list(routes(ReplicateReceiver(bus, secret))))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://mina.example")


@pytest.fixture
async def webhook(bus: MemoryBus, free_port: int) -> AsyncIterator[str]:
    """The route on a port of its own, for the vendor to call; its URL."""
    app = Starlette(routes=list(routes(ReplicateReceiver(bus, WEBHOOK_SECRET))))

    async def relay(request: web.Request) -> web.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://mina.example") as client:
            told = await client.post(REPLICATE_PATH, content=await request.read(), headers=dict(request.headers))
        return web.Response(status=told.status_code, body=told.content)

    server = web.Application()
    server.router.add_post(REPLICATE_PATH, relay)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", free_port).start()
    yield f"http://127.0.0.1:{free_port}{REPLICATE_PATH}"
    await runner.cleanup()


# ---------------------------------------------------------------- from the vendor to the file


async def test_whoever_waits_is_woken(replicate: Replicate, bus: MemoryBus, webhook: str, tmp_path: Path):
    """Without it the next look would be in an hour."""
    replicate.hold = True
    async with opened(replicate.base, bus, webhook=webhook, pace=NEVER) as vendor:
        till = Till(vendor, tmp_path)
        run = asyncio.create_task(till.still())
        await replicate.looked.wait()
        await replicate.release()
        await run
    assert replicate.bodies[0]["webhook"] == webhook
    assert replicate.bodies[0]["webhook_events_filter"] == ["completed"]
    assert bus.topics == [topic_of(till.ids[0])]
    assert replicate.answers == [200]
    assert till.path.exists()


async def test_one_that_comes_twice_or_after_the_end_changes_nothing(replicate: Replicate, bus, webhook, tmp_path: Path):
    replicate.hold = True
    replicate.webhooks = ["completed", "completed"]
    async with opened(replicate.base, bus, webhook=webhook, pace=NEVER) as vendor:
        till = Till(vendor, tmp_path)
        run = asyncio.create_task(till.still())
        await replicate.looked.wait()
        await replicate.release()
        await run
        await replicate.release()
    assert replicate.answers == [200, 200, 200, 200]
    assert replicate.created == 1
    assert len([line for line in replicate.asked if line.startswith("GET /files")]) == 1


async def test_one_that_comes_before_anybody_waits_is_no_loss(replicate: Replicate, bus, webhook, tmp_path: Path):
    """The prediction ends while its id is being stored: the first look, which comes before the first wait, sees it."""
    replicate.hold = True

    async def accepted(_: str) -> None:
        await replicate.release()

    async with opened(replicate.base, bus, webhook=webhook, pace=NEVER) as vendor:
        till = Till(vendor, tmp_path)
        till.ids = accepted  # type: ignore[assignment]  # stands in for the list of ids
        await till.still()
    assert replicate.answers == [200]
    assert till.path.exists()


async def test_one_that_lies_is_not_believed(replicate: Replicate, bus, tmp_path: Path):
    """It says succeeded, with an output of its own; what counts is what the vendor says when it is asked: failed."""
    replicate.hold = True
    replicate.steps = ["processing", "failed"]
    async with opened(replicate.base, bus, pace=NEVER) as vendor, edge(bus) as client:
        till = Till(vendor, tmp_path)
        run = asyncio.create_task(till.still())
        await replicate.looked.wait()
        replicate.looked.clear()
        body, headers = signed({**TOLD, "id": till.ids[0]})
        assert (await client.post(REPLICATE_PATH, content=body, headers=headers)).status_code == 200
        await replicate.looked.wait()  # woken, it looked, and waits on
        assert not run.done()
        replicate.hold = False
        await client.post(REPLICATE_PATH, content=body, headers=headers)
        with pytest.raises(GenerationFailed):
            await run


async def test_forged_and_stale_ones_wake_nobody(replicate: Replicate, bus, webhook, tmp_path: Path):
    replicate.hold = True
    replicate.webhooks = ["forged", "stale"]
    async with opened(replicate.base, bus, webhook=webhook, pace=NEVER) as vendor:
        run = asyncio.create_task(Till(vendor, tmp_path).still())
        await replicate.looked.wait()
        await replicate.release()
        assert replicate.answers == [401, 401]
        assert bus.topics == []
        replicate.webhooks = ["completed"]
        await replicate.release()
        await run
    assert replicate.answers == [401, 401, 200]


# ---------------------------------------------------------------- the route


async def test_a_signed_one_is_announced(bus: MemoryBus):
    body, headers = signed(TOLD)
    async with edge(bus) as client:
        answer = await client.post(REPLICATE_PATH, content=body, headers=headers)
    assert answer.status_code == 200
    assert bus.topics == ["prediction:gm3qorzdhgbfurvjtvhg6dckhu"]


async def test_a_signature_is_of_the_raw_bytes(bus: MemoryBus):
    body, headers = signed(TOLD)
    async with edge(bus) as client:
        answer = await client.post(REPLICATE_PATH, content=body + b" ", headers=headers)
    assert answer.status_code == 401
    assert bus.topics == []


@pytest.mark.parametrize("given", [{"secret": OTHER_SECRET}, {"stale": True}], ids=["forged", "stale"])
async def test_a_forged_or_stale_one_is_401(bus: MemoryBus, given):
    body, headers = signed(TOLD, **given)
    async with edge(bus) as client:
        answer = await client.post(REPLICATE_PATH, content=body, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["ok"] is False
    assert bus.topics == []


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_one_without_a_header_is_401(bus: MemoryBus, missing):
    body, headers = signed(TOLD)
    del headers[missing]
    async with edge(bus) as client:
        assert (await client.post(REPLICATE_PATH, content=body, headers=headers)).status_code == 401


HEADER = st.binary().map(lambda value: value.translate(None, b"\r\n\0"))


@given(HEADER, HEADER, HEADER, st.binary())
async def test_whatever_stands_in_the_headers_it_is_401_and_no_crash(name, when, signature, body):
    """The library splits and decodes what it is given."""
    bus = MemoryBus()
    headers = {b"webhook-id": name, b"webhook-timestamp": when, b"webhook-signature": b"v1," + signature}
    async with edge(bus) as client:
        answer = await client.post(REPLICATE_PATH, content=body, headers=headers)
    assert answer.status_code == 401
    assert bus.topics == []


@pytest.mark.parametrize("timestamp", ["nan", "inf", "-1e400", "1e309", "", "0x10", "９９"])
@pytest.mark.parametrize("signature", ["v1", "v1,", "v1,%%%", ",,", "v1a,AAAA", "v1,AAAA v1"])
async def test_odd_headers_are_401(bus: MemoryBus, timestamp, signature):
    _, headers = signed(TOLD)
    odd = {**headers, "webhook-timestamp": timestamp.encode(), "webhook-signature": signature}
    async with edge(bus) as client:
        assert (await client.post(REPLICATE_PATH, content=orjson.dumps(TOLD), headers=odd)).status_code == 401
        now = {**headers, "webhook-signature": signature}
        assert (await client.post(REPLICATE_PATH, content=orjson.dumps(TOLD), headers=now)).status_code == 401


@pytest.mark.parametrize(
    "told", [b"", b"no json", b"[]", b"{}", b'{"id": 7}', b'{"id": "../../x"}', b'{"id": "' + b"a" * 65 + b'"}']
)
async def test_a_signed_one_that_tells_nothing_is_taken_and_forgotten(bus: MemoryBus, told):
    """Refusing it would only make the vendor send it again."""
    body, headers = signed(told)
    async with edge(bus) as client:
        assert (await client.post(REPLICATE_PATH, content=body, headers=headers)).status_code == 200
    assert bus.topics == []


async def test_without_a_secret_it_is_503(bus: MemoryBus):
    body, headers = signed(TOLD)
    async with edge(bus, None) as client:
        assert (await client.post(REPLICATE_PATH, content=body, headers=headers)).status_code == 503


async def test_a_body_too_large_is_413(bus: MemoryBus):
    async with edge(bus) as client:
        answer = await client.post(REPLICATE_PATH, content=b" " * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413


async def test_only_post(bus: MemoryBus):
    async with edge(bus) as client:
        assert (await client.get(REPLICATE_PATH)).status_code == 405


# ---------------------------------------------------------------- the setting


def test_a_secret_is_checked_at_the_start_and_not_told(monkeypatch):
    monkeypatch.setenv("MINA_REPLICATE_WEBHOOK_SECRET", "whsec_not base64!")
    with pytest.raises(BadSetting, match="MINA_REPLICATE_WEBHOOK_SECRET") as caught:
        load()
    assert "base64!" not in str(caught.value)
    monkeypatch.setenv("MINA_REPLICATE_WEBHOOK_SECRET", WEBHOOK_SECRET)
    assert load().replicate_webhook_secret is not None
