"""What the writer's tasks share: reading parts, constraints, and a prompt's length."""

import re
from collections.abc import Callable, Iterable, Sequence

from mina_gql.adapters.ai.offline.text import shortened, subject_words
from mina_gql.domain.ports import JsonObject

Task = Callable[[JsonObject], tuple[str, str]]
"""From the parts to a prompt and a friendly line."""

CHANGE = " Change: "
AVOID = " Avoid: "
BRIEF_CHARS = 1_500
PROMPT_CHARS = 4_000
MOTION_PROMPT_CHARS = 2_500
_CAPTION_CHARS = 320


def text_of(parts: JsonObject, name: str) -> str:
    value = parts.get(name)
    return value if isinstance(value, str) else ""


def in_brackets(caption: object) -> str:
    words = subject_words(str(caption), _CAPTION_CHARS)
    return re.sub(r"[.!?…]+(\s|$)", r";\1", words.replace("(", "").replace(")", "")).strip("; ")


def blocks_of(parts: JsonObject) -> list[str]:
    return list(dict.fromkeys(block for tag in parts.get("hard_blocks") or [] if (block := tag_of(str(tag)))))


def tag_of(tag: str) -> str:
    """A tag as it stands in a prompt: `motion.light_flicker` stays readable as itself."""
    return " ".join(re.sub(r"[^\w\s.&'-]", " ", tag).split()).strip(" .")[:80]


def fitted(body: str, blocks: Iterable[str], changes: Sequence[str] = (), *, longest: int = PROMPT_CHARS) -> str:
    """The prompt in its length: constraints come before all, then the latest changes, then the body."""
    constraints = "".join(f"{AVOID}{block}." for block in blocks)
    room = max(400, longest - len(constraints))
    said = ""
    for change in reversed(changes):
        if said and len(said) + len(CHANGE) + len(change) > room // 2:
            break
        said = CHANGE + change + said
    return shortened(body, max(0, room - len(said))) + said + constraints
