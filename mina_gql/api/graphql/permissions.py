"""Who may: whose Pass a caller sees, and the gate on all that only admins do, with its audit (DESIGN section 11)."""

from mina_gql.api.graphql.context import Info
from mina_gql.domain.errors import Forbidden, Throttled
from mina_gql.mega.admin import Actor
from mina_gql.mega.customers import PassRow

REFUSALS_KEPT = 10
"""So many refused attempts of one address are written down a minute: anybody may try, and the audit must not fill the disk."""


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
        await _write_down(info, actor)
        raise Forbidden("This is for admins.")
    return actor


async def pass_of(info: Info, pass_id: str) -> PassRow | None:
    """The Pass behind a record where the caller may see it now: their own, or anybody's for an admin.

    A stream may outlive what proved its caller's Pass: the Pass was claimed, or the record went to another one by a merge.
    """
    row, caller = await info.context.loaders.passes.load(pass_id), info.context.caller
    if row is None or (caller.login is not None and caller.login.admin):
        return row
    if row.user_id is None:
        return row if row.id == caller.pass_id else None
    return row if caller.login is not None and caller.login.user_id == row.user_id else None


async def _write_down(info: Info, actor: Actor) -> None:
    services = info.context.services
    try:
        await services.rates.hit("refused", actor.address, REFUSALS_KEPT)
    except Throttled:
        return  # enough of this address is on record
    await services.audits.refused(info.field_name, info.context.caller, actor)
