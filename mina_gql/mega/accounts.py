"""All that is kept of a person: everything of a Pass as one document, and its erasure (`ops.erase_pass`)."""

from typing import Any, NamedTuple

import orjson
from sqlalchemy import Float, Text, bindparam, literal_column, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.mega.database import Query, Timestamp
from mina_gql.mega.models import LedgerRow
from mina_gql.mega.pages import Pages

# ---------------------------------------------------------------- telling

# What the caller's Pass ID is stands nowhere in it: who is shown the document must not get the Pass with it.
PROFILE = Query(
    text("""
        select jsonb_build_object(
          'exportedAt', clock_timestamp(),
          'profile', jsonb_build_object(
            'email', mg_email, 'displayName', mg_display_name, 'firstName', mg_first_name, 'lastName', mg_last_name,
            'locale', mg_locale, 'timezone', mg_timezone, 'userId', mg_user_id, 'shopifyCustomerId', mg_shopify_customer_id,
            'marketingOptIn', mg_marketing_opt_in, 'productUpdatesOptIn', mg_product_updates_opt_in,
            'verification', jsonb_build_object('any', mg_verified_any, 'email', mg_verified_email, 'google', mg_verified_google,
              'apple', mg_verified_apple, 'method', mg_verification_method, 'at', mg_verification_at),
            'topup', jsonb_build_object('defaultPacks', mg_topup_default_packs, 'autoEnabled', mg_auto_topup_enabled,
              'autoMonthlyLimitPacks', mg_auto_topup_monthly_limit_packs, 'lastAt', mg_last_topup_at,
              'source', mg_topup_source),
            'disabled', mg_disabled, 'lastActive', mg_last_active, 'createdAt', mg_created_at),
          'preferences', mg_mma_preferences,
          'credits', jsonb_build_object('balance', mg_credits, 'expiresAt', mg_expires_at))
        from mega_customers where mg_pass_id = :pass_id and mg_deleted_at is null
    """).bindparams(bindparam("pass_id", type_=Text()))
)


class ToldRow(NamedTuple):
    """A row of the ledger as its person reads it: nothing null, no internals."""

    id: str
    created_at: Timestamp
    told: orjson.Fragment


_TOLD = """jsonb_strip_nulls(jsonb_build_object(
    'id', mg_id, 'createdAt', mg_created_at, 'sessionId', mg_session_id, 'generationId', mg_generation_id,
    'parentId', mg_parent_id, 'platform', mg_platform, 'title', mg_title, 'clientVersion', mg_client_version, 'os', mg_os,
    'browser', mg_browser, 'device', mg_device, 'kind', coalesce(mg_mma_mode, mg_type),
    'status', coalesce(mg_mma_status, mg_status), 'error', mg_error, 'provider', mg_provider, 'model', mg_model,
    'latencyMs', mg_latency_ms, 'prompt', mg_prompt, 'outputUrl', mg_output_url, 'outputKey', mg_output_key,
    'comment', mg_comment, 'imageUrl', mg_image_url, 'videoUrl', mg_video_url,
    'delta', mg_delta, 'reason', mg_reason, 'source', mg_source, 'refType', mg_ref_type, 'refId', mg_ref_id,
    'type', mg_meta -> 'event_type', 'cost', mg_meta -> 'cost', 'failure', mg_meta -> 'failure', 'endedAt', mg_meta -> 'ended_at',
    'sku', mg_meta -> 'sku', 'quantity', mg_meta -> 'quantity'))
  || case mg_record_type
    when 'generation' then jsonb_build_object('vars', mg_mma_vars - 'meta')
    when 'session' then jsonb_build_object('meta', coalesce(mg_meta -> 'client', '{}'))
    when 'mma_event' then jsonb_build_object('payload', coalesce(mg_meta -> 'payload', '{}'))
    else '{}' end"""

OF_PASS = Pages(
    select(LedgerRow.id, LedgerRow.created_at, literal_column(_TOLD, JSONB())).where(
        LedgerRow.pass_id == bindparam("pass_id"),
        LedgerRow.record_type == bindparam("record_type"),
        LedgerRow.deleted_at.is_(None),
    ),
    ToldRow,
    LedgerRow.created_at,
    LedgerRow.id,
)
"""The rows of one record type that a Pass has, also a merged one: its ledger stays with it."""

_ALIASES = text("""
    with recursive family as (
      select cast(:pass_id as text) as id
      union
      select c.mg_pass_id from family
      join mega_customers c on c.mg_meta ? 'merged_into' and c.mg_meta ->> 'merged_into' = family.id
    )
    select id from family where id <> :pass_id order by id
""")


async def aliases(session: AsyncSession, pass_id: str) -> list[str]:
    """The Passes that were merged into this one, and into those."""
    return list((await session.execute(_ALIASES, {"pass_id": pass_id})).scalars())


# ---------------------------------------------------------------- erasing

_SEAL = text("select coalesce(mg_meta ->> 'erased', 'false')::bool from mega_customers where mg_pass_id = :pass_id for update")
_UNFINISHED = text("""
    select mg_id from mega_generations
    where mg_pass_id = :pass_id and mg_record_type = 'generation' and mg_mma_status not in ('done', 'error')
    order by mg_created_at, mg_id
""")
_OWNER_TAGS = text(
    "select jsonb_array_elements_text(coalesce(mg_meta -> 'owner_tags', '[]')) from mega_customers where mg_pass_id = :pass_id"
)
_ERASE = text("select ops.erase_pass(:pass_id)")
_OWE_REMOVAL = text("""
    update mega_customers set mg_meta = mg_meta || jsonb_build_object('objects_due', cast(:tags as jsonb))
    where mg_pass_id = :pass_id
""").bindparams(bindparam("tags", type_=JSONB()))


async def seal(session: AsyncSession, pass_id: str) -> bool:
    """Let nobody add a row to a Pass until the transaction ends; whether it is an erased one, to which nobody ever can."""
    return bool((await session.execute(_SEAL, {"pass_id": pass_id})).scalar_one_or_none())


async def unfinished(session: AsyncSession, pass_id: str) -> list[str]:
    """The generations (mg_id) of a Pass that have not ended; deleted ones too: they were paid for."""
    return list((await session.execute(_UNFINISHED, {"pass_id": pass_id})).scalars())


async def erase(session: AsyncSession, pass_id: str, owner_tag: str) -> None:
    """Take everything personal away, and note under which tags its objects are to be removed: `owner_tag` and those merged in.

    The caller has sealed the Pass, ended its generations and written its matcha off; the database refuses otherwise.
    """
    merged_in = (await session.execute(_OWNER_TAGS, {"pass_id": pass_id})).scalars()
    tags: list[Any] = sorted({owner_tag, *merged_in})
    await session.execute(_ERASE, {"pass_id": pass_id})
    await session.execute(_OWE_REMOVAL, {"pass_id": pass_id, "tags": tags})


class DueRemoval(NamedTuple):
    """Objects of an erased Pass that are still to be removed, by their owner tags."""

    pass_id: str
    tags: orjson.Fragment


# Removed twice: what was under way when the Pass was erased, an upload or a run, may still have come after the first time.
REMOVALS_DUE = Query(
    text("""
        select mg_pass_id, mg_meta -> 'objects_due' from mega_customers
        where mg_meta ? 'objects_due' and (not mg_meta ? 'objects_removed'
          or mg_deleted_at < clock_timestamp() - make_interval(secs => :late_seconds))
        order by mg_deleted_at limit 100
    """).bindparams(bindparam("late_seconds", type_=Float()))
)
_REMOVED = text("""
    update mega_customers set mg_meta = case
      when mg_deleted_at < clock_timestamp() - make_interval(secs => :late_seconds)
      then mg_meta - 'objects_due' - 'objects_removed' else mg_meta || '{"objects_removed": true}' end
    where mg_pass_id = :pass_id and mg_meta ? 'objects_due'
""").bindparams(bindparam("late_seconds", type_=Float()))


async def removed(session: AsyncSession, pass_id: str, late_seconds: float) -> None:
    """Note that the objects of an erased Pass were removed: for good, once `late_seconds` have gone by since."""
    await session.execute(_REMOVED, {"pass_id": pass_id, "late_seconds": late_seconds})
