"""The offline captioner: true, measured facts of a picture, and a friendly line about it."""

import asyncio
import hashlib

from mina_gql.adapters.ai.offline.facts import Facts, measured
from mina_gql.adapters.ai.offline.text import listed, usage
from mina_gql.domain.pipeline import LINE_CHARS
from mina_gql.domain.ports import Caption, CaptionRequest

_OPENINGS = {
    "product": "A product picture",
    "logo": "A logo",
    "inspiration": "An inspiration picture",
    "input_still": "A still to set in motion",
    "output_still": "A finished still",
}
_LINES = {
    "product": (
        "What a lovely piece. The {colour} will carry the whole picture.",
        "I have had a good look at your product: {colour}, and ready for its moment.",
        "Beautiful {colour}. I know just the light for this.",
        "Your product has arrived on set, all {colour}. Clearing the table now.",
        "{colour_start} is a gift to work with. Setting things up around it.",
        "Taking in every edge of your product. That {colour} is worth keeping.",
    ),
    "logo": (
        "Your logo is in safe hands. I will keep it small and crisp.",
        "Got your mark, {colour} and clear. It will sit quietly in the frame.",
        "A {colour} mark, noted. It gets its own quiet corner.",
        "Your logo looks sharp. I will find it a fitting place.",
    ),
    "inspiration": (
        "I like where this is going: {colour}, with a {light} feel.",
        "Noted the mood: {light}, with {colour} leading the way.",
        "Good eye. I am borrowing that {colour} for the set.",
        "This one sets the tone: {light} and {colour}.",
        "Lovely reference. That {colour} is going on the mood board.",
    ),
    "input_still": (
        "I see how it wants to move. The {colour} will glow.",
        "A {light} frame to begin with. Now, a little life.",
        "Studying your still before it starts to move.",
    ),
    "output_still": (
        "One last look at the result: {light}, with {colour} in the lead.",
        "Stepping back to see the picture as a whole. I like the {colour}.",
        "Checking the light one more time. It came out {light}.",
        "Nearly there. The {colour} sits nicely in the frame.",
    ),
}


class OfflineVision:
    """A `Vision` that measures. No account, no network."""

    name = "offline"
    model = "offline-captioner-1"

    async def caption(self, request: CaptionRequest) -> Caption:
        """Tell facts of the picture in one to three sentences. Raises GenerationFailed ASSET_UNREADABLE."""
        facts = await asyncio.to_thread(measured, request.picture)
        text = told(request.subject, facts)
        line = friendly(request.subject, facts, request.picture.data)
        return Caption(text, line, usage(self.model, request.system + request.prompt, text + line))


def told(subject: str, facts: Facts) -> str:
    """The facts in plain English; the opening follows `subject`."""
    opening = _OPENINGS.get(subject, "A picture")
    colours = listed([f"{name} ({round(share * 100)}%)" for name, share in facts.colours])
    first = f"{opening} of {facts.width} × {facts.height} pixels ({facts.orientation}), mainly {colours}."
    if facts.backdrop is None:
        second = "The background is busy."
    elif facts.place is None:
        second = f"The background is plain {facts.backdrop}."
    else:
        ground = facts.backdrop if facts.backdrop == "transparent" else f"plain {facts.backdrop}"
        second = f"The subject stands {facts.place}, on a {ground} background."
    third = f"The picture is {facts.brightness}, {facts.temperature} in tone, with {facts.contrast} contrast."
    return f"{first} {second} {third}"


def friendly(subject: str, facts: Facts, data: bytes) -> str:
    """A line for the person who waits, always the same for the same picture."""
    lines = _LINES.get(subject, _LINES["inspiration"])
    colour = _leading_colour(facts)
    light = {"dark": "moody", "bright": "bright"}.get(facts.brightness, "calm")
    chosen = lines[hashlib.sha256(data).digest()[0] % len(lines)]
    return chosen.format(colour=colour, colour_start=colour.capitalize(), light=light)[:LINE_CHARS]


def _leading_colour(facts: Facts) -> str:
    """The largest colour that is not the background's."""
    names = [name for name, _ in facts.colours]
    return next((name for name in names if name != facts.backdrop), names[0])
