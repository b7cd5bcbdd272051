"""Configuration in `mega_admin`: versions of keys, of which only `mg_meta.enabled` ever changes, and the runtime knobs."""

from typing import Any, NamedTuple

import orjson
from sqlalchemy import Text, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.mega.database import Query, Timestamp


class ConfigRow(NamedTuple):
    """One version of a configuration key. `active` is the highest enabled version of its key (DESIGN section 10)."""

    id: str
    key: str
    version: int
    enabled: bool
    active: bool
    value: orjson.Fragment
    created_at: Timestamp
    created_by: str | None


class Version(NamedTuple):
    """A version as whoever changes something sees it, its value decoded."""

    id: str
    key: str
    version: int
    enabled: bool
    active: bool
    value: Any


class RuntimeRow(NamedTuple):
    """What stands of runtime knobs: the objects of all rows, ours last; when one of them last changed; the time of the look."""

    flats: orjson.Fragment
    updated_at: Timestamp | None
    looked_at: Timestamp


# `app_config:<key>` without a version reads as version 0.
_VERSION = r"coalesce(substring(mg_id from '\.v([0-9]{1,9})$')::int, 0)"
_KEY = r"coalesce(mg_key, regexp_replace(substr(mg_id, 12), '\.v[0-9]{1,9}$', ''))"
_VERSIONS = f"""
    select mg_id, key, version, enabled, enabled and version = max(version) filter (where enabled) over (partition by key) as active,
      mg_value, mg_created_at, mg_meta ->> 'created_by'
    from (
      select *, {_KEY} as key, {_VERSION} as version, coalesce(mg_meta ->> 'enabled', 'true') = 'true' as enabled
      from mega_admin where mg_record_type = 'app_config' and mg_deleted_at is null
    ) each_version
"""
_OF_KEY = text(f"select * from ({_VERSIONS}) versions where key = :key order by version desc").bindparams(
    bindparam("key", type_=Text())
)

VERSIONS = Query(text(f"{_VERSIONS} order by key, version desc"))
ACTIVE = Query(text(f"select * from ({_VERSIONS}) versions where active"))
OF_KEY = Query(_OF_KEY)
BY_IDS = Query(
    text(f"select * from ({_VERSIONS}) versions where mg_id = any(:ids)").bindparams(bindparam("ids", type_=ARRAY(Text())))
)

_OUR_RUNTIME = "runtime_config:mina"
_STANDING = "mg_record_type = 'runtime_config' and mg_deleted_at is null and mg_runtime_flat is not null"
_RUNTIME = text(f"""
    select coalesce(jsonb_agg(mg_runtime_flat order by mg_id = '{_OUR_RUNTIME}', mg_updated_at, mg_id), '[]') as flats,
      max(mg_updated_at), clock_timestamp()
    from mega_admin where {_STANDING}
""")
RUNTIME = Query(_RUNTIME)

_SEED = text("""
    insert into mega_admin (mg_id, mg_record_type, mg_key, mg_value, mg_meta, mg_source_system)
    values ('app_config:' || :key || '.v1', 'app_config', :key, cast(:value as jsonb), '{"enabled": true, "created_by": "mina"}', 'api')
    on conflict do nothing returning mg_id
""").bindparams(bindparam("key", type_=Text()))
_PUBLISH = text(f"""
    insert into mega_admin (mg_id, mg_record_type, mg_key, mg_value, mg_meta, mg_source_system)
    select 'app_config:' || :key || '.v' || coalesce(max({_VERSION}), 0) + 1, 'app_config', :key, cast(:value as jsonb),
      jsonb_build_object('enabled', true, 'created_by', cast(:by as text)), 'api'
    from mega_admin where mg_record_type = 'app_config' and {_KEY} = :key
    returning mg_id
""").bindparams(bindparam("key", type_=Text()))
_ENABLE = text("""
    update mega_admin set mg_meta = mg_meta || jsonb_build_object('enabled', cast(:enabled as boolean))
    where mg_id = :id and mg_record_type = 'app_config'
""")
_SET_KNOBS = text(f"""
    insert into mega_admin (mg_id, mg_record_type, mg_runtime_flat, mg_source_system)
    values ('{_OUR_RUNTIME}', 'runtime_config', cast(:values as jsonb), 'api')
    on conflict (mg_id) do update set mg_deleted_at = null, mg_runtime_flat =
      case when mega_admin.mg_deleted_at is null and jsonb_typeof(mega_admin.mg_runtime_flat) = 'object'
        then mega_admin.mg_runtime_flat else '{{}}' end || excluded.mg_runtime_flat
""")
_UNSET_KNOBS = text(f"""
    update mega_admin set mg_runtime_flat = mg_runtime_flat - cast(:names as text[])
    where {_STANDING} and jsonb_typeof(mg_runtime_flat) = 'object' and mg_runtime_flat ?| cast(:names as text[])
""")


async def seed(session: AsyncSession, key: str, value: dict[str, Any]) -> bool:
    """Write version 1 of a key where no version 1 stands; True when it did."""
    return (await session.execute(_SEED, {"key": key, "value": orjson.dumps(value).decode()})).first() is not None


async def one_change_at_a_time(session: AsyncSession) -> None:
    """Admins who change configuration at once take turns; held until the transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("mina:config", 0))))


async def versions(session: AsyncSession, key: str) -> list[Version]:
    """The versions of a key, newest first. Whoever changes them holds `one_change_at_a_time`."""
    found = await session.execute(_OF_KEY.columns(mg_value=JSONB()), {"key": key})
    return [Version(*row[:6]) for row in found]


async def publish(session: AsyncSession, key: str, value: Any, by: str | None) -> str:
    """Write the next version of a key, enabled; gives its id. The caller holds `one_change_at_a_time`.

    A number is never given twice, nor is that of a deleted row.
    """
    return str((await session.execute(_PUBLISH, {"key": key, "value": orjson.dumps(value).decode(), "by": by})).scalar_one())


async def enable(session: AsyncSession, id_: str, *, enabled: bool) -> None:
    """Enable or disable a version; nothing else of it ever changes."""
    await session.execute(_ENABLE, {"id": id_, "enabled": enabled})


async def standing_knobs(session: AsyncSession) -> list[Any]:
    """The objects of all rows of runtime knobs, ours last. Whoever changes them holds `one_change_at_a_time`."""
    return list((await session.execute(_RUNTIME.columns(flats=JSONB()))).scalar_one())


async def set_knobs(session: AsyncSession, values: dict[str, Any]) -> None:
    """Set knobs in our own row, which wins over all others."""
    await session.execute(_SET_KNOBS, {"values": orjson.dumps(values).decode()})


async def unset_knobs(session: AsyncSession, names: list[str]) -> None:
    """Take knobs out of every row."""
    await session.execute(_UNSET_KNOBS, {"names": names})
