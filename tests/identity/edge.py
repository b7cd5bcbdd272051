"""The edge without sockets: operations with headers and real sign-in tokens, on the engine and a real PostgreSQL."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from mina_gql import bootstrap
from mina_gql.adapters.supabase_jwt import sign_development_token
from mina_gql.api.errors import as_graphql, graphql_error
from mina_gql.api.graphql import schema
from mina_gql.api.graphql.context import ContextFactory
from mina_gql.api.graphql.documents import RequestRefused
from mina_gql.api.graphql.encoding import encode, result_map
from mina_gql.api.graphql.engine import Engine
from mina_gql.domain.errors import RequestError
from mina_gql.domain.passes import Caller, Login
from mina_gql.services.passes import Ensured
from mina_gql.settings import Settings
from tests.studio import ADDRESS, Studio, settings_for

TOKEN_SECRET = b"a secret for sign-in tokens, 32 bytes or more"
REQUEST = "r"
ENSURE = "mutation { ensurePass { pass { id state credits { balance } } merged { rowsMoved matchaMoved } userErrors { code } } }"


def login(user_id: str | None = None, email: str | None = None, **more: Any) -> Login:
    """What a token says; an e-mail counts as verified unless told otherwise."""
    verified = more.pop("verified", email is not None)
    facts = {"google": False, "apple": False, "admin": False, "method": "email" if verified else None, **more}
    return Login(user_id or str(uuid4()), email, verified, expires_at=time.time() + 3600, **facts)


async def sign_in(studio: Studio, who: Login, presented: str | None = None) -> Ensured:
    """`ensurePass` with a token and, it may be, with an id in the header."""
    return await studio.passes.ensure(Caller(None, ADDRESS, login=who, presented=presented))


async def caller_of(studio: Studio, who: Login | None, presented: str | None = None) -> Caller:
    """Whom the edge takes somebody for."""
    owner = await studio.passes.prove(presented, who)
    if owner is None:
        return Caller(None, ADDRESS, login=who, presented=presented)
    tags = studio.passes.owner_tags(owner)
    return Caller(owner.id, ADDRESS, disabled=owner.disabled, login=who, presented=presented, owner_tags=tags)


async def row_of(studio: Studio, pass_id: str) -> asyncpg.Record:
    """A customer row as it stands."""
    return await studio.sql.fetchrow("select * from mega_customers where mg_pass_id = $1", pass_id)


@dataclass(frozen=True)
class Who:
    """What a request carries: a Pass ID, a token, both or neither."""

    pass_id: str | None = None
    token: str | None = None
    more: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """As they are sent."""
        said = {"host": "127.0.0.1", "user-agent": "Tests/1.0 (of identity)", **self.more}
        if self.pass_id is not None:
            said["x-mina-pass-id"] = self.pass_id
        if self.token is not None:
            said["authorization"] = f"Bearer {self.token}"
        return said


class Edge:
    """Asks as HTTP would, and reads the answer as a client does."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.engine = Engine(schema.build())
        self.contexts = ContextFactory(studio.mina.services, studio.mina.authenticator)

    def token(self, sub: str | None = None, email: str | None = None, **more: Any) -> str:
        """A good sign-in token."""
        issuer = self.studio.mina.settings.issuer
        return sign_development_token(TOKEN_SECRET, issuer, sub=sub or str(uuid4()), email=email, **more)

    async def ask(self, who: Who, document: str, /, **variables: Any) -> Any:
        """The whole answer to a query or mutation."""
        try:
            prepared, _ = self.engine.prepare(document, None, variables)
            result = await self.engine.execute(prepared, variables, None, await self._context(who))
        except RequestRefused as refused:
            return {"errors": [graphql_error(error, REQUEST) for error in refused.errors]}
        except RequestError as error:
            return {"errors": [graphql_error(as_graphql(error), REQUEST)]}
        return orjson.loads(encode(result_map(result, REQUEST)))

    async def follow(self, who: Who, document: str, /, **variables: Any) -> list[Any]:
        """All answers of a subscription that ends."""
        try:
            prepared, _ = self.engine.prepare(document, None, variables)
            stream = await self.engine.subscribe(prepared, variables, None, await self._context(who))
        except RequestRefused as refused:
            return [{"errors": [graphql_error(error, REQUEST) for error in refused.errors]}]
        except RequestError as error:
            return [{"errors": [graphql_error(as_graphql(error), REQUEST)]}]
        return [orjson.loads(encode(result_map(result, REQUEST))) async for result in stream]

    async def arrive(self, who: Who) -> dict[str, Any]:
        """`ensurePass`; its Pass."""
        return (await self.ask(who, ENSURE))["data"]["ensurePass"]["pass"]

    async def _context(self, who: Who) -> Any:
        raw = [(name.encode(), value.encode()) for name, value in who.headers.items()]
        return await self.contexts(HTTPConnection({"type": "http", "headers": raw, "client": (ADDRESS, 1)}), None, REQUEST)


def signing_settings(home: Path, dsn: str, **more: Any) -> Settings:
    """The settings of a Mina that checks sign-in tokens."""
    return settings_for(home, dsn).model_copy(update={"supabase_jwt_secret": SecretStr(TOKEN_SECRET.decode()), **more})


@asynccontextmanager
async def edge_on(home: Path, dsn: str, **more: Any) -> AsyncIterator[Edge]:
    """An edge on a migrated database."""
    sql = await asyncpg.connect(dsn)
    try:
        async with bootstrap.assembled(signing_settings(home, dsn, **more), dsn) as mina:
            yield Edge(Studio(mina, sql))
    finally:
        await sql.close()
