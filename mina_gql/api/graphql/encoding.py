"""JSON in and out, by orjson. Results may hold `orjson.Fragment`: JSON that is passed on unread."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import ExecutionResult

from mina_gql.api.errors import graphql_error
from mina_gql.domain.errors import MinaError


class Malformed(MinaError):
    """What came is no GraphQL request; the message says why."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """The parameters of a request, the same in a POST body and a socket's `subscribe` payload."""

    query: str
    variables: Mapping[str, object] | None
    operation_name: str | None


def decode(data: bytes | str) -> Any:
    """Parse JSON as RFC 8259 has it: no NaN, no lone surrogates, UTF-8 only. Raises Malformed."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"This is not valid JSON: {error}") from None


def read_request(value: object) -> GraphQLRequest:
    """Check the parameters of a request. `extensions` are allowed and unused. Raises Malformed."""
    if isinstance(value, list):
        raise Malformed("Batches are not supported: send one operation at a time.")
    if not isinstance(value, dict):
        raise Malformed("A request is a JSON object with `query`, `variables` and `operationName`.")
    query, name = value.get("query"), value.get("operationName")
    if not isinstance(query, str):
        raise Malformed("`query` must be a string with a GraphQL document.")
    if not isinstance(name, str | None):
        raise Malformed("`operationName` must be a string or null.")
    for parameter in ("variables", "extensions"):
        if not isinstance(value.get(parameter), dict | None):
            raise Malformed(f"`{parameter}` must be an object or null.")
    return GraphQLRequest(query, value.get("variables"), name or None)


def encode(value: object) -> bytes:
    """Print an answer. Raises TypeError for a value that no resolver should have returned."""
    return orjson.dumps(value)


def result_map(result: ExecutionResult, request_id: str) -> dict[str, Any]:
    """The response map of an operation that ran: `errors` first where there are any, and always `data`."""
    if not result.errors:
        return {"data": result.data}
    return {"errors": [graphql_error(error, request_id) for error in result.errors], "data": result.data}
