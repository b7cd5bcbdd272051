"""Kling, which makes clips: its words and its two rules (https://replicate.com/kwaivgi/kling-v2.1/api)."""

from collections.abc import Mapping

from mina_gql.adapters.ai.inputs import model_input
from mina_gql.domain.config import Role
from mina_gql.domain.ports import JsonObject, MediaRequest

WORDS: Mapping[str, str | None] = {
    "prompt": "prompt",
    "ratio": None,  # a clip has the ratio of its first frame
    "pictures": None,
    "start": "start_image",
    "end": "end_image",
    "durationSec": "duration",
}
PROMPT_CHARS = 2_500
"""Longer prompts are refused."""


def compose(role: Role, request: MediaRequest) -> JsonObject:
    """What a clip is asked for with: a first frame, a last one where there is one, a length in seconds."""
    composed = model_input(role, request, WORDS)
    words = {**WORDS, **role.inputs}
    if (prompt := words["prompt"]) in composed:
        composed[prompt] = composed[prompt][:PROMPT_CHARS]
    if words["end"] in composed and "mode" in role.settings_schema.get("properties", {}) and "mode" not in role.stored_only:
        composed[words.get("mode") or "mode"] = "pro"  # a last frame is refused in mode `standard`, which is the model's default
    return composed
