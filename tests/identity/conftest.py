"""Identity is tested on a real PostgreSQL, without a worker."""

from studio import seeded, studio

__all__ = ["seeded", "studio"]
