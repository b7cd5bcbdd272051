"""The audit: what admins did, and what others tried; profiles of the old tables."""

import strawberry
from strawberry import Parent

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.nodes import Node, node_type, shown
from mina_gql.api.graphql.passes import Pass
from mina_gql.api.graphql.scalars import JSON, DateTime
from mina_gql.mega.admin import AuditRow, ProfileRow


@strawberry.type
class Audit(Node):
    """An act of an admin, written in the act's own transaction, or a refused attempt (`refused.…`, status 403)."""

    action: str
    actor: str = strawberry.field(
        description="Who it was: an e-mail, else a user id; `anonymous` without a login, `mina` for what no request asked for."
    )
    route: str | None
    method: str | None
    status: int | None
    ip: str | None
    user_agent: str | None
    detail: JSON = strawberry.field(description="What was asked for; `before` and `after` of what changed.")
    created_at: DateTime

    @strawberry.field(name="pass")
    async def owner(root: Parent[AuditRow], info: Info) -> Pass | None:
        """Whom it was done to, or who tried."""
        return None if root.pass_id is None else shown(await info.context.loaders.any_passes.load(root.pass_id))


node_type(AuditRow, "Audit")


@strawberry.type
class Profile:
    """A profile of the old tables, and whom it stands for."""

    id: strawberry.ID
    profile_id: str | None
    email: str | None
    shopify_customer_id: str | None
    user_id: str | None
    created_at: DateTime

    @strawberry.field(name="pass")
    async def owner(root: Parent[ProfileRow], info: Info) -> Pass | None:
        """The Pass it was mapped to."""
        return None if root.pass_id is None else shown(await info.context.loaders.any_passes.load(root.pass_id))
