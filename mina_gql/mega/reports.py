"""What admins look at over all rows: sums, the queue, how vendors fare. Each is one statement, by indexes where rows are many."""

from typing import NamedTuple

from sqlalchemy import Integer, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from mina_gql.mega.database import Query

IN_FLIGHT = "mg_record_type = 'generation' and mg_mma_status not in ('done', 'error')"


class SummaryRow(NamedTuple):
    """How the studio stands. `failures_24h` are those of `generations_24h` that ended in ERROR; matcha that has expired is none."""

    passes: int
    active_passes_24h: int
    generations: int
    generations_24h: int
    failures_24h: int
    matcha_outstanding: int
    matcha_sold_30d: int
    queued: int


class QueueRow(NamedTuple):
    """What waits and what is being made, and how many workers there are now. `oldest_queued_seconds` is 0 where nothing waits."""

    queued: int
    running: int
    oldest_queued_seconds: int
    workers: int


class FiguresRow(NamedTuple):
    """How the steps of one maker went: the median of its latest successful runs in seconds, and its failures of 24 hours."""

    maker: int
    p50_seconds: float | None
    failures_24h: int


_DAY = "clock_timestamp() - interval '24 hours'"

SUMMARY = Query(
    text(f"""
        select
          (select count(*) from mega_customers where mg_deleted_at is null),
          (select count(*) from mega_customers where mg_deleted_at is null and mg_last_active > {_DAY}),
          (select count(*) from mega_generations where mg_record_type = 'generation' and mg_deleted_at is null),
          lately.made, lately.failed,
          (select coalesce(sum(mg_credits), 0)::bigint from mega_customers
            where mg_credits > 0 and mg_deleted_at is null and (mg_expires_at is null or mg_expires_at > clock_timestamp())),
          (select coalesce(sum(mg_delta), 0)::bigint from mega_generations
            where mg_record_type = 'credit_transaction' and mg_reason = 'purchase' and mg_deleted_at is null
              and mg_created_at > clock_timestamp() - interval '30 days'),
          (select count(*) from mega_generations where {IN_FLIGHT} and mg_mma_status = 'queued' and mg_deleted_at is null)
        from (
          select count(*) as made, count(*) filter (where mg_mma_status = 'error' or mg_mma_status is null and mg_status = 'failed') as failed
          from mega_generations where mg_record_type = 'generation' and mg_deleted_at is null and mg_created_at > {_DAY}
        ) lately
    """)
)

QUEUE = Query(
    text(f"""
        select count(*) filter (where mg_mma_status = 'queued'), count(*) filter (where mg_mma_status <> 'queued'),
          coalesce(extract(epoch from clock_timestamp() - min(mg_created_at) filter (where mg_mma_status = 'queued')), 0)::int,
          (select count(*) from pg_stat_activity where datname = current_database() and application_name = 'mina worker')
        from mega_generations where {IN_FLIGHT} and mg_deleted_at is null
    """)
)

# A maker is a vendor and its step types: `makers`, `vendors` and `step_types` say it line by line. A caption that was known before
# says nothing of its vendor; what is no fault of the vendor's (a cancel, moderation) is no failure, as for the breaker.
FIGURES = Query(
    text("""
        with asked as (
          select * from unnest(cast(:makers as int[]), cast(:vendors as text[]), cast(:step_types as text[])) as line (maker, vendor, step_type)
        ), runs as (
          select asked.maker, percentile_cont(0.5) within group (order by lately.ms) / 1000 as p50
          from asked, lateral (
            select mg_latency_ms as ms from mega_generations
            where mg_record_type = 'mma_step' and mg_provider = asked.vendor and mg_step_type = asked.step_type and mg_deleted_at is null
              and mg_status = 'succeeded' and mg_latency_ms is not null and mg_input_chars is distinct from 0
            order by mg_created_at desc limit :runs
          ) lately
          group by 1
        ), failures as (
          select mg_provider, mg_step_type, count(*) as failed from mega_generations
          where mg_record_type = 'mma_step' and mg_status = 'failed' and mg_deleted_at is null
            and mg_created_at > clock_timestamp() - interval '24 hours' and mg_error in ('PROVIDER_ERROR', 'PROVIDER_TIMEOUT')
          group by 1, 2
        )
        select asked.maker, max(runs.p50), coalesce(sum(failures.failed), 0)::int
        from asked left join runs using (maker) left join failures on mg_provider = asked.vendor and mg_step_type = asked.step_type
        group by 1 order by 1
    """).bindparams(
        bindparam("makers", type_=ARRAY(Integer())),
        *(bindparam(name, type_=ARRAY(Text())) for name in ("vendors", "step_types")),
        bindparam("runs", type_=Integer()),
    )
)
