"""Browsers that admins signed in with: rows `admin_session:<sha256>` of `mega_admin`, which never hold what the hash is of."""

from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Interval, bindparam, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import JSONB

from mina_gql.mega.admin import Actor
from mina_gql.mega.database import Query, Transaction, recorded_as
from mina_gql.mega.models import AdminRow, AdminSession

OURS = "api"
"""Rows from a backfill have another source, and let nobody in."""

_MINUTE = literal_column("interval '1 minute'", Interval())


class SessionRow(NamedTuple):
    """A session that nobody ended. `facts` is what its sign-in said; `stale`: nobody has noted for a minute that it is in use."""

    id: str
    user_id: str
    email: str | None
    facts: orjson.Fragment
    stale: bool


SESSION_BY_ID = Query(
    select(
        AdminRow.id,
        func.text(AdminRow.user_id),
        AdminRow.email,
        AdminRow.meta,
        AdminRow.last_seen_at < func.clock_timestamp() - _MINUTE,
    ).where(
        AdminRow.id == bindparam("id"),
        recorded_as(AdminSession),
        AdminRow.source_system == literal_column(f"'{OURS}'"),
        AdminRow.user_id.is_not(None),  # taken away when the person is erased
        AdminRow.deleted_at.is_(None),
        ~AdminRow.meta.has_key("ended_at"),
    )
)


async def begin(session: Transaction, session_id: str, actor: Actor, facts: dict[str, Any]) -> None:
    """Keep a session: whose it is and from where, `facts` in `mg_meta`."""
    now = func.clock_timestamp()
    session.add(
        AdminSession(
            id=session_id,
            session_hash=session_id.partition(":")[2],
            user_id=UUID(actor.user_id),
            email=actor.email,
            ip=actor.address,
            user_agent=actor.user_agent,
            first_seen_at=now,
            last_seen_at=now,
            meta=facts,
            source_system=OURS,
        )
    )
    await session.flush()


async def seen(session: Transaction, session_id: str) -> None:
    """Note that a session is in use, at most once a minute, whoever notes it."""
    now = func.clock_timestamp()
    await session.execute(
        update(AdminRow)
        .where(AdminRow.id == session_id, AdminRow.last_seen_at < now - _MINUTE)
        .values(last_seen_at=now)
        .execution_options(synchronize_session=False)
    )


async def end(session: Transaction, session_id: str) -> bool:
    """End a session; False where it had ended before, or there is none."""
    ended = func.jsonb_build_object("ended_at", func.clock_timestamp(), type_=JSONB())
    done = await session.execute(
        update(AdminRow)
        .where(AdminRow.id == session_id, recorded_as(AdminSession), ~AdminRow.meta.has_key("ended_at"))
        .values(meta=AdminRow.meta.op("||")(ended))
        .returning(AdminRow.id)
        .execution_options(synchronize_session=False)
    )
    return done.scalar_one_or_none() is not None
