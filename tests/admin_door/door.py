"""The admins' door on a real server: Mina's own routes behind the guard of origins, without a worker."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import jwt
import pytest
import uvicorn
from starlette.applications import Starlette

from mina_gql.api.origin import OriginGuard
from mina_gql.asgi import Application
from tests.identity.edge import TOKEN_SECRET, Edge, edge_on

STUDIO_PAGES = "https://studio.example"
ANN = "ann@studio.example"
COOKIE = "mina-admin"
PAGE = {"Accept": "text/html"}


@dataclass
class Door:
    """A server to sign in at. `http` is a browser without a page, with a jar for cookies."""

    edge: Edge
    origin: str
    http: aiohttp.ClientSession

    @property
    def sql(self) -> Any:
        return self.edge.studio.sql

    def token(self, *, admin: bool = True, email: str | None = ANN, seconds: float = 3600, **claims: Any) -> str:
        """A sign-in token that ends in so many seconds; `claims` replace those it has."""
        signed = self.edge.token(email=email, admin=admin)
        read = jwt.decode(signed, options={"verify_signature": False})
        return jwt.encode({**read, "exp": time.time() + seconds, **claims}, TOKEN_SECRET, algorithm="HS256")

    async def knock(self, token: str, **headers: str) -> tuple[int, str]:
        """Post the form as our page does; the status and the page that comes."""
        said = {"Origin": self.origin, **headers}
        async with self.http.post("/admin/sign-in", data={"token": token}, headers=said, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def sign_in(self, **how: Any) -> str:
        """Sign in as an admin; gives the cookie's value."""
        assert (await self.knock(self.token(**how)))[0] == 303
        return self.cookie

    async def sign_out(self) -> None:
        """Sign out as the page does."""
        async with self.http.post("/admin/sign-out", headers={"Origin": self.origin}) as answer:
            assert answer.status == 204

    @property
    def cookie(self) -> str:
        return next((morsel.value for morsel in self.http.cookie_jar if morsel.key == COOKIE), "")

    async def ask(self, query: str, *, mean_it: bool = True, **headers: str) -> dict[str, Any]:
        """The answer to an operation; `mean_it`: as GraphiQL's page asks for an admin."""
        said = {"Origin": self.origin, "Accept": "application/graphql-response+json", **headers}
        if mean_it:
            said["X-Mina-Admin"] = "1"
        async with self.http.post("/graphql", json={"query": query}, headers=said) as answer:
            return await answer.json(content_type=None)

    async def code(self, query: str, **how: Any) -> str:
        """The code of its first error."""
        return (await self.ask(query, **how))["errors"][0]["extensions"]["code"]

    @asynccontextmanager
    async def socket(self, origin: str | None = None, /, **params: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A socket that has said `connection_init`; it sends the browser's cookies."""
        said = {"Origin": self.origin if origin is None else origin}
        async with self.http.ws_connect("/graphql", protocols=["graphql-transport-ws"], headers=said) as ws:
            await ws.send_json({"type": "connection_init", "payload": params})
            yield ws

    async def sessions(self) -> list[Any]:
        """The rows, oldest first."""
        return await self.sql.fetch("select * from mega_admin where mg_record_type = 'admin_session' order by mg_created_at")

    async def audited(self, action: str) -> list[Any]:
        """The audit rows of an action, oldest first."""
        return await self.sql.fetch("select * from mega_admin where mg_action = $1 order by mg_created_at", action)

    def stranger(self) -> aiohttp.ClientSession:
        """Another browser, which nobody signed in with."""
        return aiohttp.ClientSession(self.origin, cookie_jar=aiohttp.CookieJar(unsafe=True))


@asynccontextmanager
async def door_of(edge: Edge, **settings: Any) -> AsyncIterator[Door]:
    """Its routes on a free port of 127.0.0.1; `settings` replace those of its Mina."""
    mina = edge.studio.mina
    listening = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    application = Application(mina.settings, worker=False)
    app = OriginGuard(Starlette(routes=application._routes(mina)), origin, [STUDIO_PAGES])
    config = uvicorn.Config(app, lifespan="off", log_level="critical", ws="websockets-sansio")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        async with aiohttp.ClientSession(origin, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            yield Door(edge, origin, http)
    finally:
        await application.drain()
        server.should_exit = server.force_exit = True
        await serving


@pytest.fixture
async def door(postgres, seeded, tmp_path) -> AsyncIterator[Door]:
    """A door on a database of this test's own."""
    dsn = await postgres.create_database(seeded)
    async with edge_on(tmp_path, dsn) as edge, door_of(edge) as door:
        yield door
    await postgres.drop_database(dsn)


def stranger_s_secret() -> str:
    """A cookie that looks right and is nobody's."""
    return (uuid4().hex + uuid4().hex)[:43]
