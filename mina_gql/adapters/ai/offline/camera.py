"""How the offline clip's camera moves: read from the prompt's words, told as the four corners it sees at each moment."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

_MOVES = {
    "still": r"\b(?:camera|frame|shot)\s+(?:\w+\s+){0,2}still\b|\bholds? still|\bstatic\b|\blocked\b|\btripod\b|\bmotionless\b",
    "push_in": r"\b(?:push|zoom|dolly|move|glide|track)\w*[\s-]+(?:slowly\s+|gently\s+)?in\b|\bcloser\b",
    "pull_out": r"\b(?:pull|zoom|dolly|move|glide|track)\w*[\s-]+(?:slowly\s+|gently\s+)?(?:out|back|away)\b|\bwider\b",
    "orbit": r"\borbit\w*|\barc(?:s|ing)?\b|\bcircl(?:e|es|ing)\b",
    "pan_left": r"\b(?:pan|drift|slide|track|glide|move)\w*\s+(?:\w+\s+){0,3}left\b|\bleftwards?\b",
    "pan_right": r"\b(?:pan|drift|slide|track|glide|move)\w*\s+(?:\w+\s+){0,3}right\b|\brightwards?\b",
    "tilt_up": r"\b(?:tilt|crane|pan|rise|move)\w*\s+(?:\w+\s+){0,2}up\b|\bupwards?\b",
    "tilt_down": r"\b(?:tilt|crane|pan|sink|move)\w*\s+(?:\w+\s+){0,2}down\b|\bdownwards?\b",
    "handheld": r"\bhand[\s-]?held\b",
    "parallax": r"\bparallax\b",
}
"""The words of each movement; the one named first is the main one."""
_PACES = {
    r"\bslower\b": 0.7,
    r"\bslow(?:ly)?\b": 0.75,
    r"\b(?:gentl(?:e|er|y)|subtl[ey]|steadier|calm(?:er|ly)?|soft(?:er|ly)?|smooth(?:er|ly)?)\b": 0.85,
    r"\bfaster\b": 1.4,
    r"\b(?:fast|quick(?:ly)?|lively|dynamic|energetic)\b": 1.4,
}
"""How much further a movement goes, for each such word."""
_FORBIDDEN = re.compile(r"\b(?:no|not|without|never|avoid|less|too|remove)\s+(?:[\w-]+\s*){1,2}", re.IGNORECASE)
_STILLNESS = re.compile(r"\b(?:no|without)\s+(?:any\s+)?(?:camera\s+)?(?:motion|movement)\b", re.IGNORECASE)
_AVOIDED = re.compile(r"\bAvoid:([^.!?]*)[.!?]?")
_SHOWN = re.compile(r"\([^)]*\)")
"""What a still shows stands in brackets, and is no wish for the camera."""


class View(NamedTuple):
    """What the camera sees: `zoom` 1 is all of the picture; `x`, `y` (-1 to 1) are where in the room that zoom leaves.

    `yaw` turns sideways (the near edge is taller by this share), `roll` tips, in radians.
    """

    zoom: float = 1.0
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0

    def towards(self, other: "View", share: float) -> "View":
        """On the way to another view."""
        return View(*(here + (there - here) * share for here, there in zip(self, other, strict=True)))

    def corners(self, size: tuple[int, int]) -> tuple[float, ...]:
        """The corners of the view on a picture of `size` pixels: x and y of upper left, lower left, lower right, upper right.

        They always lie on the picture.
        """
        middle = size[0] / 2, size[1] / 2
        turn, tip = math.cos(self.roll), math.sin(self.roll)
        points = []
        for side, level in ((-1, -1), (-1, 1), (1, 1), (1, -1)):
            x, y = side * middle[0] / self.zoom, level * middle[1] / self.zoom * (1 + side * self.yaw)
            points.append((x * turn - y * tip, x * tip + y * turn))
        reach = [max(abs(point[axis]) for point in points) for axis in (0, 1)]
        fit = min(1.0, *(middle[axis] / reach[axis] for axis in (0, 1)))
        centre = [middle[axis] + (self.x, self.y)[axis] * (middle[axis] - reach[axis] * fit) for axis in (0, 1)]
        return tuple(min(max(centre[axis] + point[axis] * fit, 0.0), float(size[axis])) for point in points for axis in (0, 1))


@dataclass(frozen=True, slots=True)
class Movement:
    """A movement and how far it goes: `pace` 1 is the usual."""

    name: str
    pace: float
    phase: float = 0.0

    def view(self, moment: float) -> View:
        """What the camera sees at a moment of the clip, from 0 to 1."""
        return _VIEWS[self.name](smooth(moment), moment, self.pace, self.phase)


def read(prompt: str, phase: float = 0.0) -> Movement:
    """The movement a prompt asks for, a slow push-in where it says nothing; what it forbids is left out.

    Changes (`Change: …`, from tweaks) go before what they change, the latest first. `phase` is where a shake begins, 0 to 1.
    """
    avoided = moves(" ".join(_AVOIDED.findall(prompt)))
    body, *changes = _SHOWN.sub(" ", _AVOIDED.sub(" ", prompt)).split("Change:")
    texts = [*reversed(changes), body]
    named = [name for text in texts for name in moves(text)]
    name = next((name for name in [*named, "push_in"] if name not in avoided), "still")
    return Movement(name, min(max(math.prod(map(pace, texts)), 0.35), 1.8), phase)


def moves(text: str) -> list[str]:
    """The movements a text names, in its order; what it forbids is left out."""
    wished = _wished(text)
    found = [(match.start(), name) for name, words in _MOVES.items() if (match := re.search(words, wished, re.IGNORECASE))]
    return [name for _, name in sorted(found)]


def pace(text: str) -> float:
    """How far a text wants a movement to go: 1 where it says nothing of it."""
    wished = _wished(text)
    return math.prod(factor for words, factor in _PACES.items() if re.search(words, wished, re.IGNORECASE))


def smooth(share: float) -> float:
    """From 0 to 1, slow at both ends; 0 before and 1 after."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _wished(text: str) -> str:
    """The words without what they forbid; no movement is a movement too."""
    return _FORBIDDEN.sub(" ", _STILLNESS.sub("static", text))


def _handheld(moment: float, pace: float, phase: float) -> View:
    def sway(*beats: float) -> float:
        return sum(math.sin(2 * math.pi * (beat * moment + phase * (number + 1))) for number, beat in enumerate(beats)) / len(
            beats
        )

    return View(1.07, 0.7 * pace * sway(2, 5, 9) / 1.8, 0.7 * pace * sway(3, 7) / 1.8, 0.0, 0.008 * pace * sway(2, 4))


_VIEWS: dict[str, Callable[[float, float, float, float], View]] = {
    "still": lambda eased, _, __, ___: View(1 + 0.012 * eased),
    "push_in": lambda eased, _, pace, __: View(1 + 0.18 * pace * eased),
    "pull_out": lambda eased, _, pace, __: View(1 + 0.18 * pace * (1 - eased)),
    "orbit": lambda eased, _, pace, __: View(1.14, (2 * eased - 1) * min(1, 0.7 * pace), 0.0, (2 * eased - 1) * 0.06 * pace),
    "pan_left": lambda eased, _, pace, __: View(1.16, (1 - 2 * eased) * min(1, pace)),
    "pan_right": lambda eased, _, pace, __: View(1.16, (2 * eased - 1) * min(1, pace)),
    "tilt_up": lambda eased, _, pace, __: View(1.16, 0.0, (1 - 2 * eased) * min(1, pace)),
    "tilt_down": lambda eased, _, pace, __: View(1.16, 0.0, (2 * eased - 1) * min(1, pace)),
    "handheld": lambda _, moment, pace, phase: _handheld(moment, pace, phase),
    "parallax": lambda eased, _, pace, __: View(
        1.07 + 0.04 * eased, (2 * eased - 1) * min(1, 0.8 * pace), 0.0, (1 - 2 * eased) * 0.03 * pace
    ),
}
"""By movement: from the eased moment, the moment itself, pace and phase."""
