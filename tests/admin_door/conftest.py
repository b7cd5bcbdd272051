"""The admins' door is tested on a real PostgreSQL, without a worker."""

from tests.admin_door.door import door
from tests.studio import seeded, studio

__all__ = ["door", "seeded", "studio"]
