"""The friendly lines people read while they wait: at most 140 characters, never about internals."""

import hashlib

from mina_gql.domain.pipeline import GenerationStatus

LINES: dict[str, tuple[str, ...]] = {
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


def line_for(topic: str, generation: str, index: int = 0) -> str:
    """A line on a topic: varied from generation to generation, the same when a run is resumed."""
    pool = LINES[topic]
    digest = hashlib.sha256(f"{topic}\n{generation}".encode()).digest()
    return pool[(digest[0] + index) % len(pool)]
