"""Tests of the backfill share the studio of the services."""

from tests.studio import seeded, studio

__all__ = ["seeded", "studio"]
