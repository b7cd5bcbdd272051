"""Backfill: the legacy tables into MEGA (DESIGN sections 3 to 5; FEATURES DB11)."""

from mina_gql.services.backfill.report import BackfillReport
from mina_gql.services.backfill.run import BackfillService, NothingToBackfill

__all__ = ["BackfillReport", "BackfillService", "NothingToBackfill"]
