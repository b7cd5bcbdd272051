"""`/openapi.json` (OpenAPI 3.1), made from the table of routes and from the models that check and shape what goes over it."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from mina_gql.api.rest.table import (
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    SESSION_ID,
    Access,
    Nothing,
    Operation,
    Refused,
    RefusedForMatcha,
    Tells,
)
from mina_gql.domain.generations import KEY_CHARS

JsonObject = dict[str, Any]

REFUSALS: Mapping[int, str] = {
    400: "What was asked cannot be done as it is; the message says what to change.",
    401: "No Pass is proven, or the token does not hold.",
    402: "Too little matcha.",
    403: "Not for this caller, or not from this page.",
    404: "There is no such thing, or it is somebody else's.",
    409: "It was done otherwise before, or something else is under way.",
    413: "The body is larger than 256 KiB.",
    415: "The body is no JSON.",
    421: "This server does not answer to that Host.",
    429: "Too often: `Retry-After` says when to come again.",
    500: "A fault of ours; the header `X-Request-Id` names it.",
    503: "It cannot be done now; try again.",
}
ANYWHERE = (401, 403, 421, 429, 500, 503)

GIVEN: Mapping[int, str] = {
    200: "Done.",
    202: "Accepted, and not done yet: follow `streamUrl`.",
    204: "There is nothing more to tell.",
    422: "It was ordered, and could not be made; its price was given back.",
}

HEADERS: Mapping[str, JsonObject] = {
    SESSION_ID: {"description": "The visit this belongs to, where the body names none.", "schema": {"type": "string"}},
    IDEMPOTENCY_KEY: {
        "description": "The same key again gives the first result, and is charged once.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS},
    },
    LAST_EVENT_ID: {
        "description": "The last event that was seen: only what came behind it is sent.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,9}$"},
    },
}

SCHEMES: JsonObject = {
    "passId": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Mina-Pass-Id",
        "description": "The `passId` of `GET /me`: a secret, of somebody who has not signed in.",
    },
    "login": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A Supabase access token."},
}
SECURITY: Mapping[Access, list[JsonObject]] = {
    Access.ANYBODY: [{}, {"passId": []}, {"login": []}],
    Access.PASS: [{"passId": []}, {"login": []}],
    Access.ADMIN: [{"login": []}],
}


def describe(operations: Iterable[Operation[Any]]) -> JsonObject:
    """The description of these routes."""
    listed = list(operations)
    places, definitions = models_json_schema(_models(listed), ref_template="#/components/schemas/{model}")
    paths: dict[str, JsonObject] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, places)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mina",
            "version": "3",
            "description": "The studio's REST routes: thin aliases of its GraphQL API at `/graphql`.",
        },
        "paths": paths,
        "components": {"schemas": definitions["$defs"], "securitySchemes": SCHEMES},
    }


Places = Mapping[Any, JsonObject]
"""Where the schema of a model stands, by the model and the direction it goes in."""


def _models(operations: list[Operation[Any]]) -> list[tuple[type[BaseModel], JsonSchemaMode]]:
    """Every model once, in the order of the table."""
    found: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {
        (Refused, "serialization"): None,
        (RefusedForMatcha, "serialization"): None,
    }
    for operation in operations:
        if operation.has_body:
            found[operation.asks, "validation"] = None
        found |= {(model, "serialization"): None for model in operation.gives.values() if model is not None}
    return list(found)


def _operation(operation: Operation[Any], places: Places) -> JsonObject:
    answers = {status: _given(status, model, operation, places) for status, model in operation.gives.items()}
    refusals = {status: _refused(status, places) for status in _refusals(operation)}
    described: JsonObject = {
        "summary": operation.summary,
        "operationId": f"{operation.method.lower()}{operation.path.replace('/', '_').replace('-', '_')}",
        "tags": [operation.tag],
        "security": SECURITY[operation.access],
        "parameters": _parameters(operation),
        "responses": {str(status): answer for status, answer in sorted((answers | refusals).items())},
    }
    if operation.has_body:
        schema = places[operation.asks, "validation"]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _refusals(operation: Operation[Any]) -> set[int]:
    of_input = {400} if operation.asks is not Nothing or operation.headers else set()
    of_body = {413, 415} if operation.has_body else set()
    return {*ANYWHERE, *operation.refuses, *of_input, *of_body}


def _parameters(operation: Operation[Any]) -> list[JsonObject]:
    parameters: list[JsonObject] = [{"name": name, "in": "header", **HEADERS[name]} for name in operation.headers]
    if operation.has_body:
        return parameters
    schema = operation.asks.model_json_schema()
    required = schema.get("required", [])
    for name, rule in schema.get("properties", {}).items():
        place = "path" if name in operation.in_path else "query"
        text = {"description": rule.pop("description")} if "description" in rule else {}
        parameters.append({"name": name, "in": place, "required": name in required, **text, "schema": rule})
    return parameters


def _given(status: int, model: type[Tells] | None, operation: Operation[Any], places: Places) -> JsonObject:
    headers = {"X-Request-Id": {"description": "Names this request.", "required": True, "schema": {"type": "string"}}}
    described: JsonObject = {"description": GIVEN[status], "headers": headers}
    if model is not None:
        described["content"] = {"application/json": {"schema": places[model, "serialization"]}}
    elif operation.streams and status == 200:
        described["content"] = {"text/event-stream": {"schema": {"type": "string"}}}
    return described


def _refused(status: int, places: Places) -> JsonObject:
    schema = places[RefusedForMatcha if status == 402 else Refused, "serialization"]
    return {"description": REFUSALS[status], "content": {"application/json": {"schema": schema}}}
