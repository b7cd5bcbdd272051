"""Seedream, which makes stills: its words (https://replicate.com/bytedance/seedream-4/api)."""

from collections.abc import Mapping

from mina_gql.adapters.ai.inputs import model_input
from mina_gql.domain.config import Role
from mina_gql.domain.ports import JsonObject, MediaRequest

WORDS: Mapping[str, str | None] = {"prompt": "prompt", "ratio": "aspect_ratio", "pictures": "image_input"}


def compose(role: Role, request: MediaRequest) -> JsonObject:
    """What a still is asked for with: all pictures in one list, and always a ratio (or it would be the first picture's)."""
    return model_input(role, request, WORDS)
