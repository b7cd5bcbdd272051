"""The edge of a real server: who may reach it, what it says when something is wrong, and when its database is away."""

from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.conftest import Postgres
from tests.journeys.server import Server, external, running
from tests.journeys.visitor import CREATE, ENSURE_PASS, Visitor

ELSEWHERE = "https://elsewhere.example"
CODES = {
    "{ ": "GRAPHQL_PARSE_FAILED",
    "{ nothing }": "GRAPHQL_VALIDATION_FAILED",
    "query ($id: ID!) { generation(id: $id) { id } }": "BAD_USER_INPUT",
    'mutation { createUpload(input: {contentType: "image/png", fileName: "a", bytes: 1}) { upload { key } } }': "UNAUTHENTICATED",
    "{ me { generations(first: 101) { nodes { id } } } }": "BAD_USER_INPUT",
    "{ " + " ".join(f"a{n}: pricing {{ create }}" for n in range(31)) + " }": "LIMIT_EXCEEDED",
}


async def reached(server: Server, **headers: str) -> tuple[int, Any]:
    """What a page gets that sends these headers: the status, and the answer."""
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(server.graphql, json={"query": "{ pricing { create } }"}) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_page_elsewhere_cannot_reach_the_server(studio: Server) -> None:
    """T6 and DESIGN section 11: another origin, a name that was bound again, a sandboxed page; each told why, none answered."""
    for headers, status, code in (
        ({"Origin": ELSEWHERE}, 403, "FORBIDDEN"),
        ({"Origin": "null"}, 403, "FORBIDDEN"),
        ({"Origin": f"http://127.0.0.1:{studio.port + 1}"}, 403, "FORBIDDEN"),
        ({"Host": f"rebound.example:{studio.port}"}, 421, "MISDIRECTED_REQUEST"),
        (
            {"Host": f"rebound.example:{studio.port}", "Origin": f"http://rebound.example:{studio.port}"},
            421,
            "MISDIRECTED_REQUEST",
        ),
    ):
        assert (await reached(studio, **headers))[0] == status, headers
        assert (await reached(studio, **headers))[1]["error"]["code"] == code, headers


async def test_our_own_page_and_no_page_at_all_may(studio: Server) -> None:
    """Tools send no Origin; our own page is reached by every name of this machine."""
    for headers in (
        {},
        {"Origin": studio.origin},
        {"Origin": f"http://localhost:{studio.port}", "Host": f"localhost:{studio.port}"},
    ):
        assert (await reached(studio, **headers))[0] == 200, headers


@pytest.mark.parametrize(
    ("headers", "status"), [({"Origin": ELSEWHERE}, 403), ({"Host": "rebound.example"}, 421)], ids=["origin", "host"]
)
async def test_files_health_and_page_are_kept_from_pages_elsewhere_too(
    studio: Server, headers: dict[str, str], status: int
) -> None:
    """DESIGN section 11: every request, whatever it asks for."""
    async with aiohttp.ClientSession(headers=headers) as http:
        for path in ("/graphql", "/health", "/ready", "/assets/a", "/"):
            async with http.get(studio.origin + path, headers={"Accept": "text/html"}) as answer:
                assert answer.status == status, path


async def test_a_page_elsewhere_opens_no_socket(studio: Server) -> None:
    """DESIGN section 11: browsers let any page open a socket, so the server must not."""
    protocols = [Subprotocol("graphql-transport-ws")]
    for origin in (ELSEWHERE, "null"):
        with pytest.raises(InvalidStatus) as caught:
            await connect(studio.websocket, subprotocols=protocols, origin=Origin(origin))
        assert caught.value.response.status_code == 403
    rebound = studio.websocket.replace("127.0.0.1", "rebound.example")
    with pytest.raises(InvalidStatus) as caught:
        await connect(rebound, subprotocols=protocols, host="127.0.0.1", port=studio.port)
    assert caught.value.response.status_code == 421
    async with connect(studio.websocket, subprotocols=protocols, origin=Origin(studio.origin)) as socket:
        assert socket.subprotocol == "graphql-transport-ws"


async def test_a_page_may_ask_first_what_it_may_send(own_database: str, home: Path) -> None:
    """T6: the studio's page, on an origin that the operator named, with the headers that the studio sends. Others get none.

    Also R4: without keys and without offline models the server starts, and an order is told so and not charged.
    """
    page = "https://studio.example"
    settings = external(own_database, MINA_ALLOWED_ORIGINS=page, MINA_OFFLINE_VENDORS="false")
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-mina-pass-id,x-session-id",
    }
    async with running(home, **settings) as server:
        async with aiohttp.ClientSession() as http:
            async with http.options(server.graphql, headers={"Origin": page, **asked}) as answer:
                assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, page)
                allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
                assert {"authorization", "content-type", "x-mina-pass-id", "x-session-id"} <= allowed
                assert "POST" in answer.headers["Access-Control-Allow-Methods"]
            async with http.options(server.graphql, headers={"Origin": ELSEWHERE, **asked}) as answer:
                assert (answer.status, answer.headers.get("Access-Control-Allow-Origin")) == (403, None)
            async with http.post(server.graphql, json={"query": ENSURE_PASS}, headers={"Origin": page}) as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == page
                assert "X-Mina-Pass-Id" in answer.headers["Access-Control-Expose-Headers"]
            async with http.get(server.graphql, headers={"Accept": "text/html"}) as answer:
                assert answer.url.path == "/admin/sign-in"  # GraphiQL is for admins here
        await order_without_models(Visitor(server))


async def order_without_models(visitor: Visitor) -> None:
    """R4."""
    assert (await visitor.arrive())["credits"]["balance"] == 10
    payload = await visitor.create()
    assert payload["generation"] is None
    assert [error["code"] for error in payload["userErrors"]] == ["PROVIDER_NOT_CONFIGURED"]
    assert await visitor.balance() == 10
    archive = await visitor.ask("{ me { generations(first: 1) { totalCount } creditTransactions(first: 1) { totalCount } } }")
    assert archive["me"] == {"generations": {"totalCount": 0}, "creditTransactions": {"totalCount": 1}}


@pytest.mark.parametrize(("document", "code"), CODES.items(), ids=CODES.values())
async def test_an_error_has_a_code_and_the_id_of_its_request(studio: Server, document: str, code: str) -> None:
    """T5: the id is the one that the client sent, in header and error; no internals."""
    visitor = Visitor(studio)
    if code == "BAD_USER_INPUT":
        await visitor.arrive()
    async with (
        aiohttp.ClientSession(headers={**visitor.headers, "X-Request-Id": "journey-1"}) as http,
        http.post(studio.graphql, json={"query": document}) as answer,
    ):
        assert answer.headers["X-Request-Id"] == "journey-1"
        [error] = (await answer.json())["errors"]
    assert error["extensions"] == {"code": code, "requestId": "journey-1"}
    assert "Traceback" not in error["message"]


async def test_too_much_at_once_is_told_with_when_to_come_back(own_database: str, home: Path) -> None:
    """T5 and the limits of DESIGN section 11, as they stand where nobody has switched them off: ten new Passes a minute."""
    async with running(home, **external(own_database, MINA_RATE_LIMITS="on")) as server:
        visitor = Visitor(server)
        answers = [await visitor.post(ENSURE_PASS) for _ in range(11)]
    assert all("errors" not in answer for answer in answers[:10])
    [error] = answers[10]["errors"]
    assert error["extensions"]["code"] == "THROTTLED"
    assert 0 < error["extensions"]["retryAfterMs"] <= 60_000


async def test_a_server_outlives_its_database(postgres: Postgres, own_database: str, home: Path) -> None:
    """T1: away, it is healthy and not ready, and says so without internals; back again, it goes on by itself."""
    admin = await asyncpg.connect(postgres.dsn)
    async with running(home, **external(own_database)) as server, aiohttp.ClientSession() as http:
        server.calm = False
        visitor = Visitor(server)
        await visitor.arrive()
        name = own_database.rpartition("/")[2]
        await admin.execute(f"alter database {name} with allow_connections false")
        await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
        async with http.get(f"{server.origin}/health") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True})
        async with http.get(f"{server.origin}/ready") as answer:
            assert (answer.status, (await answer.json())["ok"]) == (503, False)
        [error] = (await visitor.post(CREATE, input={"brief": "A cup"}))["errors"]
        assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        assert name not in str(error)
        await admin.execute(f"alter database {name} with allow_connections true")
        await server.ready()
        generation = await visitor.accepted()
        assert (await visitor.followed(generation))[-1]["__typename"] == "GenerationCompleted"
        assert await visitor.balance() == 9
    await admin.close()
