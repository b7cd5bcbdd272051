"""Sockets over a real server: who they belong to, when they end, and balances that are followed live."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import jwt
import pytest
import uvicorn
from starlette.types import ASGIApp

from mina_gql.api.graphql.websocket import GraphQLWebSocket
from mina_gql.domain import shopify
from mina_gql.mega import buyers
from mina_gql.mega.admin import Actor
from tests.identity.edge import TOKEN_SECRET, Edge, Who, login, sign_in

SECRET = b"a-secret-of-48-bytes-that-is-used-in-tests-only!"
ADMIN = Actor(login().user_id, "boss@mina.example", "127.0.0.1", "tests", "/graphql", "adjustCredits", 200)
FOLLOW = "subscription { creditsChanged { id credits { balance expiresAt } } }"
ME = "{ me { id } }"


@pytest.fixture
async def url(edge: Edge) -> AsyncIterator[str]:
    """Where the edge's sockets are served, on a free port of this machine."""
    app: ASGIApp = GraphQLWebSocket(edge.engine, edge.contexts, edge.contexts.authorise)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical"))
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"ws://127.0.0.1:{listener.getsockname()[1]}/graphql"
    server.should_exit = server.force_exit = True
    await serving


class Client:
    """One socket that speaks `graphql-transport-ws`."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def say(self, **message: object) -> None:
        await self.ws.send_json(message)

    async def hear(self) -> dict[str, object]:
        """The next message. Raises ConnectionError with the code where there is none."""
        message = await self.ws.receive(timeout=30)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(self.ws.close_code)
        return json.loads(message.data)

    async def begin(self, **params: str) -> None:
        await self.say(type="connection_init", payload=params)
        assert await self.hear() == {"type": "connection_ack"}

    async def subscribe(self, query: str, name: str = "1") -> None:
        await self.say(type="subscribe", id=name, payload={"query": query})

    async def balance(self) -> int:
        """The balance that the next message tells."""
        message = await self.hear()
        assert message["type"] == "next", message
        return message["payload"]["data"]["creditsChanged"]["credits"]["balance"]

    async def closed(self) -> int | None:
        """The code that the server closes with; whatever it says before is dropped."""
        try:
            while True:
                await self.hear()
        except ConnectionError:
            return self.ws.close_code


@pytest.fixture
async def client(url) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http, http.ws_connect(url, protocols=["graphql-transport-ws"]) as ws:
        yield Client(ws)


def expiring(edge: Edge, seconds: int) -> str:
    """A token that ends in some seconds."""
    claims = jwt.decode(edge.token(), options={"verify_signature": False})
    return jwt.encode({**claims, "exp": claims["iat"] + seconds}, TOKEN_SECRET, algorithm="HS256")


# ---------------------------------------------------------------- whose a socket is


async def test_a_socket_s_token_and_id_prove_the_same_as_a_request_s(edge, client):
    guest, token = await edge.studio.person(), edge.token()
    home = (await edge.arrive(Who(token=token)))["id"]
    await client.begin(**{"authorization": f"Bearer {token}", "x-mina-pass-id": guest.pass_id})
    await client.subscribe(ME)
    assert (await client.hear())["payload"] == {"data": {"me": {"id": home}}}


async def test_a_claimed_id_alone_is_nobody_on_a_socket(edge, client):
    who, guest = login(), await edge.studio.person()
    await sign_in(edge.studio, who, guest.pass_id)
    await client.begin(**{"x-mina-pass-id": guest.pass_id})
    await client.subscribe(ME)
    assert (await client.hear())["payload"] == {"data": {"me": None}}


@pytest.mark.parametrize("spoilt", ["a.b.c", "nonsense"])
async def test_a_token_that_does_not_hold_opens_no_socket(edge, client, spoilt):
    guest = await edge.studio.person()
    await client.say(type="connection_init", payload={"authorization": f"Bearer {spoilt}", "x-mina-pass-id": guest.pass_id})
    assert await client.closed() == 4403


async def test_a_socket_ends_with_its_token_in_the_middle_of_a_subscription(edge, client):
    token = expiring(edge, 3)
    await edge.arrive(Who(token=token))
    await client.begin(authorization=f"Bearer {token}")
    await client.subscribe(FOLLOW)
    assert await client.balance() == 0
    assert await client.closed() == 4403


async def test_nobody_follows_no_balance(edge, client):
    await client.begin()
    await client.subscribe(FOLLOW)
    refused = await client.hear()
    assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "UNAUTHENTICATED")


# ---------------------------------------------------------------- balances


async def test_a_balance_is_followed_through_purchase_refund_adjustment_and_expiry(edge, client):
    """C15: each change is told, also the one that only the clock makes."""
    studio = edge.studio
    guest = await studio.person(matcha=1)
    reference = shopify.deposit_ref(guest.pass_id, SECRET)
    async with studio.mina.database.begin() as session:
        await buyers.keep_deposit_ref(session, guest.pass_id, shopify.fingerprint(reference))
    await client.begin(**{"x-mina-pass-id": guest.pass_id})
    await client.subscribe(FOLLOW)
    assert await client.balance() == 1

    paid = {
        "id": 7,
        "created_at": datetime.now(UTC).isoformat(),
        "financial_status": "paid",
        "note_attributes": [{"name": "mina_ref", "value": reference}],
        "line_items": [{"id": 70, "sku": "MINA-5", "quantity": 2}],
    }
    await studio.mina.orders.receive("orders/paid", paid)
    assert await client.balance() == 11
    back = {"id": 8, "order_id": 7, "refund_line_items": [{"line_item_id": 70, "quantity": 1, "line_item": {"sku": "MINA-5"}}]}
    await studio.mina.orders.receive("refunds/create", back)
    assert await client.balance() == 6
    await studio.credits.adjust(ADMIN, guest.pass_id, 4, "a gift", "gift")
    assert await client.balance() == 10

    await studio.sql.execute(
        "update mega_customers set mg_expires_at = clock_timestamp() + interval '1 second' where mg_pass_id = $1", guest.pass_id
    )
    await studio.credits.changed(guest.pass_id)
    assert await client.balance() == 10  # it ends sooner now …
    assert await client.balance() == 0  # … and there it ends, before anybody writes it off
    assert await studio.balance(guest) == 10


async def test_a_subscription_ends_when_its_pass_is_merged_away(edge, client):
    guest, who = await edge.studio.person(matcha=1), login()
    await sign_in(edge.studio, who)
    await client.begin(**{"x-mina-pass-id": guest.pass_id})
    await client.subscribe(FOLLOW)
    assert await client.balance() == 1
    await sign_in(edge.studio, who, guest.pass_id)
    await edge.studio.credits.changed(guest.pass_id)
    assert await client.hear() == {"type": "complete", "id": "1"}
