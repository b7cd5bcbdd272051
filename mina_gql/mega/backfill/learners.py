"""Passes whose backfilled likes are not in their taste snapshot yet, and writing it."""

from collections.abc import AsyncIterator

import orjson

from mina_gql.domain.pipeline import EventType
from mina_gql.domain.taste import Signal, Snapshot
from mina_gql.mega.backfill.target import Target

# An event's mg_updated_at is when it was written here: later than what was learned before it.
_FIND = """
    create temp table learners as
    select row_number() over (order by pass_id) as n, pass_id from (
      select distinct c.mg_pass_id as pass_id from public.mega_generations g join public.mega_customers c using (mg_pass_id)
      where g.mg_record_type = 'mma_event' and g.mg_source_system = 'legacy' and g.mg_deleted_at is null
        and c.mg_deleted_at is null
        and g.mg_meta ->> 'event_type' in ('like', 'dislike', 'download')
        and (c.mg_mma_preferences_updated_at is null or c.mg_mma_preferences_updated_at < g.mg_updated_at)
    ) due;
    create unique index on learners (n);
    analyze learners
"""
_LOCK = """
    select 1 from public.mega_customers c join learners on pass_id = mg_pass_id where n > $1 and n <= $2
    order by mg_pass_id for no key update of c
"""
_SIGNALS = """
    select mg_pass_id, mg_id, mg_meta ->> 'event_type', mg_created_at, mg_generation_id, (mg_meta -> 'payload')::text
    from public.mega_generations join learners on pass_id = mg_pass_id
    where n > $1 and n <= $2 and mg_record_type = 'mma_event' and mg_deleted_at is null
      and mg_meta ->> 'event_type' in ('like', 'dislike', 'download', 'preference_set')
    order by mg_pass_id, mg_created_at, mg_id
"""
_WRITE = """
    update public.mega_customers c set mg_mma_preferences = new.snapshot, mg_mma_preferences_updated_at = clock_timestamp()
    from unnest($1::text[], $2::text[]::jsonb[]) as new (pass_id, snapshot) where c.mg_pass_id = new.pass_id
"""


class Learners:
    """Those who are to learn from what was backfilled."""

    def __init__(self, target: Target) -> None:
        self._connection = target.connection

    async def find(self) -> int:
        """How many there are."""
        await self._connection.execute(_FIND)
        return int(await self._connection.fetchval("select count(*) from learners"))

    async def lock(self, after: int, upto: int) -> None:
        """Let nobody else say anything for these Passes; within a transaction."""
        await self._connection.execute(_LOCK, after, upto)

    async def signals(self, after: int, upto: int) -> AsyncIterator[tuple[str, Signal]]:
        """All they ever said, Pass by Pass, oldest first; within a transaction."""
        async for pass_id, id_, kind, at, generation, payload in self._connection.cursor(_SIGNALS, after, upto, prefetch=500):
            said = orjson.loads(payload or "{}")
            yield pass_id, Signal(id_, EventType(kind), at, generation, said if isinstance(said, dict) else {})

    async def write(self, snapshots: dict[str, Snapshot]) -> None:
        """Keep what they learned; in the same transaction."""
        documents = [orjson.dumps(snapshot._asdict()).decode() for snapshot in snapshots.values()]
        await self._connection.execute(_WRITE, list(snapshots), documents)
