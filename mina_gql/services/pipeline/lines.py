"""The friendly lines people read while they wait: at most 140 characters, never about internals."""

import hashlib
from collections.abc import Mapping, Sequence

from mina_gql.domain.pipeline import GenerationKind, GenerationStatus

PACE_SECONDS = 4.0
"""Nobody waits longer than this for the next line (at least one in every five seconds, the write included)."""

LINES: Mapping[str, Sequence[str]] = {
    GenerationStatus.SCANNING: (
        "Taking a first look at what you brought.",
        "Clearing the table and turning on the lights.",
        "Getting to know your product.",
        "Laying everything out on the studio table.",
    ),
    "scan_product": (
        "What a nice piece. Looking at it from every side.",
        "Your product is on the table, and it looks good.",
        "Studying the shape and the finish of your product.",
    ),
    "scan_logo": (
        "Your logo is noted, it will be treated with care.",
        "Looking closely at your logo.",
        "Got your mark. We keep it crisp.",
    ),
    "scan_inspiration": (
        "Pinning your inspiration to the wall.",
        "Lovely reference. Noting its mood.",
        "Taking in the colours you like.",
    ),
    "scan_input_still": (
        "A fine frame to begin with.",
        "I can see where this wants to go.",
        "Looking for what could move, and what should not.",
    ),
    GenerationStatus.PROMPTING: (
        "Sketching the scene.",
        "Choosing the surface, the light and the angle.",
        "Putting your idea into a picture plan.",
        "Finding the right words for your picture.",
    ),
    GenerationStatus.GENERATING: (
        "Lights on. Taking the picture now.",
        "Finding the light for it.",
        "The camera is ready. Hold still, little product.",
        "Setting the scene and pressing the shutter.",
    ),
    GenerationStatus.POSTSCAN: (
        "Having one last look at the print.",
        "Checking the details before you see it.",
        "Almost there. Wiping off the last speck of dust.",
    ),
    GenerationStatus.DONE: (
        "Here it is, fresh from the studio.",
        "Your picture is ready. We hope you love it.",
        "Done. It turned out beautifully.",
    ),
}
"""By status, and by step type for the lines a look at a picture adds."""

CLIP_LINES: Mapping[str, Sequence[str]] = {
    GenerationStatus.SCANNING: (
        "Taking a good look at your still.",
        "Setting your still on the light table.",
        "Getting to know the frame before it moves.",
    ),
    GenerationStatus.PROMPTING: (
        "Planning the camera's path.",
        "Walking through the move, once without film.",
        "Marking where the camera starts and where it lands.",
    ),
    GenerationStatus.GENERATING: (
        "Camera rolling. A clip takes a little longer than a still.",
        "And action. This one takes a moment.",
        "The camera starts to move.",
    ),
    GenerationStatus.DONE: (
        "Cut! Your clip is ready.",
        "Your clip is ready. Press play.",
        "Done. It moves beautifully.",
    ),
}
"""The same for clips, where they differ."""

WAITING: Mapping[str, Sequence[str]] = {
    GenerationStatus.QUEUED: (
        "You are in line. The studio is busy, and yours comes up soon.",
        "Keeping your place while the set before yours is cleared.",
        "Not long now. Your things are ready and waiting.",
        "The studio is full today. Thank you for your patience.",
        "Still in line, and a little closer than before.",
        "Good moment for a sip of something warm.",
    ),
    GenerationStatus.SCANNING: (
        "Still looking. The details are worth it.",
        "Turning it once more in the light.",
        "Noting the colours before anything else.",
        "A closer look at the edges.",
        "Taking measurements for the set.",
    ),
    GenerationStatus.PROMPTING: (
        "Trying out another angle in my head.",
        "Weighing a warmer light against a cooler one.",
        "Moving things around on paper first.",
        "Picking the right surface takes a moment.",
        "Nearly settled on the scene.",
    ),
    GenerationStatus.GENERATING: (
        "The light is settling nicely.",
        "Moving a lamp a finger's width to the left.",
        "Waiting for the shadow to fall just so.",
        "A little more glow on the edge.",
        "Smoothing the backdrop.",
        "Checking the reflection.",
        "Good things take a breath or two.",
        "Adjusting the focus, very gently.",
        "One more exposure to be sure.",
        "The set is quiet. Only the camera is working.",
        "Dusting off the surface between shots.",
        "Letting the colours come through.",
    ),
    GenerationStatus.POSTSCAN: (
        "Holding the print up to the window.",
        "A last look at the corners.",
        "Letting the print dry.",
        "Just making sure it is all there.",
    ),
}
"""Told one after the other while a status lasts."""

CLIP_WAITING: Mapping[str, Sequence[str]] = {
    GenerationStatus.GENERATING: (
        "The camera is gliding along its path.",
        "Frame by frame, it comes together.",
        "Keeping the light steady while things move.",
        "A slow move is a good move.",
        "Another pass, a touch smoother.",
        "The first seconds look lovely.",
        "Holding the focus through the turn.",
        "Clips take their time. A short stretch does no harm.",
        "Easing into the last part of the move.",
        "Watching the edges so that nothing wobbles.",
        "Letting the motion breathe.",
        "The reel is turning quietly.",
        "Matching the end of the move to its beginning.",
        "Still rolling, and still looking good.",
    ),
}


def line_for(topic: str, generation: str, index: int = 0, *, mode: str = GenerationKind.STILL) -> str:
    """A line on a topic: varied from generation to generation, the same when a run is resumed."""
    pool = CLIP_LINES.get(topic, LINES[topic]) if mode == GenerationKind.VIDEO else LINES[topic]
    return pool[(_turn(topic, generation) + index) % len(pool)]


def waiting_line(mode: str, status: GenerationStatus, generation: str, told: int) -> str:
    """The next line while a status lasts, after `told` others: each of the pool before the first comes again."""
    pool = WAITING[status]
    if mode == GenerationKind.VIDEO:
        pool = CLIP_WAITING.get(status, pool)
    return pool[(_turn(status, generation) + told) % len(pool)]


def _turn(topic: str, generation: str) -> int:
    return hashlib.sha256(f"{topic}\n{generation}".encode()).digest()[0]
