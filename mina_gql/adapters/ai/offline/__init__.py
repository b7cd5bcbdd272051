"""The offline vendors: models that need no account and no network, and say so (DESIGN section 9)."""

from mina_gql.adapters.ai.offline.clip import OfflineClip
from mina_gql.adapters.ai.offline.still import OfflineStill
from mina_gql.adapters.ai.offline.vendor import OfflineVendor
from mina_gql.adapters.ai.offline.vision import OfflineVision
from mina_gql.adapters.ai.offline.writer import OfflineWriter

__all__ = ["OfflineClip", "OfflineStill", "OfflineVendor", "OfflineVision", "OfflineWriter"]
