"""The offline writer: prompts made by rules from their parts. Words of people and models are data; no rule reads them.

Every prompt ends in one `Avoid: …` sentence for each hard block, and these are never cut off.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from mina_gql.adapters.ai.offline import scene as scenes
from mina_gql.adapters.ai.offline.text import listed, shortened, subject_words, usage
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import NO_STYLE
from mina_gql.domain.ports import JsonObject, WriteRequest, Written

Task = Callable[[JsonObject], tuple[str, str]]
"""From the parts to a prompt and a friendly line."""

_PROMPT_CHARS = 4_000
_BRIEF_CHARS = 1_500
_CAPTION_CHARS = 320
_LIKED = 6
_CHANGE = " Change: "
_AVOID = " Avoid: "

_STYLES = {
    "minimal": "Minimal: few things, generous empty space.",
    "editorial": "Editorial: a page of a fine magazine.",
    "luxury": "Luxury: refined, rich, unhurried.",
    "natural": "Natural: honest materials and the shade of leaves.",
    "vibrant": "Vibrant: saturated and joyful.",
    "moody": "Moody: low-key and dramatic.",
    "pastel": "Pastel: tender and airy.",
    "monochrome": "Monochrome: one tone from shadow to highlight.",
}
_RATIOS = {
    "1:1": "a square",
    "2:3": "an upright",
    "3:4": "an upright",
    "9:16": "a tall upright",
    "3:2": "a wide",
    "4:3": "a wide",
    "16:9": "a very wide",
}
_SURFACES = {"studio": "a clean sweep of paper", "plinth": "a plinth", "gloss": "a polished surface", "water": "still water"}

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
}
_MORE = {
    "soft": "softer",
    "dark": "darker",
    "bright": "brighter",
    "warm": "warmer",
    "cool": "cooler",
    "close": "closer",
    "wide": "wider",
}
_STEPS = (*_MORE.values(), "lighter", "dimmer", "colder", "gentler", "bigger", "larger", "smaller", "further", "farther")


class OfflineWriter:
    """A `Writer` that follows rules. No account, no network."""

    name = "offline"
    model = "offline-writer-1"

    async def write(self, request: WriteRequest) -> Written:
        """Answer `{"clean_prompt", "userMessage_final"}`. Raises GenerationFailed PROVIDER_NOT_CONFIGURED for an unknown task."""
        task = TASKS.get(request.task)
        if task is None:
            raise GenerationFailed(
                "PROVIDER_NOT_CONFIGURED",
                "This is not available without a connected account.",
                detail=f"the offline writer has no task {request.task!r}",
                retryable=False,
            )
        prompt, line = task(request.parts)
        value = {"clean_prompt": prompt, "userMessage_final": line}
        return Written(value, usage(self.model, request.system + request.prompt, prompt + line))


def still_prompt(parts: JsonObject) -> tuple[str, str]:
    """A prompt for a new still (`gpt_reader`).

    Parts: `product_crt, logo_crt, inspiration_crt[], brief, style, ratio, hard_blocks[], tag_weights{}`; all may be missing.
    """
    blocks = _blocks(parts)
    brief = subject_words(_text(parts, "brief"), _BRIEF_CHARS)
    subject = f"“{brief}”" if brief else "the product" if parts.get("product_crt") else "a quiet still life"
    sentences = [f"Editorial product photograph of {subject}."]
    style = _text(parts, "style")
    if style in _STYLES:
        sentences.append(_STYLES[style])
    elif style and style != NO_STYLE:
        sentences.append(f"Style: {subject_words(style, 60)}.")
    sentences += _told(parts)
    liked, less = _taste(parts, blocks)
    if liked:
        sentences.append(f"To this person's taste: {', '.join(liked)}.")
    sentences += [f"Less of: {tag}." for tag in less]
    shape = _RATIOS.get(_text(parts, "ratio"))
    if shape:
        sentences.append(f"Composed for {shape} frame.")
    return _fitted(" ".join(sentences), blocks), _ready(" ".join(sentences))


def changed_prompt(parts: JsonObject) -> tuple[str, str]:
    """The previous prompt adapted by feedback (`gpt_feedback_still`).

    Parts: `previous_prompt, feedback, hard_blocks[]`. The previous constraints stay, and each change is one more
    `Change: …` sentence, the latest last; the oldest changes go first when there is no room.
    """
    previous = " ".join(_text(parts, "previous_prompt").split())
    body, *old = previous.split(_AVOID)
    blocks = list(dict.fromkeys([*(block.strip(" .") for block in old), *_blocks(parts)]))
    feedback = subject_words(_text(parts, "feedback"), 600)
    changes = _changes(feedback)
    body, *earlier = body.split(_CHANGE)
    kept = [change.strip() for change in earlier]
    if feedback:
        kept.append("; ".join([*changes, f"in the person's words, “{feedback}”"]) + ".")
    line = (
        f"Done: {listed(changes[:2])}. Have a look."
        if changes and _plain(changes)
        else "I have worked your note in. Have a look."
    )
    return _fitted(body.rstrip(), blocks, kept), line


TASKS: dict[str, Task] = {"gpt_reader": still_prompt, "gpt_feedback_still": changed_prompt}
"""What this writer can do; a later task is one more entry."""


def _told(parts: JsonObject) -> list[str]:
    """What the pictures show, each in one bracketed sentence, so that it is not taken for a wish."""
    told = []
    if parts.get("product_crt"):
        told.append(f"Keep the product true to its picture ({_in_brackets(parts['product_crt'])}).")
    if parts.get("logo_crt"):
        told.append(f"Show the logo small and crisp ({_in_brackets(parts['logo_crt'])}).")
    told += [f"Take the mood of the inspiration ({_in_brackets(seen)})." for seen in parts.get("inspiration_crt") or [] if seen]
    return told


def _in_brackets(caption: object) -> str:
    words = subject_words(str(caption), _CAPTION_CHARS)
    return re.sub(r"[.!?…]+(\s|$)", r";\1", words.replace("(", "").replace(")", "")).strip("; ")


def _taste(parts: JsonObject, blocks: Iterable[str]) -> tuple[list[str], list[str]]:
    """Tags liked, the strongest first, and tags to go easy on; hard blocks are neither."""
    weights = {str(tag): float(weight) for tag, weight in (parts.get("tag_weights") or {}).items()}
    ranked = sorted(weights, key=lambda tag: (-weights[tag], tag))
    known = {tag: shown for tag in ranked if (shown := _tag(tag)) and shown not in blocks}
    liked = [known[tag] for tag in ranked if tag in known and weights[tag] > 0][:_LIKED]
    less = [known[tag] for tag in reversed(ranked) if tag in known and -999 < weights[tag] < 0][:_LIKED]
    return liked, less


def _blocks(parts: JsonObject) -> list[str]:
    return list(dict.fromkeys(block for tag in parts.get("hard_blocks") or [] if (block := _tag(str(tag)))))


def _tag(tag: str) -> str:
    """A tag as it stands in a prompt: `motion.light_flicker` stays readable as itself."""
    return " ".join(re.sub(r"[^\w\s.&'-]", " ", tag).split()).strip(" .")[:80]


def _fitted(body: str, blocks: Iterable[str], changes: Sequence[str] = ()) -> str:
    """The prompt in its length: constraints come before all, then the latest changes, then the body."""
    constraints = "".join(f"{_AVOID}{block}." for block in blocks)
    room = max(400, _PROMPT_CHARS - len(constraints))
    said = ""
    for change in reversed(changes):
        if said and len(said) + len(_CHANGE) + len(change) > room // 2:
            break
        said = _CHANGE + change + said
    return shortened(body, max(0, room - len(said))) + said + constraints


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


def _ready(prompt: str) -> str:
    """A closing line from the words of ours that describe the set; nothing a person wrote is in it."""
    scene = scenes.read(prompt)
    surface = _SURFACES.get(scene.surface, scene.surface)
    lines = (
        f"Here it is: {scene.light} light on {surface}, made for you.",
        f"Your still is ready, with {scene.light} light on {surface}.",
        f"All set. I went for {scene.light} light and {surface}.",
    )
    return lines[len(prompt) % len(lines)]


def _text(parts: JsonObject, name: str) -> str:
    value = parts.get(name)
    return value if isinstance(value, str) else ""
