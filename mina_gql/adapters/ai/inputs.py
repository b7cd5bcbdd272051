"""How our request becomes a model's input: by the registry's words (`Role.inputs`) and by what its settings schema knows."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from mina_gql.domain.config import Role
from mina_gql.domain.ports import JsonObject, MediaRequest


class Slot(str):
    """A picture's slot (`product`, `start`, …), standing in an input where its address will be."""

    __slots__ = ()


def model_input(role: Role, request: MediaRequest, words: Mapping[str, str | None]) -> JsonObject:
    """The input of a model, with slots for pictures.

    `words` maps our words to the model's, and what the registry says in `role.inputs` wins: `prompt`, `ratio`, `pictures` (a
    list), a slot with a field of its own, a setting. A setting without a word keeps its name; what has None for a word is never
    sent. Pictures whose slot has no word go to `pictures`. There are as many as the model takes, in the order of the request.
    """
    words = {**words, **role.inputs}
    slots = [Slot(slot) for slot in dict.fromkeys((*request.pictures, *request.urls))][: role.max_pictures]
    values: JsonObject = {
        **dict(_known(role, request.settings)),
        **{slot: slot for slot in slots if slot in words},
        "pictures": [slot for slot in slots if slot not in words],
        "ratio": request.ratio,
        "prompt": request.prompt,
    }
    named = {words.get(name, name): value for name, value in values.items()}
    return {field: value for field, value in named.items() if field is not None and value not in (None, "", [])}


def with_pictures(value: Any, shown: Callable[[Slot], str]) -> Any:
    """The same input with what `shown` gives for each slot: its address, or its plain name for what is kept."""
    if isinstance(value, Slot):
        return shown(value)
    if isinstance(value, dict):
        return {name: with_pictures(each, shown) for name, each in value.items()}
    if isinstance(value, list):
        return [with_pictures(each, shown) for each in value]
    return value


def _known(role: Role, settings: JsonObject) -> Iterator[tuple[str, Any]]:
    """The settings that this model has, with values that it takes: preferences may be older than the model (FEATURES L10)."""
    rules = role.settings_schema.get("properties", {})
    closed = role.settings_schema.get("additionalProperties") is False
    for name, value in settings.items():
        if name in role.stored_only or (closed and name not in rules):
            continue
        if Draft202012Validator(rules.get(name, True)).is_valid(value):
            yield name, value
