"""A toy API for the transports' tests: one field for each thing that can happen to a request."""

import asyncio
import datetime
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, NewType

import orjson
import strawberry
from starlette.requests import HTTPConnection
from strawberry.schema.config import StrawberryConfig

from mina_gql.domain import errors

Raw = NewType("Raw", object)
SECRET = "postgresql://mina:hunter2@db"

FAILURES = {
    "refusal": errors.InvalidInput("The brief is empty.", ["brief"]),
    "not_found": errors.NotFound("No such generation."),
    "forbidden": errors.Forbidden("Admins only."),
    "throttled": errors.Throttled("Too fast.", 1500),
    "unexpected": RuntimeError(SECRET),
    "value": ValueError(SECRET),
    "key": KeyError(SECRET),
}


class World:
    """What the tests steer and look at. The sources wait for `go`."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.started = asyncio.Event()
        self.closed = asyncio.Event()
        self.produced = 0
        self.contexts: list[Context] = []
        self.params: list[Mapping[str, object] | None] = []
        self.gate: Exception | None = None

    async def make_context(self, connection: HTTPConnection, params: Mapping[str, object] | None, request_id: str) -> "Context":
        if self.gate is not None:
            raise self.gate
        self.params.append(params)
        context = Context(self, request_id)
        self.contexts.append(context)
        return context


@dataclass
class Context:
    world: World
    request_id: str
    response_headers: dict[str, str] = field(default_factory=dict)
    events: int = 0

    def for_event(self) -> "Context":
        self.events += 1
        return Context(self.world, f"event {self.events}")


Info = strawberry.Info[Context, None]


@strawberry.interface
class Node:
    id: strawberry.ID


@strawberry.type
class Item(Node):
    name: str
    size: int | None = None
    at: datetime.datetime = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)

    @strawberry.field
    def parent(self) -> "Item":
        return self

    @strawberry.field
    def steps(self) -> list["Item"]:
        return [self]

    @strawberry.field
    def children(self, first: int | None = None, last: int | None = None) -> "ItemConnection":
        return page(first or last or 1)

    @strawberry.field
    def because(self, first: int = 5) -> list["Item"]:
        return [self] * first


@strawberry.type
class Edge:
    cursor: str
    node: Item


@strawberry.type
class PageInfo:
    has_next_page: bool = False


@strawberry.type
class ItemConnection:
    nodes: list[Item]
    edges: list[Edge]
    page_info: PageInfo


def page(size: int) -> ItemConnection:
    items = [Item(id=strawberry.ID(str(n)), name=f"item {n}") for n in range(size)]
    return ItemConnection(nodes=items, edges=[Edge(cursor=each.id, node=each) for each in items], page_info=PageInfo())


@strawberry.input
class Range:
    low: int
    high: int = 3


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def count(self, limits: Annotated[Range, strawberry.argument(name="range")], at: datetime.datetime | None = None) -> int:
        return limits.high - limits.low

    @strawberry.field
    def required(self, size: int = 3) -> int:
        return size

    @strawberry.field
    def item(self) -> Item:
        return Item(id=strawberry.ID("1"), name="item 1")

    @strawberry.field
    def broken_item(self) -> Item:
        return Item(id=strawberry.ID("1"), name=None, size=SECRET)  # type: ignore[arg-type]  # the fault under test

    @strawberry.field
    def node(self) -> Node:
        return Item(id=strawberry.ID("1"), name="item 1")

    @strawberry.field
    def nodes(self, ids: list[strawberry.ID]) -> list[Node]:
        return [Item(id=each, name=each) for each in ids]

    @strawberry.field
    async def items(self, first: int | None = None, last: int | None = None) -> ItemConnection:
        return page(first or last or 20)

    @strawberry.field
    def raw(self) -> Raw:
        return Raw(orjson.Fragment(b'{"a": [1,\n 2]}'))

    @strawberry.field
    def unprintable(self) -> Raw:
        return Raw(object())

    @strawberry.field
    async def fail(self, kind: str) -> str | None:
        raise FAILURES[kind]

    @strawberry.field
    def who(self, info: Info) -> str:
        return info.context.request_id

    @strawberry.field
    async def wait(self, info: Info) -> str:
        world = info.context.world
        world.started.set()
        try:
            await world.go.wait()
        finally:
            world.closed.set()
        return "done"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def ensure(self, info: Info) -> str:
        info.context.response_headers["X-Mina-Pass-Id"] = "pass:1"
        return "ok"


@strawberry.type
class Event:
    seq: int

    @strawberry.field
    def seen_by(self, info: Info) -> str:
        return info.context.request_id

    @strawberry.field
    def fragile(self) -> str:
        if self.seq == 2:
            raise RuntimeError(SECRET)
        return "whole"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int) -> AsyncGenerator[Event, None]:
        for seq in range(1, to + 1):
            yield Event(seq=seq)

    @strawberry.subscription
    async def raw(self) -> AsyncGenerator[Raw, None]:
        yield Raw(orjson.Fragment(b'{"a":\n1}'))

    @strawberry.subscription
    async def live(self, info: Info) -> AsyncGenerator[Event, None]:
        """One event, then nothing until `go`; tells when it is closed."""
        world = info.context.world
        try:
            yield Event(seq=1)
            world.started.set()
            await world.go.wait()
            yield Event(seq=2)
        finally:
            world.closed.set()

    @strawberry.subscription
    async def flood(self, info: Info) -> AsyncGenerator[Event, None]:
        world = info.context.world
        while True:
            world.produced += 1
            yield Event(seq=world.produced)

    @strawberry.subscription
    async def fail(self, kind: str, after: int = 0) -> AsyncGenerator[Event, None]:
        for seq in range(1, after + 1):
            yield Event(seq=seq)
        raise FAILURES[kind]


def make_schema() -> strawberry.Schema:
    scalars = {Raw: strawberry.scalar(name="Raw", serialize=lambda value: value)}
    config = StrawberryConfig(scalar_map=scalars)
    return strawberry.Schema(Query, Mutation, Subscription, types=[Item], config=config)
