"""The offline models as one vendor, which stands in for every other one that has no key."""

from mina_gql.adapters.ai.offline.clip import OfflineClip
from mina_gql.adapters.ai.offline.easel import Easels
from mina_gql.adapters.ai.offline.still import OfflineStill
from mina_gql.adapters.ai.offline.vision import OfflineVision
from mina_gql.adapters.ai.offline.writer import OfflineWriter
from mina_gql.adapters.ai.registry import ModelVendor
from mina_gql.domain.config import Role
from mina_gql.domain.ports import MediaModel, Vision, Writer


class OfflineVendor(ModelVendor):
    """Every role, whatever model the registry names for it."""

    def __init__(self) -> None:
        self._vision = OfflineVision()
        self._writer = OfflineWriter()
        easels = Easels()
        self._media: dict[str, MediaModel] = {"still": OfflineStill(easels), "video": OfflineClip(easels)}

    def vision(self, role: Role) -> Vision:  # noqa: ARG002 -- the same for every model
        return self._vision

    def writer(self, role: Role) -> Writer:  # noqa: ARG002 -- the same for every model
        return self._writer

    def media(self, role: Role) -> MediaModel:
        return self._media.get(role.name) or super().media(role)
