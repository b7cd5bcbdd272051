"""`mma_event` rows: what a person did, insert-only."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
from sqlalchemy import Integer, Text, bindparam, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.domain import taste
from mina_gql.domain.pipeline import EventType
from mina_gql.domain.taste import Signal
from mina_gql.mega.database import Query, Timestamp, decode, recorded_as
from mina_gql.mega.models import LedgerRow, MmaEvent
from mina_gql.mega.pages import Pages
from mina_gql.mega.phrases import json_at, text_at


class EventRow(NamedTuple):
    """Something a person did; `payload` is the client's context, passed through."""

    id: str
    pass_id: str
    type: str
    generation_id: str | None
    payload: orjson.Fragment
    created_at: Timestamp


_type = text_at(LedgerRow.meta, "event_type")
_SELECT = select(
    LedgerRow.id,
    LedgerRow.pass_id,
    _type,
    LedgerRow.generation_id,
    func.coalesce(json_at(LedgerRow.meta, "payload"), literal_column("'{}'::jsonb")),
    LedgerRow.created_at,
).where(recorded_as(MmaEvent), LedgerRow.deleted_at.is_(None))
_OF_PASS = _SELECT.where(LedgerRow.pass_id == bindparam("pass_id"))

OF_PASS = Pages(_OF_PASS, EventRow, LedgerRow.created_at, LedgerRow.id)
OF_PASS_AND_TYPES = Pages(
    _OF_PASS.where(_type == func.any(bindparam("types"))),
    EventRow,
    LedgerRow.created_at,
    LedgerRow.id,
)
EVERYBODYS = Pages(_SELECT, EventRow, LedgerRow.created_at, LedgerRow.id)
EVERYBODYS_OF_TYPES = Pages(_SELECT.where(_type == func.any(bindparam("types"))), EventRow, LedgerRow.created_at, LedgerRow.id)
BY_IDS = Query(_SELECT.where(LedgerRow.id == func.any(bindparam("ids"))))


async def insert(
    session: AsyncSession,
    pass_id: str,
    event: EventType,
    *,
    generation_id: str | None = None,
    session_id: str | None = None,
    payload: dict[str, Any] | None = None,
) -> str:
    """Record that a person did something; gives the event's id."""
    event_id = f"mma_event:{uuid4()}"
    session.add(
        MmaEvent(
            id=event_id,
            pass_id=pass_id,
            generation_id=generation_id,
            session_id=session_id,
            meta={"event_type": event, "payload": payload or {}},
            source_system="api",
        )
    )
    await session.flush()
    return event_id


_SIGNALS = (
    _SELECT.where(
        LedgerRow.pass_id == func.any(bindparam("pass_ids", type_=ARRAY(Text()))),
        _type.in_([literal_column(f"'{kind}'") for kind in taste.SIGNALS]),
    )
    # Oldest first: taste is heard in the order in which it was told.
    .order_by(LedgerRow.created_at, LedgerRow.id)
)
SIGNALS = Query(_SIGNALS)


async def signals(session: AsyncSession, pass_id: str) -> list[Signal]:
    """All that a Pass ever said of its taste, oldest first, as this transaction sees it."""
    rows = await session.execute(_SIGNALS, {"pass_ids": [pass_id]})
    return [_signal(id_, kind, at, generation_id, payload) for id_, _, kind, generation_id, payload, at in rows]


def signal_of(row: EventRow) -> Signal:
    """An event as it counts for taste."""
    return _signal(row.id, row.type, datetime.fromisoformat(row.created_at), row.generation_id, decode(row.payload))


def _signal(id_: str, kind: str, at: datetime, generation_id: str | None, payload: Any) -> Signal:
    return Signal(id_, EventType(kind), at, generation_id, payload if isinstance(payload, dict) else {})


# What a like, an unlike and a dislike are, in an event's own words: the twin of `Signal.value`.
_DONE = "coalesce(mg_meta #>> '{payload,value}', 'true') = 'true'"
_LIKE = f"mg_meta ->> 'event_type' = 'like' and {_DONE}"

# Whether generations are liked: the latest word about each counts.
LIKES = Query(
    text(f"""
        select distinct on (mg_generation_id) mg_generation_id, {_LIKE} as liked
        from mega_generations
        where mg_generation_id = any(:generation_ids) and mg_record_type = 'mma_event' and mg_deleted_at is null
          and mg_meta ->> 'event_type' in ('like', 'dislike')
        order by mg_generation_id, mg_created_at desc, mg_id desc
    """).bindparams(bindparam("generation_ids", type_=ARRAY(Text())))
)

# Of a clip the still it began with: what looks at pictures cannot look at a clip.
_PICTURE = """case when g.mg_mma_mode = 'video' or g.mg_type in ('motion', 'video')
          then g.mg_mma_vars #>> '{assets,input_still_url}' else g.mg_output_url end"""

# The newest liked or downloaded generations of a Pass since its taste was last reset: the latest word about each counts, and one
# that is not a like takes it out, downloaded or not; but for a dislike that was taken back, which says nothing.
LIKED = Query(
    text(f"""
        with mine as (
          select mg_id, mg_generation_id, mg_created_at, mg_meta ->> 'event_type' as type, {_DONE} as done from mega_generations
          where mg_pass_id = :pass_id and mg_record_type = 'mma_event' and mg_deleted_at is null
            and mg_meta ->> 'event_type' in ('like', 'dislike', 'download', 'preference_set')
            and mg_created_at > coalesce((
              select max(mg_created_at) from mega_generations
              where mg_pass_id = :pass_id and mg_record_type = 'mma_event' and mg_deleted_at is null
                and mg_meta ->> 'event_type' = 'preference_set' and mg_meta #>> '{{payload,action}}' = 'reset'), '-infinity')
        ), said as (
          select distinct on (mg_generation_id) mg_generation_id, mg_created_at as at, type = 'like' and done as liked, type = 'like' or done as told
          from mine where type in ('like', 'dislike') and mg_generation_id is not null
          order by mg_generation_id, mg_created_at desc, mg_id desc
        ), chosen as (
          select mg_generation_id, at from said where liked
          union all
          select mg_generation_id, mg_created_at from mine where type = 'download' and mg_generation_id is not null
            and mg_generation_id not in (select mg_generation_id from said where told and not liked)
        )
        select g.mg_id, g.mg_prompt, {_PICTURE} as picture_url
        from (select mg_generation_id, max(at) as at from chosen group by 1) c
        join mega_generations g on g.mg_id = 'generation:' || c.mg_generation_id and g.mg_deleted_at is null
          and coalesce(g.mg_mma_status, case g.mg_status when 'failed' then 'error' else 'done' end) = 'done'
        order by c.at desc, g.mg_id desc limit :window
    """).bindparams(bindparam("pass_id", type_=Text()), bindparam("window", type_=Integer()))
)
