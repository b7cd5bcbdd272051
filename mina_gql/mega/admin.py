"""The audit in `mega_admin`: what admins did, and what others tried; and the profiles that were brought along."""

from typing import Any, NamedTuple
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Text, bindparam, case, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.mega.database import Query, Timestamp, recorded_as
from mina_gql.mega.models import AdminAudit, AdminRow, Profile
from mina_gql.mega.pages import Pages


class Actor(NamedTuple):
    """Who did something, from where, by which way."""

    user_id: str | None
    email: str | None
    address: str
    user_agent: str | None
    route: str
    method: str
    status: int


class AuditRow(NamedTuple):
    """An act of an admin, or a refused attempt. `actor` is an e-mail, a user id or a word; `pass_id` is whom it was done to."""

    id: str
    action: str
    actor: str
    route: str | None
    method: str | None
    status: int | None
    ip: str | None
    user_agent: str | None
    detail: orjson.Fragment
    pass_id: str | None
    created_at: Timestamp


class ProfileRow(NamedTuple):
    """A profile of the old tables, and whom it stands for."""

    id: str
    profile_id: str | None
    email: str | None
    shopify_customer_id: str | None
    user_id: str | None
    pass_id: str | None
    created_at: Timestamp


_AUDIT = select(
    AdminRow.id,
    func.coalesce(AdminRow.action, literal_column("''")),
    func.coalesce(
        AdminRow.email,
        func.text(AdminRow.user_id),
        case((AdminRow.route.is_(None), literal_column("'mina'")), else_=literal_column("'anonymous'")),
    ),
    AdminRow.route,
    AdminRow.method,
    AdminRow.status,
    AdminRow.ip,
    AdminRow.user_agent,
    func.coalesce(AdminRow.detail, literal_column("'{}'::jsonb")),
    AdminRow.actor_pass_id,
    AdminRow.created_at,
).where(recorded_as(AdminAudit), AdminRow.deleted_at.is_(None))

AUDITS = Pages(_AUDIT, AuditRow, AdminRow.created_at, AdminRow.id)
AUDITS_OF_ACTION = Pages(
    _AUDIT.where(AdminRow.action == bindparam("action", type_=Text())), AuditRow, AdminRow.created_at, AdminRow.id
)
PROFILES = Pages(
    select(
        AdminRow.id,
        func.text(AdminRow.profile_id),
        AdminRow.email,
        AdminRow.shopify_customer_id,
        func.text(AdminRow.user_id),
        AdminRow.actor_pass_id,
        AdminRow.created_at,
    ).where(recorded_as(Profile), AdminRow.deleted_at.is_(None)),
    ProfileRow,
    AdminRow.created_at,
    AdminRow.id,
)
AUDITS_BY_ID = Query(_AUDIT.where(AdminRow.id == func.any(bindparam("ids"))))


async def audit(
    session: AsyncSession,
    action: str,
    pass_id: str | None,
    detail: dict[str, Any],
    *,
    actor: Actor | None = None,
) -> str:
    """Record an act, in the transaction that does it; gives the row's id. `pass_id` is whom it was done to."""
    audit_id = f"admin_audit:{uuid4()}"
    session.add(
        AdminAudit(
            id=audit_id,
            actor_pass_id=pass_id,
            action=action,
            detail=detail,
            user_id=UUID(actor.user_id) if actor and actor.user_id else None,
            email=actor.email if actor else None,
            ip=actor.address if actor else None,
            user_agent=actor.user_agent if actor else None,
            route=actor.route if actor else None,
            method=actor.method if actor else None,
            status=actor.status if actor else None,
            source_system="api",
        )
    )
    await session.flush()
    return audit_id


async def one_adjustment_at_a_time(session: AsyncSession, key: str) -> None:
    """The same key for two Passes at once must not race; held until the transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"mina:adjust:{key}", 0))))


async def adjustment_asked(session: AsyncSession, ledger_id: str) -> dict[str, Any] | None:
    """What was asked for when this adjustment was made, from its audit row."""
    found = await session.execute(
        select(AdminAudit.detail["asked"]).where(
            AdminAudit.action == "credits.adjust", AdminAudit.detail["ledger_id"].astext == ledger_id
        )
    )
    return found.scalar_one_or_none()
