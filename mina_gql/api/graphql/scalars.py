"""The contract's scalars: DateTime, URL, JSON."""

import re
from datetime import UTC, datetime
from typing import Any, NewType

import orjson
import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

DateTime = NewType("DateTime", str)
URL = NewType("URL", str)
JSON = NewType("JSON", object)

_MILLISECONDS = 23  # len("2026-11-21T09:10:40.123")
_SECONDS = 19
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def print_datetime(value: str | datetime) -> str:
    """RFC 3339 in UTC with milliseconds, from PostgreSQL's text, from RFC 3339, or from a datetime. Cut, never rounded."""
    if isinstance(value, datetime):
        value = value.astimezone(UTC).isoformat(" ", "microseconds")
    clock = value[:_SECONDS]
    digits = value[_SECONDS + 1 : _MILLISECONDS] if value[_SECONDS : _SECONDS + 1] == "." else ""
    digits = digits.split("+")[0].rstrip("Z")
    return f"{clock[:10]}T{clock[11:]}.{digits:0<3}Z"


def read_datetime(value: object) -> str:
    """A moment as clients send it: RFC 3339 with an offset. Raises GraphQLError."""
    try:
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo is None:
            raise GraphQLError("A DateTime needs its offset, such as 2026-11-21T09:10:40.123Z.")
        return print_datetime(moment)
    except (ValueError, OverflowError) as error:
        raise GraphQLError("A DateTime is RFC 3339 with an offset, such as 2026-11-21T09:10:40.123Z.") from error


def _text(value: object) -> str:
    return str(value)


def _as_is(value: Any) -> Any:
    return value


def read_json(value: Any) -> Any:
    """A JSON value that PostgreSQL can keep. Raises GraphQLError."""
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise GraphQLError("A JSON value nests at most 250 levels deep, and its integers have at most 64 bits.") from error
    if _NUL.search(text):
        raise GraphQLError("A JSON value has no NUL characters.")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment in UTC, RFC 3339, millisecond precision.",
        serialize=print_datetime,
        parse_value=read_datetime,
    ),
    URL: strawberry.scalar(
        name="URL",
        description=(
            "A permanent public https URL (http only for the embedded default on loopback). Never signed, never expiring."
        ),
        serialize=_text,
        parse_value=_text,
    ),
    JSON: strawberry.scalar(name="JSON", description="Any JSON value.", serialize=_as_is, parse_value=read_json),
}
