"""A Mina behind a real HTTP server, with scripted models and a worker, and somebody who speaks REST to it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette

from mina_gql import bootstrap
from mina_gql.adapters.supabase_jwt import sign_development_token
from mina_gql.api import uploads
from mina_gql.api.errors import unmatched
from mina_gql.api.origin import OriginGuard
from mina_gql.api.rest import Rest
from tests.services.pipeline_models import ScriptedModels
from tests.studio import PNG, Studio, settings_for

TOKEN_SECRET = b"a secret for sign-in tokens, 32 bytes or more"
STUDIO_PAGE = "https://studio.example"


@dataclass
class Said:
    """An answer, read."""

    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str]:
        """Status and code; the message is there too, and `ok` says no."""
        told = self.json
        assert told["ok"] is False
        assert told["error"]["message"]
        return self.status, told["error"]["code"]


@dataclass
class Guest:
    """Somebody who uses the routes."""

    house: "House"
    pass_id: str | None = None
    token: str | None = None
    more: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        said = dict(self.more)
        if self.pass_id is not None:
            said["X-Mina-Pass-Id"] = self.pass_id
        if self.token is not None:
            said["Authorization"] = f"Bearer {self.token}"
        return said

    async def send(self, method: str, path: str, **options: Any) -> Said:
        headers = {**self.headers, **options.pop("headers", {})}
        async with self.house.http.request(method, f"{self.house.origin}{path}", headers=headers, **options) as answer:
            return Said(answer.status, answer.headers, await answer.text())

    async def get(self, path: str, **headers: str) -> Said:
        return await self.send("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def post(self, path: str, body: Any = None, **headers: str) -> Said:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("POST", path, json={} if body is None else body, headers=named)

    async def uploaded(self) -> str:
        """The public URL of a picture, sent as the seed says: signed, then PUT."""
        asked = {"contentType": "image/png", "fileName": "product.png", "folder": "user_uploads", "bytes": len(PNG)}
        signed = (await self.post("/api/r2/upload-signed", asked)).json
        async with self.house.http.put(signed["uploadUrl"], data=PNG, headers={"Content-Type": "image/png"}) as answer:
            assert answer.status == 204
        url: str = signed["publicUrl"]
        return url

    async def still(self, **order: Any) -> Any:
        """A finished still; what its order answered."""
        said = await self.post("/editorial/generate", {"brief": "A cup on stone.", **order})
        assert said.status == 200, said.text
        return said.json


@dataclass
class House:
    """The server and what is behind it."""

    studio: Studio
    models: ScriptedModels
    rest: Rest
    origin: str
    http: aiohttp.ClientSession

    async def guest(self, matcha: int = 0) -> Guest:
        """Somebody new with a Pass."""
        return Guest(self, (await self.studio.person(matcha)).pass_id)

    def token(self, email: str | None = "ada@example.com", sub: str | None = None, **more: Any) -> str:
        """A good sign-in token."""
        issuer = self.studio.mina.settings.issuer
        return sign_development_token(TOKEN_SECRET, issuer, sub=sub or str(uuid4()), email=email, **more)

    @property
    def listening(self) -> list[str]:
        """The generations that somebody waits for."""
        bus: Any = self.studio.mina.bus
        return [topic for topic in bus._watchers if topic.startswith("generation:")]

    def admin(self) -> Guest:
        """Somebody who may do everything."""
        return Guest(self, token=self.token("chef@example.com", admin=True))


@asynccontextmanager
async def house_on(home: Path, dsn: str, *, worker: bool = True) -> AsyncIterator[House]:
    """A house on a seeded database."""
    models = ScriptedModels()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        update = {"port": port, "supabase_jwt_secret": SecretStr(TOKEN_SECRET.decode())}
        settings = settings_for(home, dsn).model_copy(update=update)
        sql = await asyncpg.connect(dsn)
        stack.push_async_callback(sql.close)
        mina = await stack.enter_async_context(bootstrap.assembled(settings, dsn, models=models))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        rest = Rest(mina.services, mina.authenticator, heartbeat=0.05)
        app = Starlette(
            routes=[*rest.routes(), *uploads.routes(mina.store), *uploads.asset_routes(mina.store)],
            exception_handlers={404: unmatched, 405: unmatched},
        )
        guarded = OriginGuard(app, settings.base_url, [STUDIO_PAGE])
        server = uvicorn.Server(uvicorn.Config(guarded, lifespan="off", log_level="critical"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        house = House(Studio(mina, sql), models, rest, f"http://127.0.0.1:{port}", http)
        try:
            if worker:
                await stack.enter_async_context(mina.worker.running())
            yield house
        finally:
            rest.drain()
            server.should_exit = True
            await serving
        await house.studio.check_books()
