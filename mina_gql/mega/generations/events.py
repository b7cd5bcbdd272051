"""`mma_event` rows: what a person did, insert-only."""

from typing import Any, NamedTuple
from uuid import uuid4

import orjson
from sqlalchemy import Integer, Text, bindparam, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.domain.pipeline import EventType
from mina_gql.mega.database import Query, Timestamp, recorded_as
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


# The newest liked or downloaded generations of a Pass: the latest like, unlike or dislike of each counts.
LIKED = Query(
    text("""
        with said as (
          select distinct on (mg_generation_id) mg_generation_id, mg_created_at as at,
            mg_meta ->> 'event_type' = 'like' and coalesce(mg_meta #> '{payload,value}', 'true') = 'true' as liked
          from mega_generations
          where mg_pass_id = :pass_id and mg_record_type = 'mma_event' and mg_deleted_at is null and mg_generation_id is not null
            and mg_meta ->> 'event_type' in ('like', 'dislike')
          order by mg_generation_id, mg_created_at desc, mg_id desc
        ), chosen as (
          select mg_generation_id, at from said where liked
          union all
          select mg_generation_id, max(mg_created_at) from mega_generations
          where mg_pass_id = :pass_id and mg_record_type = 'mma_event' and mg_deleted_at is null and mg_generation_id is not null
            and mg_meta ->> 'event_type' = 'download' and mg_generation_id not in (select mg_generation_id from said where not liked)
          group by 1
        )
        select g.mg_id, g.mg_prompt, g.mg_output_url from (select mg_generation_id, max(at) as at from chosen group by 1) c
        join mega_generations g on g.mg_id = 'generation:' || c.mg_generation_id and g.mg_deleted_at is null and g.mg_mma_status = 'done'
        order by c.at desc limit :window
    """).bindparams(bindparam("pass_id", type_=Text()), bindparam("window", type_=Integer()))
)
