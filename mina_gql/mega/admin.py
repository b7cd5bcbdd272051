"""`mega_admin`: versioned configuration, the runtime knobs, the audit."""

from typing import Any, NamedTuple
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Integer, func, literal_column, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.mega.database import Query, Timestamp, recorded_as
from mina_gql.mega.models import AdminAudit, AdminRow, AppConfig, RuntimeConfig
from mina_gql.mega.phrases import text_at


class ConfigRow(NamedTuple):
    """The active version of one configuration key."""

    id: str
    key: str
    version: int
    value: orjson.Fragment
    created_at: Timestamp


class Actor(NamedTuple):
    """Who did something, from where, by which way."""

    user_id: str | None
    email: str | None
    address: str
    user_agent: str | None
    route: str
    method: str
    status: int


_version = func.coalesce(func.substring(AdminRow.id, literal_column(r"'\.v([0-9]+)$'")).cast(Integer), literal_column("0"))
_enabled = func.coalesce(text_at(AdminRow.meta, "enabled"), literal_column("'true'"))

# Active is the highest enabled version of a key (DESIGN section 10); `app_config:<key>` without a version reads as version 0.
ACTIVE_CONFIGS = Query(
    select(AdminRow.id, AdminRow.key, _version, AdminRow.value, AdminRow.created_at)
    .ext(distinct_on(AdminRow.key))
    .where(recorded_as(AppConfig), AdminRow.deleted_at.is_(None), _enabled == literal_column("'true'"))
    .order_by(AdminRow.key, _version.desc())
)
RUNTIME_OVERRIDES = Query(
    select(AdminRow.runtime_flat).where(
        recorded_as(RuntimeConfig), AdminRow.deleted_at.is_(None), AdminRow.runtime_flat.is_not(None)
    )
)


async def seed_config(session: AsyncSession, key: str, value: dict[str, Any]) -> bool:
    """Write version 1 of a key where no version stands; True when it did."""
    made = await session.execute(
        upsert(AdminRow)
        .values(
            mg_id=f"app_config:{key}.v1",
            mg_record_type="app_config",
            mg_key=key,
            mg_value=value,
            mg_meta={"enabled": True, "created_by": "mina"},
            mg_source_system="api",
        )
        .on_conflict_do_nothing()
        .returning(AdminRow.id)
    )
    return made.first() is not None


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
