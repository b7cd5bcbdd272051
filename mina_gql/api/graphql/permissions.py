"""Who may: the gate on everything that only admins do. Each refused attempt is audited (DESIGN section 11)."""

from mina_gql.api.graphql.context import Info
from mina_gql.domain.errors import Forbidden
from mina_gql.mega.admin import Actor


async def admin_only(info: Info) -> Actor:
    """The admin who asks. Raises Forbidden for everybody else, after writing down that they tried."""
    caller = info.context.caller
    actor = Actor(
        user_id=caller.login.user_id if caller.login else None,
        email=caller.login.email if caller.login else None,
        address=caller.address,
        user_agent=caller.user_agent,
        route="/graphql",
        method=info.field_name,
        status=200,
    )
    if caller.login is None or not caller.login.admin:
        await info.context.services.audits.refused(info.field_name, caller, actor)
        raise Forbidden("This is for admins.")
    return actor
