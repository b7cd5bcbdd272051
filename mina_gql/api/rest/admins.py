"""The gate of the admins' routes, with its audit (DESIGN section 11)."""

from typing import Any

from mina_gql.api.graphql.permissions import REFUSALS_KEPT
from mina_gql.api.rest.table import Operation
from mina_gql.api.services import Services
from mina_gql.domain.errors import Forbidden, Throttled
from mina_gql.domain.passes import Caller
from mina_gql.mega.admin import Actor


async def admin_only(services: Services, caller: Caller, operation: Operation[Any]) -> Actor:
    """The admin who asks. Raises Forbidden for everybody else, after writing down that they tried.

    The audit keeps the route as the table has it, so without the Pass ID that may stand in the path.
    """
    login = caller.login
    actor = Actor(
        user_id=login.user_id if login else None,
        email=login.email if login else None,
        address=caller.address,
        user_agent=caller.user_agent,
        route=operation.path,
        method=operation.method,
        status=200,
    )
    if login is None or not login.admin:
        await _write_down(services, caller, actor)
        raise Forbidden("This is for admins.")
    return actor


async def _write_down(services: Services, caller: Caller, actor: Actor) -> None:
    try:
        await services.rates.hit("refused", actor.address, REFUSALS_KEPT)
    except Throttled:
        return  # enough of this address is on record
    await services.audits.refused(f"rest {actor.route}", caller, actor)
