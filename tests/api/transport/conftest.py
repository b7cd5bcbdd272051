"""Serves the toy API on a free loopback port, in this process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from mina_gql.api.graphql.engine import Engine
from mina_gql.api.graphql.http import GraphQLHTTP
from mina_gql.api.graphql.websocket import GraphQLWebSocket
from tests.api.transport.transport_toy import World, make_schema

ASK = {"Content-Type": "application/json", "Accept": "application/graphql-response+json"}


@dataclass
class Toy:
    """A running server: `url` for HTTP, `ws` for sockets."""

    world: World
    engine: Engine
    http: GraphQLHTTP
    sockets: GraphQLWebSocket
    url: str
    ws: str

    async def ask(self, query: str, variables: object = None, **headers: str) -> tuple[int, dict]:
        async with (
            aiohttp.ClientSession() as client,
            client.post(self.url, json={"query": query, "variables": variables}, headers={**ASK, **headers}) as answer,
        ):
            return answer.status, await answer.json(content_type=None)


class Host:
    """One server for all tests, which put their own app into it."""

    app: ASGIApp
    port: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
async def host() -> AsyncIterator[Host]:
    """The running server. Connections made before uvicorn is up wait in the socket's backlog."""
    host = Host()
    config = uvicorn.Config(host, lifespan="off", log_level="critical", ws_max_size=512 * 1024)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    host.port = listener.getsockname()[1]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield host
    server.should_exit = server.force_exit = True
    await serving


@pytest.fixture
async def toy(host: Host) -> Toy:
    world = World()
    engine = Engine(make_schema(), timeout=5)
    http = GraphQLHTTP(engine, world.make_context, heartbeat=0.05)
    sockets = GraphQLWebSocket(engine, world.make_context)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (sockets if scope["type"] == "websocket" else http)(scope, receive, send)

    host.app = app
    return Toy(world, engine, http, sockets, f"http://127.0.0.1:{host.port}/graphql", f"ws://127.0.0.1:{host.port}/graphql")
