"""What OpenAI's published description allows in a request, read from the types that the `openai` package generates from it.

Every version of the package brings the description of its day, so nothing of it is copied here. On top come the rules of
strict structured outputs, which no type can say: https://developers.openai.com/api/docs/guides/structured-outputs
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from openai.types import ModerationCreateParams
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

REQUESTS = {"/v1/chat/completions": CompletionCreateParamsNonStreaming, "/v1/moderations": ModerationCreateParams}

# "Supported schemas" of the guide; limits of lengths and numbers are left out, since they are not taken by all models.
_STRICT_WORDS = {
    "type",
    "description",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "$defs",
    "$ref",
}


def faults(path: str, body: Any) -> list[str]:
    """What is wrong with a request's body; nothing for one that OpenAI takes."""
    found = [f"{'.'.join(map(str, fault.path))}: {fault.message[:200]}" for fault in _validator(path).iter_errors(body)]
    answer = body.get("response_format") if isinstance(body, dict) else None
    if answer and not found:
        found += strict_faults(answer["json_schema"]["schema"])
    return found


def strict_faults(schema: dict[str, Any]) -> list[str]:
    """What strict mode refuses in a schema."""
    found = ["the root is no object"] if schema.get("type") != "object" else []
    for each in _schemas_in(schema):
        found += [f"'{word}' is not permitted" for word in sorted(set(each) - _STRICT_WORDS)]
        if each.get("type") == "object":
            if each.get("additionalProperties") is not False:
                found.append("'additionalProperties' must be false")
            if sorted(each.get("required", [])) != sorted(each.get("properties", {})):
                found.append("'required' must name every property")
    return found


def _schemas_in(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for name in ("properties", "$defs"):
        for each in schema.get(name, {}).values():
            yield from _schemas_in(each)
    for each in schema.get("anyOf", []):
        yield from _schemas_in(each)
    if "items" in schema:
        yield from _schemas_in(schema["items"])


@cache
def _validator(path: str) -> Draft202012Validator:
    schema = TypeAdapter(REQUESTS[path]).json_schema()
    for each in [schema, *schema["$defs"].values()]:
        if "properties" in each:
            each["additionalProperties"] = False
    return Draft202012Validator(schema)
