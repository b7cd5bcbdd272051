"""Looks into what a model made, in the sandbox: whichever model it was, its output is a file from outside."""

from pathlib import Path

from mina_gql.adapters.sandbox.clips import see_clip
from mina_gql.adapters.sandbox.pictures import see_still
from mina_gql.adapters.sandbox.pool import Sandbox
from mina_gql.domain.pipeline import GenerationKind
from mina_gql.domain.ports import MediaFacts, Picture


class SandboxedInspector:
    """Implements `domain.ports.MediaInspector`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def inspect(self, path: Path, kind: GenerationKind) -> MediaFacts:
        clip = kind is GenerationKind.VIDEO
        facts, frame = await self._sandbox.run(see_clip if clip else see_still, path=str(path))
        first = Picture(frame, "image/jpeg", facts["width"], facts["height"]) if clip else None
        return MediaFacts(frame=first, **facts)
