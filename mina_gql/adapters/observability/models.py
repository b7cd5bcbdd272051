"""Models that are watched: every call of one is a span, and is measured, whichever vendor's it is."""

from pathlib import Path

from mina_gql.domain import observing
from mina_gql.domain.config import Role
from mina_gql.domain.ports import (
    Accepted,
    Caption,
    CaptionRequest,
    Media,
    MediaModel,
    MediaRequest,
    Models,
    Moderator,
    Picture,
    Vendor,
    Vision,
    Writer,
    WriteRequest,
    Written,
)


class WatchedModels:
    """`domain.ports.Models` around another."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def vision(self, role: Role) -> Vision:
        return _Vision(self._models.vision(role))

    def writer(self, role: Role) -> Writer:
        return _Writer(self._models.writer(role))

    def media(self, role: Role) -> MediaModel:
        return _MediaModel(self._models.media(role), role.name)

    def moderator(self, role: Role) -> Moderator | None:
        moderator = self._models.moderator(role)
        return None if moderator is None else _Moderator(moderator)


class _Watched:
    def __init__(self, vendor: Vendor) -> None:
        self.name = vendor.name
        self.model = vendor.model


class _Vision(_Watched):
    def __init__(self, vision: Vision) -> None:
        super().__init__(vision)
        self._vision = vision

    async def caption(self, request: CaptionRequest) -> Caption:
        with observing.vendor_call(self, "vision"):
            return await self._vision.caption(request)


class _Writer(_Watched):
    def __init__(self, writer: Writer) -> None:
        super().__init__(writer)
        self._writer = writer

    async def write(self, request: WriteRequest) -> Written:
        with observing.vendor_call(self, "writer"):
            return await self._writer.write(request)


class _Moderator(_Watched):
    def __init__(self, moderator: Moderator) -> None:
        super().__init__(moderator)
        self._moderator = moderator

    async def flagged(self, *, text: str | None = None, picture: Picture | None = None) -> list[str]:
        with observing.vendor_call(self, "moderation"):
            return await self._moderator.flagged(text=text, picture=picture)


class _MediaModel(_Watched):
    def __init__(self, model: MediaModel, task: str) -> None:
        super().__init__(model)
        self._media_model = model
        self._task = task

    async def generate(self, request: MediaRequest, into: Path, *, prediction_id: str | None, accepted: Accepted) -> Media:
        with observing.vendor_call(self, self._task):
            return await self._media_model.generate(request, into, prediction_id=prediction_id, accepted=accepted)

    async def cancel(self, prediction_id: str) -> None:
        with observing.vendor_call(self, "cancel"):
            await self._media_model.cancel(prediction_id)
