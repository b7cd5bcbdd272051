"""Holds a worker exactly at a chosen write, so that it can be killed there: triggers in a test's own database, and a lock."""

import asyncio

import asyncpg

from tests.services import pipeline_promises as promises

LOCKS = 4711
"""The first half of the advisory locks' keys; the second is a boundary's number."""

# A moment is told by the write that is about to happen; nothing of its transaction is there yet when the worker dies in it.
_TRIGGERS = f"""
create schema trial;
create table trial.boundaries (number int generated always as identity, generation text primary key, moment text not null);
create function trial.moment(was mega_generations, becomes mega_generations) returns text language sql immutable as $$
  select case becomes.mg_record_type
    when 'credit_transaction' then becomes.mg_reason
    when 'mma_step' then case
      when was.mg_id is null then 'start ' || becomes.mg_step_type
      when was.mg_status <> becomes.mg_status then 'end ' || becomes.mg_step_type
      when becomes.mg_meta ? 'prediction_id' then 'keep the prediction id'
      when becomes.mg_meta ? 'sent_at' then 'mark as sent' end
    when 'generation' then case
      when was.mg_mma_status <> becomes.mg_mma_status then 'enter ' || becomes.mg_mma_status
      when (was.mg_meta -> 'attempts') is distinct from (becomes.mg_meta -> 'attempts') then 'claim' end
  end
$$;
create function trial.hold() returns trigger language plpgsql as $$
declare
  number int;
begin
  select b.number into number from trial.boundaries b
  where b.generation = 'generation:' || new.mg_generation_id and b.moment = trial.moment(old, new);
  if found then
    perform pg_advisory_xact_lock({LOCKS}, number);
  end if;
  return new;
end $$;
create trigger trial_hold before insert or update on mega_generations for each row execute function trial.hold();
"""
_HELD = "select count(distinct objid) from pg_locks where locktype = 'advisory' and classid = $1 and not granted"
_OPEN = """select count(*) from pg_stat_activity where datname = current_database() and application_name like 'mina%'
  and xact_start is not null"""


class Boundaries:
    """`arm` them, wait until workers stand at all of them (`reached`), kill those, then `release`."""

    def __init__(self, looking: asyncpg.Connection, holding: asyncpg.Connection) -> None:
        self._looking = looking
        self._holding = holding

    async def arm(self, moments: dict[str, str]) -> None:
        """Hold each generation (its mg_id) at its moment."""
        await self._looking.execute(_TRIGGERS)
        await self._looking.executemany("insert into trial.boundaries (generation, moment) values ($1, $2)", moments.items())
        await self._holding.execute(f"select pg_advisory_lock({LOCKS}, number) from trial.boundaries")

    async def reached(self, count: int) -> None:
        """Wait until `count` generations are held."""
        await settled(self._looking, _HELD, LOCKS, wanted=count)

    async def release(self) -> None:
        """Let go of what a killed worker left in the database, and hold nobody from now on."""
        await self._looking.execute("delete from trial.boundaries")
        await self._holding.execute("select pg_advisory_unlock_all()")
        await settled(self._looking, _OPEN, wanted=0)


async def settled(looking: asyncpg.Connection, query: str, *arguments: object, wanted: int, seconds: float = 60) -> None:
    """Wait until a query counts as many as wanted; fails when it does not in time."""
    async with asyncio.timeout(seconds):
        while await looking.fetchval(query, *arguments) != wanted:  # noqa: ASYNC110 -- no event comes from there
            await asyncio.sleep(0.05)


async def forget_the_dead(looking: asyncpg.Connection) -> None:
    """As if as much time had passed as leases and heartbeats last."""
    await looking.execute("""update mega_generations set mg_meta = mg_meta || '{"lease_until": "2000-01-01T00:00:00+00:00"}'
      where mg_record_type = 'generation' and mg_meta ? 'lease_until'""")
    await looking.execute("update ops.pgqueuer set heartbeat = '2000-01-01' where status = 'picked'")


async def all_ended(looking: asyncpg.Connection, seconds: float) -> dict[str, promises.Story]:
    """Wait until no generation is unfinished; every story, every promise checked."""
    await settled(looking, promises.UNFINISHED, wanted=0, seconds=seconds)
    return await promises.kept(looking)


def unchanged(before: dict[str, promises.Story], after: dict[str, promises.Story]) -> None:
    """What had succeeded is as it was, row by row, and nothing was done twice."""
    for id_, story in before.items():
        later = after[id_]
        assert {step: later.checkpoints.get(step) for step in story.checkpoints} == story.checkpoints
        done = [(step["mg_step_type"], step["mg_meta"]["index"]) for step in later.steps]
        assert len(set(done)) == len(done), done
