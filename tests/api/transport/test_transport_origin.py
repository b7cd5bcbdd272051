"""A page elsewhere must not reach this server: the Host and Origin rules, and CORS for those that may."""

import asyncio
from collections.abc import Mapping

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from mina_gql.api.origin import OriginGuard, normal_origin
from tests.api.transport.conftest import Host

STUDIO = "https://studio.example"


async def hello(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello", headers={"X-Mina-Pass-Id": "p"})


async def greet(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close(1000)


@pytest.fixture
def port(host: Host) -> int:
    routes = [Route("/{path:path}", hello, methods=["GET", "POST", "PUT"]), WebSocketRoute("/graphql", greet)]
    host.app = OriginGuard(Starlette(routes=routes), "https://api.example/mina", [STUDIO])
    return host.port


async def call(port: int, method: str = "POST", path: str = "/graphql", **headers: str) -> tuple[int, Mapping[str, str]]:
    named = {name.replace("_", "-"): value.replace("PORT", str(port)) for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, f"http://127.0.0.1:{port}{path}", headers=named) as answer,
    ):
        return answer.status, answer.headers


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("localhost", 200),
        ("localhost:PORT", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:PORT", 200),
        ("[::1]:PORT", 200),
        ("api.example", 200),
        ("API.example:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("api.example.evil.example", 421),
        ("evil.example:80#localhost", 421),
        ("evil@localhost", 421),
        ("localhost/evil", 421),
        ("localhost:evil", 421),
        ("192.168.0.1", 421),
        ("", 421),
    ],
)
async def test_the_host_must_be_ours(port: int, name: str, status: int) -> None:
    assert (await call(port, Host=name))[0] == status


@pytest.mark.parametrize(
    ("name", "origin", "status"),
    [
        ("127.0.0.1:PORT", STUDIO, 200),
        ("api.example", STUDIO, 200),
        ("api.example", "https://api.example", 200),
        ("127.0.0.1:PORT", "https://api.example:443", 200),
        ("127.0.0.1:PORT", "http://127.0.0.1:PORT", 200),
        ("localhost:PORT", "http://localhost:PORT", 200),
        ("localhost:80", "http://localhost", 200),
        ("localhost:PORT", "http://localhost:3000", 403),
        ("localhost:PORT", "https://localhost:PORT", 403),
        ("localhost:PORT", "http://127.0.0.1:PORT", 403),
        ("api.example", "http://api.example", 403),
        ("api.example", "http://studio.example", 403),
        ("127.0.0.1:PORT", "https://studio.example.evil.example", 403),
        ("127.0.0.1:PORT", "https://evil.example", 403),
        ("127.0.0.1:PORT", "null", 403),
        ("127.0.0.1:PORT", "", 403),
        ("127.0.0.1:PORT", "file://", 403),
    ],
)
async def test_an_origin_must_be_allowed_on_http_and_sockets(port: int, name: str, origin: str, status: int) -> None:
    assert (await call(port, Host=name, Origin=origin))[0] == status
    headers = {"Origin": origin.replace("PORT", str(port)), "Host": name.replace("PORT", str(port))}
    async with aiohttp.ClientSession() as client:
        dial = client.ws_connect(f"http://127.0.0.1:{port}/graphql", headers=headers)
        if status == 200:
            async with dial as socket:
                assert (await socket.receive()).data == 1000
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await dial
            assert refused.value.status == status


async def test_two_hosts_are_none_to_trust(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
    assert b" 421 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_without_an_origin_webhooks_pass(port: int) -> None:
    status, headers = await call(port, path="/api/credits/shopify-order")
    assert status == 200
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", ["/graphql", "/uploads/token"])
async def test_a_preflight_tells_what_may_be_sent(port: int, path: str) -> None:
    asked = {"Access_Control_Request_Method": "PUT", "Access_Control_Request_Headers": "content-type"}
    status, headers = await call(port, "OPTIONS", path, Origin=STUDIO, **asked)
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == STUDIO
    assert set(headers["Access-Control-Allow-Methods"].split(", ")) == {"GET", "POST", "PUT", "OPTIONS"}
    assert {"Authorization", "X-Mina-Pass-Id", "X-Session-Id", "X-Request-Id", "Content-Type"} <= set(
        headers["Access-Control-Allow-Headers"].split(", ")
    )
    assert (await call(port, "OPTIONS", path, Origin="https://evil.example", **asked))[0] == 403


async def test_an_allowed_page_may_read_the_answer_and_its_headers(port: int) -> None:
    status, headers = await call(port, "PUT", "/uploads/token", Origin=STUDIO)
    assert status == 200
    assert headers["Access-Control-Allow-Origin"] == STUDIO
    assert {"X-Mina-Pass-Id", "X-Request-Id"} <= set(headers["Access-Control-Expose-Headers"].split(", "))
    assert headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in headers


async def test_a_refusal_is_json_with_a_request_id_and_without_cors(port: int) -> None:
    status, headers = await call(port, Origin="https://evil.example", X_Request_Id="me")
    assert (status, headers["Content-Type"], headers["X-Request-Id"]) == (403, "application/json", "me")
    assert "Access-Control-Allow-Origin" not in headers


def test_a_missing_public_url_lets_no_empty_host_in() -> None:
    assert "" not in OriginGuard(Starlette(), "").hosts
    assert normal_origin("http://h:99999") is None
