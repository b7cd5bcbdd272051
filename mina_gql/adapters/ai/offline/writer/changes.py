"""A previous prompt adapted by feedback, of a still or of a clip."""

import re

from mina_gql.adapters.ai.offline.text import listed, subject_words
from mina_gql.adapters.ai.offline.writer.parts import AVOID, CHANGE, MOTION_PROMPT_CHARS, PROMPT_CHARS, blocks_of, fitted, text_of
from mina_gql.domain.ports import JsonObject

_UNWANTED = re.compile(
    r"\b(?:i\s+(?:hate|dislike|do\s?n[o']t\s+(?:like|want|need))|remove|without|lose|drop|get rid of|take away|no more|no)\s+"
    r"((?:(?:the|this|that|any|all|those|these)\s+)?[\w-]+(?:\s+(?!and\b|but\b|make\b|please\b|you\b|it\b)[\w-]+)?)",
    re.IGNORECASE,
)
_OPPOSITES = {
    "dark": "brighter",
    "dim": "brighter",
    "bright": "darker",
    "light": "darker",
    "warm": "cooler",
    "yellow": "cooler",
    "cold": "warmer",
    "cool": "warmer",
    "blue": "warmer",
    "harsh": "softer",
    "hard": "softer",
    "soft": "harder",
    "close": "wider",
    "big": "smaller",
    "large": "smaller",
    "small": "closer",
    "far": "closer",
    "fast": "slower",
    "quick": "slower",
    "slow": "faster",
    "shaky": "steadier",
}
_MORE = {
    "soft": "softer",
    "dark": "darker",
    "bright": "brighter",
    "warm": "warmer",
    "cool": "cooler",
    "close": "closer",
    "wide": "wider",
    "slow": "slower",
    "fast": "faster",
    "subtle": "gentler",
    "gentle": "gentler",
    "steady": "steadier",
}
_STEPS = (*_MORE.values(), "lighter", "dimmer", "colder", "gentler", "bigger", "larger", "smaller", "further", "farther")


def changed_prompt(parts: JsonObject, *, longest: int = PROMPT_CHARS) -> tuple[str, str]:
    """The previous prompt adapted by feedback (`gpt_feedback_still`).

    Parts: `previous_prompt, feedback, hard_blocks[]`. The blocks of now are its constraints, for one may have been lifted,
    and each change is one more `Change: …` sentence, the latest last; the oldest changes go first when there is no room.
    """
    previous = " ".join(text_of(parts, "previous_prompt").split())
    body = previous.split(AVOID)[0]
    feedback = subject_words(text_of(parts, "feedback"), 600)
    changes = _changes(feedback)
    body, *earlier = body.split(CHANGE)
    kept = [change.strip() for change in earlier]
    if feedback:
        kept.append("; ".join([*changes, f"in the person's words, “{feedback}”"]) + ".")
    line = (
        f"Done: {listed(changes[:2])}. Have a look."
        if changes and _plain(changes)
        else "I have worked your note in. Have a look."
    )
    return fitted(body.rstrip(), blocks_of(parts), kept, longest=longest), line


def changed_motion(parts: JsonObject) -> tuple[str, str]:
    """The same for a clip (`gpt_feedback_motion`)."""
    return changed_prompt(parts, longest=MOTION_PROMPT_CHARS)


def _changes(feedback: str) -> list[str]:
    """The changes understood: steps such as `softer`, and `without X`."""
    text = feedback.lower()
    changes: list[str] = []
    changes += [_OPPOSITES.get(word, f"less {word}") for word in re.findall(r"\b(?:too|less)\s+(\w+)", text)]
    changes += [_MORE.get(word, f"more {word}") for word in re.findall(r"\bmore\s+(\w+)", text)]
    changes += [word for word in re.findall(r"\w+", text) if word in _STEPS]
    for thing in _UNWANTED.findall(feedback):
        plain = re.sub(r"^(?:the|this|that|any|all|those|these)\s+", "", thing.strip(), flags=re.IGNORECASE)
        changes.append(f"without {plain.lower()}")
    return list(dict.fromkeys(changes))


def _plain(changes: list[str]) -> bool:
    """Whether the changes are words of ours, fit for a line of ours."""
    return all(change in _STEPS for change in changes[:2])
