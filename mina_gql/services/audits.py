"""The audit: what admins did, and what others tried."""

from mina_gql.domain.passes import Caller
from mina_gql.mega import admin
from mina_gql.mega.admin import Actor
from mina_gql.mega.database import Database


class AuditService:
    """Writes audit rows for what has no transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refused(self, action: str, caller: Caller, actor: Actor) -> None:
        """Somebody tried what only admins may."""
        async with self._database.begin() as session:
            await admin.audit(session, f"refused.{action}", caller.pass_id, {}, actor=actor._replace(status=403))
