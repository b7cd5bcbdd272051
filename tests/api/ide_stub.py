"""A small stock Strawberry server that answers the tour: one Pass, one picture, one still."""

import asyncio
from collections.abc import AsyncIterator
from enum import Enum

import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL
from strawberry.scalars import JSON
from strawberry.types import Info

from mina_gql.api.ide import ide

PASS_ID = "pass:anon:6f1c2a9e-40d7-4be1-9c55-3a1f0d2e7b88"
STILL_ID = "generation:0d5f8e6c-2b3a-4f7e-8d11-5c9a7e6b4f20"

PICTURE = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 30 40"><rect width="30" height="40" fill="#e6dcc8"/>
<path d="M0 28h30v12H0z" fill="#cdbf9f"/><path d="M8 17h14l-2 14H10z" fill="#f7f4ea"/><ellipse cx="15" cy="17" rx="7"
ry="2" fill="#7ea04d"/></svg>"""


@strawberry.enum
class PassState(Enum):
    BEARER = "BEARER"


@strawberry.type
class Credits:
    balance: int
    expires_at: str | None = None


@strawberry.type
class Pass:
    id: strawberry.ID
    state: PassState
    credits: Credits


@strawberry.type
class UserError:
    code: str
    message: str
    field: list[str]


@strawberry.type
class EnsurePassPayload:
    pass_: Pass = strawberry.field(name="pass")
    user_errors: list[UserError]


@strawberry.type
class Generation:
    id: strawberry.ID
    status: str
    cost: int
    output_url: str | None
    final_message: str | None


@strawberry.type
class GenerationPayload:
    generation: Generation | None
    pass_: Pass | None = strawberry.field(name="pass")
    replayed: bool
    user_errors: list[UserError]


@strawberry.input
class StillAssetsInput:
    product_image_url: str | None = None


@strawberry.input
class CreateInput:
    brief: str
    ratio: str | None = None
    assets: StillAssetsInput | None = None


@strawberry.input
class CreateUploadInput:
    content_type: str
    file_name: str
    bytes: int


@strawberry.type
class Upload:
    url: str
    headers: JSON
    key: str


@strawberry.type
class CreateUploadPayload:
    upload: Upload | None
    user_errors: list[UserError]


@strawberry.type
class Asset:
    public_url: str
    content_type: str


@strawberry.type
class AssetPayload:
    asset: Asset | None
    user_errors: list[UserError]


@strawberry.type
class UserMessage:
    text: str


@strawberry.interface
class GenerationEvent:
    seq: int
    at: str


@strawberry.type
class UserMessageAdded(GenerationEvent):
    message: UserMessage


@strawberry.type
class StatusChanged(GenerationEvent):
    status: str
    eta_seconds: int | None = None


@strawberry.type
class GenerationCompleted(GenerationEvent):
    generation: Generation


@strawberry.type
class GenerationFailure:
    code: str
    message: str
    refunded: bool


@strawberry.type
class GenerationFailed(GenerationEvent):
    failure: GenerationFailure


class Studio:
    """What the stub remembers, and what it saw of its callers."""

    def __init__(self) -> None:
        self.origin = ""
        self.balance = 10
        self.uploaded = b""
        self.created: list[CreateInput] = []
        self.connection_params: dict[str, object] = {}
        self.go_on = asyncio.Event()

    def still(self, *, done: bool) -> Generation:
        url = f"{self.origin}/assets/still.svg" if done else None
        return Generation(
            id=strawberry.ID(STILL_ID),
            status="DONE" if done else "QUEUED",
            cost=1,
            output_url=url,
            final_message="Here it is." if done else None,
        )

    def pass_of(self, given: object) -> Pass | None:
        known = given == PASS_ID
        return Pass(id=strawberry.ID(PASS_ID), state=PassState.BEARER, credits=Credits(balance=self.balance)) if known else None


def studio_of(info: Info) -> Studio:
    return info.context["request"].app.state.studio


@strawberry.type
class Query:
    @strawberry.field
    def me(self, info: Info) -> Pass | None:
        return studio_of(info).pass_of(info.context["request"].headers.get("X-Mina-Pass-Id"))

    @strawberry.field
    def nothing(self) -> Generation | None:
        return None


@strawberry.type
class Mutation:
    @strawberry.mutation
    def ensure_pass(self, info: Info) -> EnsurePassPayload:
        info.context["response"].headers["X-Mina-Pass-Id"] = PASS_ID
        return EnsurePassPayload(pass_=studio_of(info).pass_of(PASS_ID), user_errors=[])

    @strawberry.mutation
    def create(self, info: Info, input: CreateInput) -> GenerationPayload:
        studio = studio_of(info)
        studio.created.append(input)
        studio.balance -= 1
        return GenerationPayload(
            generation=studio.still(done=False), pass_=studio.pass_of(PASS_ID), replayed=False, user_errors=[]
        )

    @strawberry.mutation
    def create_upload(self, info: Info, input: CreateUploadInput) -> CreateUploadPayload:
        url = f"{studio_of(info).origin}/uploads/token"
        upload = Upload(url=url, headers={"Content-Type": input.content_type}, key="cup")
        return CreateUploadPayload(upload=upload, user_errors=[])

    @strawberry.mutation
    def confirm_upload(self, info: Info, key: str) -> AssetPayload:
        url = f"{studio_of(info).origin}/assets/{key}.svg"
        return AssetPayload(asset=Asset(public_url=url, content_type="image/svg+xml"), user_errors=[])


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def generation_events(
        self, info: Info, generation_id: strawberry.ID, after_seq: int = 0
    ) -> AsyncIterator[GenerationEvent]:
        studio = studio_of(info)
        studio.connection_params = info.context["connection_params"]
        at = "2026-01-01T00:00:00.000Z"
        yield StatusChanged(seq=1, at=at, status="SCANNING")
        yield UserMessageAdded(seq=2, at=at, message=UserMessage(text="Finding the light for your cup …"))
        await studio.go_on.wait()
        yield GenerationCompleted(seq=3, at=at, generation=studio.still(done=True))


async def put_upload(request: Request) -> Response:
    request.app.state.studio.uploaded = await request.body()
    return Response(status_code=204)


async def picture(_: Request) -> Response:
    return Response(PICTURE, media_type="image/svg+xml")


def app() -> Starlette:
    """The page's routes before a stock GraphQL endpoint, an upload target and a picture."""
    events = [UserMessageAdded, StatusChanged, GenerationCompleted, GenerationFailed]
    schema = strawberry.Schema(Query, Mutation, Subscription, types=events)
    endpoint = GraphQL[object, None](schema, graphql_ide=None)
    stub = Starlette(
        routes=[
            *ide(),
            Route("/graphql", endpoint, methods=["GET", "POST"]),
            WebSocketRoute("/graphql", endpoint),
            Route("/uploads/token", put_upload, methods=["PUT"]),
            Route("/assets/{name}", picture),
        ]
    )
    stub.state.studio = Studio()
    return stub
