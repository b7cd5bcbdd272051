"""Generation rows as they are accepted, and found again by their idempotency key."""

from typing import Any, NamedTuple

from sqlalchemy import cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.domain.pipeline import GenerationKind, GenerationStatus, generation_mg_id
from mina_gql.mega.models import Generation, LedgerRow
from mina_gql.mega.phrases import rfc3339

# `mg_type` and `mg_content_type` (seed 002, section 2).
_TYPES = {GenerationKind.STILL: ("image", "image"), GenerationKind.VIDEO: ("motion", "video")}


class NewGeneration(NamedTuple):
    """A generation as it is accepted. `cost` is in matcha; `input_hash` tells another input under the same key.

    `parent_id` (mg_id) is what it tweaks or animates, `retry_of` the failed one it repeats.
    """

    generation_id: str
    pass_id: str
    session_id: str | None
    kind: GenerationKind
    provider: str
    model: str
    input_chars: int
    cost: int
    input_hash: str
    vars: dict[str, Any]
    parent_id: str | None = None
    retry_of: str | None = None

    @property
    def id(self) -> str:
        """Its mg_id."""
        return generation_mg_id(self.generation_id)


class Accepted(NamedTuple):
    """A generation as its accepting transaction finds it again: for idempotency."""

    pass_id: str
    input_hash: str | None


async def insert(session: AsyncSession, new: NewGeneration) -> None:
    """Record an accepted generation, QUEUED with seq 1. A second one of the same id raises IntegrityError."""
    queued = func.jsonb_build_object(
        "seq", 1, "status", GenerationStatus.QUEUED.value, "at", literal_column(rfc3339("clock_timestamp()"))
    )
    type_, content_type = _TYPES[new.kind]
    session.add(
        Generation(
            id=new.id,
            pass_id=new.pass_id,
            generation_id=new.generation_id,
            session_id=new.session_id,
            type=type_,
            content_type=content_type,
            platform="web",
            mma_mode=new.kind,
            mma_status=GenerationStatus.QUEUED,
            status="pending",
            provider=new.provider,
            model=new.model,
            input_chars=new.input_chars,
            parent_id=new.parent_id,
            meta={"cost": new.cost, "input_hash": new.input_hash} | ({"retry_of": new.retry_of} if new.retry_of else {}),
            mma_vars=func.jsonb_set(cast(new.vars, JSONB), literal_column("'{statuses}'"), func.jsonb_build_array(queued)),
            source_system="api",
        )
    )
    await session.flush()


async def find(session: AsyncSession, generation: str) -> Accepted | None:
    """The generation (mg_id) of an idempotency key, if an earlier call made it; soft-deleted ones count."""
    row = (
        await session.execute(select(LedgerRow.pass_id, LedgerRow.meta["input_hash"].astext).where(LedgerRow.id == generation))
    ).one_or_none()
    return None if row is None else Accepted(*row)
