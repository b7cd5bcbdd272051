"""Generations that have been silent for too long, in the queue or in hands that may be dead: one more line for them."""

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from mina_gql.mega.generations.runs import AT, IN_FLIGHT, SEQ, appended

# A fair share of those that nobody has told anything for a while, oldest first: in the queue, or in hands that may be dead.
_SILENT = text(f"""
    select mg_id, coalesce(jsonb_array_length(mg_mma_vars #> '{{userMessages,scan_lines}}'), 0), mg_mma_mode, mg_mma_status
    from mega_generations
    where {IN_FLIGHT} and mg_deleted_at is null
      and coalesce((mg_mma_vars #>> '{{userMessages,scan_lines,-1,at}}')::timestamptz, mg_created_at)
        < clock_timestamp() - make_interval(secs => case mg_mma_status when 'queued' then cast(:queued_silent as float) else cast(:silent as float) end)
    order by mg_created_at limit 50
""")
_LINE = f"jsonb_build_object('seq', {SEQ} + 1, 'text', cast(:line as text), 'stage', mg_mma_status, 'at', {AT})"
_SAY = text(f"""
    update mega_generations set mg_mma_vars = {appended("mg_mma_vars", ("userMessages", "scan_lines"), _LINE)}
    where mg_id = :id and {IN_FLIGHT} and mg_mma_status = :status
      and coalesce(jsonb_array_length(mg_mma_vars #> '{{userMessages,scan_lines}}'), 0) = :told
    returning {SEQ}
""")


class Waiting(NamedTuple):
    """An unfinished generation that has been silent: how many lines it was told, its mode and where it stands."""

    id: str
    told: int
    mode: str
    status: str


async def silent(session: AsyncSession, *, queued: float, begun: float) -> list[Waiting]:
    """Unfinished generations whose last line, or accept, is so many seconds ago."""
    return [Waiting(*row) for row in await session.execute(_SILENT, {"queued_silent": queued, "silent": begun})]


async def say(session: AsyncSession, one: Waiting, line: str) -> int | None:
    """One more line, its seq; None when it has gone on, or was told something else meanwhile. It needs no lease: it says nothing of the work."""
    values = {"id": one.id, "told": one.told, "status": one.status, "line": line}
    return (await session.execute(_SAY, values)).scalar_one_or_none()
