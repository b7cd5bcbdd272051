"""JSON Schemas as strict structured outputs take them.

https://developers.openai.com/api/docs/guides/structured-outputs (supported schemas)
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai.types.shared_params import ResponseFormatJSONSchema

CAPTION_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "caption": {"type": "string", "maxLength": 2_000, "description": "What the picture shows."},
        "line": {"type": "string", "maxLength": 140, "description": "One friendly line for the person who waits."},
    },
}

_TAKEN = frozenset({"type", "description", "enum", "const", "properties", "items", "anyOf", "$defs", "$ref"})
"""Keywords that every vendor behind a proxy takes. Limits of numbers and lengths are refused by many; the caller checks them."""


def response_format(name: str, schema: Mapping[str, Any]) -> "ResponseFormatJSONSchema":
    """`schema` as the strict answer format called `name` (letters, digits, `_`, `-`; at most 64)."""
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": strict(schema)}}


def strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with keywords of the strict subset alone: objects are closed, and all of their properties required.

    The longest length of a text is told in words instead.
    """
    kept = {name: _strict_value(name, value) for name, value in schema.items() if name in _TAKEN}
    if "properties" in kept:
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    if "maxLength" in schema:
        kept["description"] = f"{kept.get('description', '')} At most {schema['maxLength']} characters.".strip()
    return kept


def _strict_value(name: str, value: Any) -> Any:
    match name:
        case "properties" | "$defs":
            return {key: strict(each) for key, each in value.items()}
        case "items":
            return strict(value)
        case "anyOf":
            return [strict(each) for each in value]
        case _:
            return value
