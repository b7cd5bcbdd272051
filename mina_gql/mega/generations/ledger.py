"""Ledger rows: every change of a balance, insert-only (DESIGN section 5)."""

from typing import NamedTuple

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.domain.credits import Entry
from mina_gql.mega.database import Query, Timestamp, recorded_as
from mina_gql.mega.models import CreditTransaction, LedgerRow
from mina_gql.mega.pages import Pages


class LedgerEntryRow(NamedTuple):
    """One change of a balance. `delta` is in matcha."""

    id: str
    pass_id: str
    delta: int
    reason: str
    source: str
    ref_type: str
    ref_id: str
    generation_id: str | None
    created_at: Timestamp


_SELECT = select(
    LedgerRow.id,
    LedgerRow.pass_id,
    LedgerRow.delta,
    LedgerRow.reason,
    LedgerRow.source,
    LedgerRow.ref_type,
    LedgerRow.ref_id,
    LedgerRow.generation_id,
    LedgerRow.created_at,
).where(recorded_as(CreditTransaction), LedgerRow.deleted_at.is_(None))

OF_PASS = Pages(_SELECT.where(LedgerRow.pass_id == bindparam("pass_id")), LedgerEntryRow, LedgerRow.created_at, LedgerRow.id)
EVERYBODYS = Pages(_SELECT, LedgerEntryRow, LedgerRow.created_at, LedgerRow.id)
BY_IDS = Query(_SELECT.where(LedgerRow.id == func.any(bindparam("ids"))))


async def insert(session: AsyncSession, pass_id: str, entry: Entry) -> None:
    """Write one ledger row; the caller holds the customer's lock. A second one of the same id raises IntegrityError."""
    session.add(
        CreditTransaction(
            id=entry.ledger_id,
            pass_id=pass_id,
            generation_id=entry.generation_id,
            delta=entry.delta,
            reason=entry.reason,
            source=entry.source,
            ref_type=entry.ref_type,
            ref_id=entry.ref_id,
            meta=dict(entry.meta),
            source_system="api",
        )
    )
    await session.flush()


async def exists(session: AsyncSession, ledger_id: str) -> bool:
    """Whether this change was made already."""
    found = await session.execute(select(LedgerRow.id).where(LedgerRow.id == ledger_id))
    return found.first() is not None
