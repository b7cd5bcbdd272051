"""`mega_admin`: versioned configuration and the runtime knobs."""

from typing import Any, NamedTuple

import orjson
from sqlalchemy import Integer, Text, func, literal_column, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.mega.database import Query, Timestamp, recorded_as
from mina_gql.mega.models import AdminRow, AppConfig, RuntimeConfig


class ConfigRow(NamedTuple):
    """The active version of one configuration key."""

    id: str
    key: str
    version: int
    value: orjson.Fragment
    created_at: Timestamp


_version = func.coalesce(func.substring(AdminRow.id, literal_column(r"'\.v([0-9]+)$'")).cast(Integer), literal_column("0"))
_enabled = func.coalesce(AdminRow.meta.op("->>", return_type=Text())(literal_column("'enabled'")), literal_column("'true'"))

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
