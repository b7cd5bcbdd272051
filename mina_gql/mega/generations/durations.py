"""How long steps took lately, and where unfinished generations stand: what estimates are made of."""

from typing import NamedTuple

import orjson
from sqlalchemy import Integer, bindparam, text

from mina_gql.mega.database import Query


class DurationRow(NamedTuple):
    """The median of a step's latest successful runs, in seconds. `vendor` is its `mg_provider`."""

    step_type: str
    vendor: str
    seconds: float


class StandingRow(NamedTuple):
    """An unfinished generation: where it is in the queue, and `[type, vendor, seconds running or null]` of its steps so far.

    `workers` is how many there are now; it, what stands ahead and what is being made are null once it has started.
    """

    id: str
    mode: str
    status: str
    tweaks: bool
    looks: bool
    steps: orjson.Fragment
    stills_ahead: int | None
    clips_ahead: int | None
    stills_running: int | None
    clips_running: int | None
    workers: int | None


# A caption that was known before says nothing about its vendor: it asked for no characters.
MEDIANS = Query(
    text("""
        select asked.step_type, asked.vendor, percentile_cont(0.5) within group (order by lately.ms) / 1000
        from unnest(cast(:step_types as text[]), cast(:vendors as text[])) as asked (step_type, vendor), lateral (
          select mg_latency_ms as ms from mega_generations
          where mg_record_type = 'mma_step' and mg_provider = asked.vendor and mg_step_type = asked.step_type
            and mg_status = 'succeeded' and mg_latency_ms is not null and mg_input_chars is distinct from 0
          order by mg_created_at desc limit :runs
        ) lately
        group by 1, 2
    """).bindparams(bindparam("runs", type_=Integer()))
)

_IN_FLIGHT = "mg_record_type = 'generation' and mg_mma_status not in ('done', 'error')"

# The queue is counted once for all, and only where one of those asked for stands in it.
STANDINGS = Query(
    text(f"""
        with queued as (
          select mg_id, count(*) filter (where mg_mma_mode = 'video') over earlier as clips_ahead,
            count(*) filter (where mg_mma_mode is distinct from 'video') over earlier as stills_ahead
          from mega_generations
          where {_IN_FLIGHT} and mg_mma_status = 'queued'
            and exists (select from mega_generations where mg_id = any(cast(:ids as text[])) and {_IN_FLIGHT} and mg_mma_status = 'queued')
          window earlier as (order by mg_created_at, mg_id rows between unbounded preceding and 1 preceding)
        )
        select g.mg_id, coalesce(g.mg_mma_mode, 'still'), g.mg_mma_status, coalesce(g.mg_mma_vars -> 'feedback', '{{}}') <> '{{}}',
          case when g.mg_mma_mode = 'video' then (g.mg_mma_vars #>> '{{scans,input_still_crt}}') is null
            else coalesce(g.mg_mma_vars #>> '{{assets,product_image_url}}', g.mg_mma_vars #>> '{{assets,logo_image_url}}',
              g.mg_mma_vars #>> '{{assets,inspiration_image_urls,0}}') is not null end,
          coalesce(begun.steps, '[]'), queued.stills_ahead, queued.clips_ahead,
          case when queued.mg_id is not null then running.stills end, case when queued.mg_id is not null then running.clips end,
          case when queued.mg_id is not null then (
            select count(*) from pg_stat_activity where datname = current_database() and application_name = 'mina worker') end
        from mega_generations g
        left join queued on queued.mg_id = g.mg_id
        cross join (
          select count(*) filter (where mg_mma_mode is distinct from 'video') as stills, count(*) filter (where mg_mma_mode = 'video') as clips
          from mega_generations where {_IN_FLIGHT} and mg_mma_status <> 'queued'
        ) running
        left join lateral (
          select jsonb_agg(jsonb_build_array(s.mg_step_type, s.mg_provider,
            case when s.mg_status = 'running' then extract(epoch from clock_timestamp() - s.mg_created_at)::float end)) as steps
          from mega_generations s where s.mg_generation_id = g.mg_generation_id and s.mg_record_type = 'mma_step'
        ) begun on true
        where g.mg_id = any(cast(:ids as text[])) and g.{_IN_FLIGHT.replace(" and ", " and g.")}
    """)
)
