"""The prompt of a new still: brief, style, what the pictures show, taste, constraints."""

from collections.abc import Iterable

from mina_gql.adapters.ai.offline import scene as scenes
from mina_gql.adapters.ai.offline.text import subject_words
from mina_gql.adapters.ai.offline.writer.parts import BRIEF_CHARS, blocks_of, fitted, in_brackets, tag_of, text_of
from mina_gql.domain.pipeline import NO_STYLE
from mina_gql.domain.ports import JsonObject

_LIKED = 6
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


def still_prompt(parts: JsonObject) -> tuple[str, str]:
    """A prompt for a new still (`gpt_reader`).

    Parts: `product_crt, logo_crt, inspiration_crt[], brief, style, ratio, hard_blocks[], tag_weights{}`; all may be missing.
    """
    blocks = blocks_of(parts)
    brief = subject_words(text_of(parts, "brief"), BRIEF_CHARS)
    subject = f"“{brief}”" if brief else "the product" if parts.get("product_crt") else "a quiet still life"
    sentences = [f"Editorial product photograph of {subject}."]
    style = text_of(parts, "style")
    if style in _STYLES:
        sentences.append(_STYLES[style])
    elif style and style != NO_STYLE:
        sentences.append(f"Style: {subject_words(style, 60)}.")
    sentences += _told(parts)
    liked, less = _taste(parts, blocks)
    if liked:
        sentences.append(f"To this person's taste: {', '.join(liked)}.")
    sentences += [f"Less of: {tag}." for tag in less]
    shape = _RATIOS.get(text_of(parts, "ratio"))
    if shape:
        sentences.append(f"Composed for {shape} frame.")
    return fitted(" ".join(sentences), blocks), _ready(" ".join(sentences))


def _told(parts: JsonObject) -> list[str]:
    """What the pictures show, each in one bracketed sentence, so that it is not taken for a wish."""
    told = []
    if parts.get("product_crt"):
        told.append(f"Keep the product true to its picture ({in_brackets(parts['product_crt'])}).")
    if parts.get("logo_crt"):
        told.append(f"Show the logo small and crisp ({in_brackets(parts['logo_crt'])}).")
    told += [f"Take the mood of the inspiration ({in_brackets(seen)})." for seen in parts.get("inspiration_crt") or [] if seen]
    return told


def _taste(parts: JsonObject, blocks: Iterable[str]) -> tuple[list[str], list[str]]:
    """Tags liked, the strongest first, and tags to go easy on; hard blocks are neither."""
    weights = {str(tag): float(weight) for tag, weight in (parts.get("tag_weights") or {}).items()}
    ranked = sorted(weights, key=lambda tag: (-weights[tag], tag))
    known = {tag: shown for tag in ranked if (shown := tag_of(tag)) and shown not in blocks}
    liked = [known[tag] for tag in ranked if tag in known and weights[tag] > 0][:_LIKED]
    less = [known[tag] for tag in reversed(ranked) if tag in known and -999 < weights[tag] < 0][:_LIKED]
    return liked, less


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
