"""What the offline still and clip share: a stable prediction id, a frame of the asked ratio, and room to paint in."""

import asyncio
import hashlib
import os
import random
import threading
from collections.abc import Callable

from mina_gql.adapters.ai.offline.lettering import LABEL
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.ports import Accepted, JsonObject, Media, MediaRequest

Stopped = threading.Event
"""Set when nobody waits for the painting any more."""


class Easels:
    """Painting keeps a core busy: at most half of them, so that a server with its worker inside goes on answering."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(max(1, (os.cpu_count() or 1) // 2))

    async def paint(self, work: Callable[[Stopped], Media]) -> Media:
        """Run `work` in a thread. Cancelled, it stops the thread and waits for it: nothing writes to the file afterwards."""
        async with self._free:
            stopped = Stopped()
            painting = asyncio.ensure_future(asyncio.to_thread(work, stopped))
            try:
                return await asyncio.shield(painting)
            except asyncio.CancelledError:
                stopped.set()
                await asyncio.gather(painting, return_exceptions=True)
                raise


async def announce(request: MediaRequest, prediction_id: str | None, accepted: Accepted) -> None:
    """Tell the prediction id, made of the request, unless this is a resumed run."""
    if prediction_id is None:
        digest = hashlib.sha256(f"{request.generation}\n{request.prompt}".encode()).hexdigest()
        await accepted(f"offline-{digest[:24]}")


def frame(ratio: str, side: int) -> tuple[int, int]:
    """Width and height in pixels of a ratio such as `3:4`, the long side `side`. Raises GenerationFailed PROVIDER_ERROR."""
    across, _, down = ratio.partition(":")
    if not (across.isdecimal() and down.isdecimal() and 1 / 4 <= int(across) / max(1, int(down)) <= 4):
        raise GenerationFailed("PROVIDER_ERROR", "This picture format is not available.", detail=f"ratio {ratio!r}")
    width, height = int(across), int(down)
    return (side, round(side * height / width)) if width >= height else (round(side * width / height), side)


def media(request: MediaRequest, told: JsonObject) -> Media:
    """The request as facts, without pictures and URLs, and what came of it, labelled as offline."""
    asked: JsonObject = {"prompt": request.prompt, "ratio": request.ratio, "settings": dict(request.settings)}
    asked["pictures"] = sorted(request.pictures)
    return Media(asked, {"label": LABEL, **told})


def dice(*parts: str) -> random.Random:
    """Chance that falls the same way for the same words."""
    return random.Random(hashlib.sha256("\n".join(parts).encode()).digest())  # noqa: S311 -- paints, guards nothing
