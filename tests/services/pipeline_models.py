"""Scripted models: they answer at once, count what they are asked for, and do what a test tells them to."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import cache
from io import BytesIO
from pathlib import Path

import av
from PIL import Image

from mina_gql.domain.config import Role
from mina_gql.domain.ports import (
    Accepted,
    Caption,
    CaptionRequest,
    JsonObject,
    Media,
    MediaModel,
    MediaRequest,
    Moderator,
    Picture,
    Usage,
    Vision,
    Writer,
    WriteRequest,
    Written,
)

TEMPORARY_URL = "https://delivery.vendor.example/out-0.jpg?X-Amz-Signature=abc"


class Gate:
    """A place where a run stops until it is let go. `reached` says that one is there, `inside` how many have come."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.go = asyncio.Event()
        self.inside = 0

    async def __call__(self, *_: object) -> None:
        self.inside += 1
        self.reached.set()
        await self.go.wait()


async def at_once(*_: object) -> None:
    """Hold nothing up."""


class ScriptedVision:
    """A captioner. `before` is awaited at each look and may raise; `text` is what it says."""

    name = "scripted"
    model = "scripted-eye"

    def __init__(self) -> None:
        self.looks: list[CaptionRequest] = []
        self.before: Callable[[CaptionRequest], Awaitable[None]] = at_once
        self.text: Callable[[CaptionRequest], str] = lambda request: f"A {request.subject} in soft light."

    async def caption(self, request: CaptionRequest) -> Caption:
        self.looks.append(request)
        await self.before(request)
        return Caption(self.text(request), f"I like this {request.subject}.", Usage(self.model, 100, 20, 25, 5))


class ScriptedWriter:
    """A writer. `answers` are given first, in order; then a good one each time."""

    name = "scripted"
    model = "scripted-pen"

    def __init__(self) -> None:
        self.asked: list[WriteRequest] = []
        self.answers: list[JsonObject] = []
        self.before: Callable[[WriteRequest], Awaitable[None]] = at_once

    async def write(self, request: WriteRequest) -> Written:
        self.asked.append(request)
        await self.before(request)
        good = {"clean_prompt": "A cup on stone, soft light.", "userMessage_final": "A calm picture of your cup."}
        return Written(self.answers.pop(0) if self.answers else good, Usage(self.model, 300, 60, 75, 15))


class ScriptedStill:
    """A paid model of pictures, or of clips, that keeps to the port: it counts what is paid for, and cancels what could not be kept.

    `before_id` is awaited when a picture is asked for, before its id is told; `while_waiting` once there is an id.
    """

    name = "scripted"

    def __init__(self, model: str = "scripted-brush", output: Callable[[str], bytes] | None = None) -> None:
        self.model = model
        self.paid: list[MediaRequest] = []
        self.polled: list[str] = []
        self.cancelled: list[str] = []
        self.refusals: list[BaseException] = []
        self.before_id: Callable[[MediaRequest], Awaitable[None]] = at_once
        self.while_waiting: Callable[[str], Awaitable[None]] = at_once
        self.output = output or jpeg

    async def generate(self, request: MediaRequest, into: Path, *, prediction_id: str | None, accepted: Accepted) -> Media:
        if prediction_id is None:
            self.paid.append(request)
            prediction_id = f"prediction-{len(self.paid)}"
            await self.before_id(request)
            try:
                await accepted(prediction_id)
            except BaseException as error:
                self.refusals.append(error)
                await self.cancel(prediction_id)
                raise
        self.polled.append(prediction_id)
        await self.while_waiting(prediction_id)
        await asyncio.to_thread(into.write_bytes, self.output(prediction_id))
        return Media({"prompt": request.prompt, **request.settings}, {"id": prediction_id})

    async def cancel(self, prediction_id: str) -> None:
        self.cancelled.append(prediction_id)


class ScriptedModerator:
    """A moderator that flags nothing, unless told to: `flags` are asked for each text and picture."""

    name = "scripted"
    model = "scripted-conscience"

    def __init__(self) -> None:
        self.asked: list[str | Picture] = []
        self.flags: Callable[[str | Picture], list[str]] = lambda _: []

    async def flagged(self, *, text: str | None = None, picture: Picture | None = None) -> list[str]:
        shown = text if text is not None else picture
        assert shown is not None
        self.asked.append(shown)
        return self.flags(shown)


class ScriptedModels:
    """`domain.ports.Models` of all of them; `by_provider` has more media models, for fallbacks."""

    def __init__(self) -> None:
        self.eye, self.pen, self.brush = ScriptedVision(), ScriptedWriter(), ScriptedStill()
        self.camera = ScriptedStill("scripted-camera", clip)
        self.conscience = ScriptedModerator()
        self.by_provider: dict[str, ScriptedStill] = {}

    def vision(self, role: Role) -> Vision:
        return self.eye

    def writer(self, role: Role) -> Writer:
        return self.pen

    def media(self, role: Role) -> MediaModel:
        return self.by_provider.get(role.provider, self.brush if role.name == "still" else self.camera)

    def moderator(self, role: Role) -> Moderator:
        return self.conscience


@cache
def clip(seed: str) -> bytes:
    """A small MP4 of half a second."""
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for shade in range(4):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (32, 32), (shade * 60, 90, 30)))))
        container.mux(stream.encode())
    return file.getvalue()


def jpeg(seed: str) -> bytes:
    """A small JPEG, another one for each seed."""
    file = BytesIO()
    Image.frombytes("RGB", (8, 8), (hashlib.sha256(seed.encode()).digest() * 6)[:192]).save(file, "JPEG")
    return file.getvalue()
