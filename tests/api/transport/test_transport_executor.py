"""The short way for plain fields gives what the stock executor gives: every answer, null and error."""

from typing import Any

import pytest
import strawberry
from graphql import execute, parse
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from mina_gql.api.graphql.executor import PlainExecutor, plain_fields
from tests.api.transport.transport_toy import make_schema


class Row:
    """A read-model whose attributes misbehave in every way."""

    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)

    @property
    def raising(self) -> str:
        raise RuntimeError("no")


async def late() -> str:
    return "late"


@strawberry.type
class Thing:
    text: str | None
    number: int | None
    required: str
    raising: str | None
    flag: bool
    renamed: str | None = strawberry.field(name="otherName", default=None)

    @strawberry.field
    def computed(self) -> str:
        return "computed"


ROWS: list[Any] = [
    {"text": "a", "number": 1, "required": "r", "flag": True, "renamed": "x"},
    {"text": None, "number": None, "required": "r", "flag": False, "renamed": None},
    {"text": "a", "number": 1, "required": None, "flag": True, "renamed": "x"},
    {"text": "a", "number": "not a number", "required": "r", "flag": True, "renamed": "x"},
    {"text": ValueError("a value that is an error"), "number": 2**40, "required": "r", "flag": 2, "renamed": "x"},
    {"number": 1, "required": "r", "flag": True, "renamed": "x"},
    {"text": ["list"], "number": 1.0, "required": object(), "flag": "yes", "renamed": 7},
]
SELECTIONS = [
    "text number required flag otherName __typename",
    "a: text b: text text text",
    "text raising",
    "text computed number",
    "...F number ... on Thing { flag } text @skip(if: true)",
]


@strawberry.type
class Query:
    @strawberry.field
    def things(self) -> list[Thing | None]:
        return [Row(**row) for row in ROWS]  # type: ignore[misc]  # resolvers return read-models

    @strawberry.field
    def later(self) -> Thing:
        return Row(text=late(), number=1)  # type: ignore[return-value]


@pytest.mark.parametrize("selection", SELECTIONS)
async def test_answers_and_errors_are_the_stock_executors(selection: str) -> None:
    schema = strawberry.Schema(Query)._schema
    query = parse(f"{{ things {{ {selection} }} }} fragment F on Thing {{ required }}")
    stock = execute(schema, query, executor_class=StrawberryGraphQLCoreExecutionContext)
    short = execute(schema, query, executor_class=PlainExecutor, plain=plain_fields(schema))
    assert [type(error.original_error) for error in short.errors or ()] == [
        type(error.original_error) for error in stock.errors or ()
    ]
    assert short.formatted == stock.formatted


async def test_an_attribute_that_must_be_awaited_is_awaited() -> None:
    schema = strawberry.Schema(Query)._schema
    result = await execute(schema, parse("{ later { text number } }"), executor_class=PlainExecutor, plain=plain_fields(schema))
    assert result.data == {"later": {"text": "late", "number": 1}}


def test_only_fields_that_read_an_attribute_are_plain() -> None:
    names = {f"{kind.name}.{name}" for kind, name in plain_fields(make_schema()._schema)}
    assert {"Item.id", "Item.name", "Item.size", "Item.at", "Edge.cursor", "PageInfo.hasNextPage", "Event.seq"} == names
