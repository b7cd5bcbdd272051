"""`session` rows: visits to the studio."""

from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.mega.database import Query, Timestamp, recorded_as
from mina_gql.mega.models import LedgerRow, Session
from mina_gql.mega.pages import Pages
from mina_gql.mega.phrases import json_at, rfc3339, text_at


class SessionRow(NamedTuple):
    """A visit. `session_id` is `sess_<uuid>`, `id` the same behind `session:`; `ended_at` is RFC 3339."""

    id: str
    session_id: str
    pass_id: str
    platform: str | None
    title: str | None
    client_version: str | None
    ended_at: str | None
    meta: orjson.Fragment
    created_at: Timestamp

    @property
    def started_at(self) -> Timestamp:
        """A session starts when its row is made."""
        return self.created_at


_SELECT = select(
    LedgerRow.id,
    LedgerRow.session_id,
    LedgerRow.pass_id,
    LedgerRow.platform,
    LedgerRow.title,
    LedgerRow.client_version,
    text_at(LedgerRow.meta, "ended_at"),
    func.coalesce(json_at(LedgerRow.meta, "client"), literal_column("'{}'::jsonb")),
    LedgerRow.created_at,
).where(recorded_as(Session), LedgerRow.deleted_at.is_(None))

OF_PASS = Pages(_SELECT.where(LedgerRow.pass_id == bindparam("pass_id")), SessionRow, LedgerRow.created_at, LedgerRow.id)
BY_IDS = Query(_SELECT.where(LedgerRow.id == func.any(bindparam("ids"))))


async def insert_if_new(session: AsyncSession, mg_id: str, values: dict[str, Any]) -> None:
    """Record a visit; starting the same one again changes nothing."""
    await session.execute(
        upsert(LedgerRow)
        .values({f"mg_{name}": value for name, value in values.items()} | {"mg_id": mg_id, "mg_record_type": "session"})
        .on_conflict_do_nothing()
    )


async def end(session: AsyncSession, mg_id: str, pass_id: str) -> None:
    """Note the end of a visit, once; the caller has checked that it exists."""
    ended = func.jsonb_build_object(literal_column("'ended_at'"), literal_column(rfc3339("clock_timestamp()")))
    await session.execute(
        update(LedgerRow)
        .where(LedgerRow.id == mg_id, LedgerRow.pass_id == pass_id, ~LedgerRow.meta.has_key("ended_at"))
        .values(meta=LedgerRow.meta.op("||")(ended))
        .execution_options(synchronize_session=False)
    )
