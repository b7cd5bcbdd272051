"""Asking the GraphQL engine over real services, without HTTP between, and a world with records of every kind to ask for."""

from dataclasses import dataclass, replace
from typing import Any

import orjson
from starlette.requests import HTTPConnection

from mina_gql.api.errors import graphql_error
from mina_gql.api.graphql.context import Context, ContextFactory
from mina_gql.api.graphql.documents import RequestRefused
from mina_gql.api.graphql.encoding import encode, result_map
from mina_gql.api.graphql.engine import Engine
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.passes import Caller
from mina_gql.services.sessions import NewSession
from tests.studio import BRIEF, PNG, Studio

REQUEST = "r"


class Api:
    """Asks the engine as HTTP would, and reads the answer as a client does."""

    def __init__(self, studio: Studio, engine: Engine) -> None:
        self.studio = studio
        self.engine = engine
        self.contexts = ContextFactory(studio.mina.services, studio.mina.authenticator)

    async def context(self, who: Caller | None, **headers: str) -> Context:
        said = {"host": "127.0.0.1", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if who is not None and who.pass_id is not None:
            said["x-mina-pass-id"] = who.pass_id
        raw = [(name.encode(), value.encode()) for name, value in said.items()]
        scope = {"type": "http", "headers": raw, "client": ("127.0.0.1", 1)}
        return await self.contexts(HTTPConnection(scope), None, REQUEST)

    async def ask(self, who: Caller | None, query: str, /, headers: dict[str, str] | None = None, **variables: Any) -> Any:
        """The whole answer to a query or mutation."""
        try:
            document, _ = self.engine.prepare(query, None, variables)
            result = await self.engine.execute(document, variables, None, await self.context(who, **headers or {}))
        except RequestRefused as refused:
            return {"errors": [graphql_error(error, REQUEST) for error in refused.errors]}
        return orjson.loads(encode(result_map(result, REQUEST)))

    async def data(self, who: Caller | None, query: str, /, **variables: Any) -> Any:
        """The data of an answer without errors."""
        answer = await self.ask(who, query, **variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def follow(self, who: Caller | None, query: str, /, **variables: Any) -> list[Any]:
        """All answers of a subscription that ends."""
        try:
            document, _ = self.engine.prepare(query, None, variables)
            stream = await self.engine.subscribe(document, variables, None, await self.context(who))
        except RequestRefused as refused:
            return [{"errors": [graphql_error(error, REQUEST) for error in refused.errors]}]
        return [orjson.loads(encode(result_map(result, REQUEST))) async for result in stream]


@dataclass
class World:
    """An owner with one record of each kind, a stranger with nothing, and a Pass that is switched off."""

    api: Api
    owner: Caller
    stranger: Caller
    disabled: Caller
    session: str
    done: str
    failed: str
    full: str
    picture: str
    ids: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.api, name)

    async def staged(self) -> str:
        """The key of an upload of the owner's that waits for its confirmation."""
        upload = await self.api.studio.assets.create_upload(self.owner, "image/png", "p.png", len(PNG))
        await self.api.studio.stage(upload.key)
        return upload.key


FULL = {
    "assets": {"product_image_url": "http://x/p", "inspiration_image_urls": ["http://x/i"]},
    "scans": {"product_crt": "a cup", "output_still_crt": "a cup on stone"},
    "inputs": {"brief": "A cup.", "style": "luxury", "ratio": "9:16", "movement_style": "orbit"},
    "feedback": {"text": "warmer"},
    "prompts": {"clean_prompt": "a cup, warm light"},
    "settings": {"kling": {"mode": "pro"}},
    "outputs": {"content_type": "video/mp4", "width": 720, "height": 1280},
    "userMessages": {
        "scan_lines": [{"seq": 2, "text": "Looking.", "stage": "scanning", "at": "2026-11-21T09:10:40.123Z"}],
        "final_line": {"seq": 3, "text": "Done.", "stage": "done", "at": "2026-11-21T09:10:41.123Z"},
    },
}
"""A variable map with a value for everything a generation shows."""


async def make_world(api: Api) -> World:
    """A visit with a finished picture, and a failed one beside it."""
    studio = api.studio
    owner, stranger, other = await studio.person(matcha=100), await studio.person(matcha=100), await studio.person(matcha=5)
    session = await studio.sessions.start(owner, NewSession(title="Visit", meta={"deep": [1, {"a": "ü"}]}))
    picture = await studio.picture(owner)
    order = replace(BRIEF, session_id=session.id, product_image_url=picture, style="luxury")
    done = (await studio.orders.create(owner, order)).generation
    await studio.mina.runner.run(done.id)
    failed = (await studio.orders.create(owner, BRIEF)).generation
    await studio.mina.endings.fail(failed.id, GenerationFailed("MODERATED", "Not this one, sorry."), lease=None)
    map_ = orjson.dumps(FULL).decode()
    full = await studio.row(
        "generation", "full", owner, mma_mode="video", mma_status="done", mma_vars=map_, session_id=done.session_id
    )
    event = await studio.sql.fetchval(
        "select mg_id from mega_generations where mg_record_type = 'mma_event' and mg_generation_id = $1", done.generation_id
    )
    ids = {
        "Pass": owner.pass_id,
        "Session": session.id,
        "Generation": done.id,
        "MmaStep": f"mma_step:{done.generation_id}:0",
        "MmaEvent": event,
        "CreditTransaction": f"credit_transaction:charge:{done.generation_id}",
    }
    return World(api, owner, stranger, await studio.disable(other), session.id, done.id, failed.id, full, picture, ids)


FIELDS = [
    "brief",
    "style",
    "ratio",
    "movementStyle",
    "feedback",
    "contentType",
    "width",
    "height",
    "posterUrl",
    "vars",
    "settings",
    "finalMessage",
    "prompt",
    "cost",
    "latencyMs",
    "downloadUrl",
    "createdAt",
    "assets { productImageUrl inspirationImageUrls }",
    "scans { product outputStill }",
    "userMessages { seq text stage at }",
    "steps { stepNo stepType status startedAt }",
    "failure { code message }",
]
"""What may be asked of a generation, in the ways its map is read."""


def code(answer) -> str:
    return answer["errors"][0]["extensions"]["code"]
