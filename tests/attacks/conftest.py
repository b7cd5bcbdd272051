"""Services are tested on a real PostgreSQL, without a worker."""

from tests.studio import seeded, studio

__all__ = ["seeded", "studio"]
