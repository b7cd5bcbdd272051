"""Promises of `GET /metrics` (OPERATE.md): what a server tells of its work, who may read it, and that its labels stay few."""

import re

import aiohttp
import pytest

from mina_gql.settings import BadSetting, Settings, load
from tests.journeys.server import external, mina, running
from tests.journeys.visitor import Visitor
from tests.observability.scrape import Scrape

TOKEN = "a-token-of-the-scraper"


async def scraped(url: str, token: str | None = None, **headers: str) -> Scrape:
    """What a scraper reads."""
    sent = headers | ({"Authorization": f"Bearer {token}"} if token else {})
    async with aiohttp.ClientSession() as http, http.get(url, headers=sent) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return Scrape.of(await answer.text())


async def status(url: str, **headers: str) -> int:
    """The status of a request for metrics."""
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        return answer.status


# ---------------------------------------------------------------- what is counted


async def test_a_generation_is_counted_from_its_order_to_its_end(own_database, home):
    async with running(home, **external(own_database)) as server:
        visitor = Visitor(server)
        await visitor.arrive()
        picture = await visitor.uploaded()
        await visitor.followed(await visitor.accepted("A cup", assets={"productImageUrl": picture["publicUrl"]}))
        await visitor.post("{ nobody }")
        now = await scraped(f"{server.origin}/metrics")
    assert now.value("mina_generations_accepted_total", kind="still", operation="create") == 1
    assert now.value("mina_generations_ended_total", kind="still", code="DONE") == 1
    assert now.value("mina_matcha_total", what="charged") == 1
    assert now.value("mina_matcha_total", what="refunded") == 0
    for step, provider in (("scan_product", "offline"), ("like_history", "none"), ("seedream_generate", "offline")):
        assert now.value("mina_step_seconds_count", step=step, provider=provider, outcome="ok") == 1
    assert now.value("mina_vendor_call_seconds_count", vendor="offline", task="still", outcome="ok") == 1
    assert now.value("mina_gate_wait_seconds_count", vendor="offline") == now.value("mina_vendor_call_seconds_count")
    assert now.value("mina_vendor_slots_in_use", vendor="offline") == 0
    assert now.value("mina_requests_total", method="POST", route="/graphql", operation="mutation", status="200") == 4
    assert now.value("mina_requests_total", method="PUT", route="/uploads/{token}", status="204") == 1
    assert now.value("mina_requests_total", method="WS", operation="subscription", status="ok") == 1
    assert now.value("mina_request_seconds_count", operation="mutation") == 4
    assert now.value("mina_request_seconds_count", operation="subscription") == 0
    assert now.value("mina_graphql_errors_total", code="GRAPHQL_VALIDATION_FAILED") == 1
    assert now.value("mina_open", what="socket") == 0
    assert now.value("mina_database_up") == 1
    assert now.value("mina_database_connections", pool="readers", state="limit") == 10
    assert now.value("mina_build_info") == 1
    assert now.value("process_resident_memory_bytes") > 0


async def test_what_is_open_is_counted_while_it_is(own_database, home):
    async with running(home, "serve", "--no-worker", **external(own_database)) as server:
        visitor = Visitor(server)
        await visitor.arrive()
        events = visitor.events(await visitor.accepted("A cup"))
        await anext(events)
        during = await scraped(f"{server.origin}/metrics")
        await events.aclose()
    assert during.value("mina_open", what="socket") == 1
    assert during.value("mina_open", what="subscription") == 1
    assert during.value("mina_jobs", state="waiting") == 1
    assert during.value("mina_oldest_job_seconds") > 0


async def test_labels_are_no_place_for_what_clients_make_up(own_database, home):
    async with running(home, **external(own_database)) as server:
        async with aiohttp.ClientSession() as http:
            for name in ("one", "two"):
                for method in ("GET", "PROPFIND"):
                    async with http.request(method, f"{server.origin}/{name}?{name}"):
                        pass
                body = {"query": f"query {name} {{ me {{ id }} }}"}
                async with http.post(server.graphql, json=body, headers={"X-Shopify-Topic": name}):
                    pass
                async with http.post(f"{server.origin}/api/credits/shopify-order", headers={"X-Shopify-Topic": name}):
                    pass
        now = await scraped(f"{server.origin}/metrics")
    values = {value for _, labels in now for _, value in labels}
    assert not {value for value in values if re.search(r"\b(one|two)\b", value, re.IGNORECASE)}
    assert now.value("mina_requests_total", route="none", method="GET") == 2
    assert now.value("mina_requests_total", route="none", method="OTHER") == 2
    assert now.value("mina_webhooks_total", source="shopify", topic="other", outcome="unavailable") == 2


# ---------------------------------------------------------------- who may read


async def test_with_a_token_whoever_has_it_reads_by_whatever_name(own_database, home):
    public = "https://api.studio.example"
    async with running(home, **external(own_database, MINA_METRICS_TOKEN=TOKEN, MINA_PUBLIC_URL=public)) as server:
        url = f"{server.origin}/metrics"
        assert (await scraped(url, TOKEN, Host="10.2.3.4:8000")).value("mina_database_up") == 1
        assert await status(url) == 401
        assert await status(url, Authorization=f"Bearer {TOKEN}x") == 401
        assert await status(url, Authorization=TOKEN) == 401
        assert await status(f"{server.origin}/health", Host="10.2.3.4:8000") == 421


async def test_a_published_server_without_a_token_tells_nobody_and_says_what_to_set(own_database, home):
    published = external(own_database, MINA_PUBLIC_URL="https://api.studio.example")
    async with (
        running(home, **published) as server,
        aiohttp.ClientSession() as http,
        http.get(f"{server.origin}/metrics") as answer,
    ):
        assert answer.status == 401
        assert "MINA_METRICS_TOKEN" in await answer.text()


@pytest.mark.parametrize(
    ("settings", "private"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"public_url": "https://api.studio.example"}, False),
        ({"host": "0.0.0.0", "public_url": "http://127.0.0.1:8000"}, False),
    ],
)
def test_only_what_this_machine_alone_reaches_is_private(settings: dict[str, str], private: bool):
    assert Settings(**settings, _env_file=None).private is private


@pytest.mark.parametrize("token", ["too-short", "with spaces in it, and long"])
def test_a_token_that_can_be_guessed_or_not_be_sent_stops_the_start(token: str):
    with pytest.raises(BadSetting, match="MINA_METRICS_TOKEN: must be 16 characters or more"):
        load(metrics_token=token)


async def test_a_page_of_another_site_reads_nothing(own_database, home):
    async with running(home, **external(own_database)) as server:
        url = f"{server.origin}/metrics"
        assert await status(url, Host="rebound.example") == 421
        assert await status(url, Origin="https://elsewhere.example") == 403


async def test_a_worker_alone_tells_of_itself_on_a_port_of_its_own(own_database, home, free_port):
    port, api_port = free_port, free_port + 1
    settings = external(own_database, MINA_PORT=str(api_port))
    async with (
        running(home, "serve", "--no-worker", port=api_port, **settings) as server,
        running(home, "work", **settings, MINA_METRICS_PORT=str(port)),
    ):
        visitor = Visitor(server)
        await visitor.arrive()
        await visitor.followed(await visitor.accepted("A cup"))
        of_worker = await scraped(f"http://127.0.0.1:{port}/metrics")
        of_api = await scraped(f"{server.origin}/metrics")
        assert await status(f"http://127.0.0.1:{port}/graphql") == 404
    assert of_worker.value("mina_generations_ended_total", code="DONE") == 1
    assert of_api.value("mina_generations_ended_total") == 0
    assert of_api.value("mina_generations_accepted_total") == 1


async def test_a_port_that_is_taken_stops_a_worker_with_its_name(own_database, home, free_port):
    async with running(home, port=free_port, **external(own_database)):
        result = await mina(home, "work", **external(own_database, MINA_METRICS_PORT=str(free_port)))
    assert result.code == 2
    assert "MINA_METRICS_PORT" in result.err
    assert "Traceback" not in result.err
