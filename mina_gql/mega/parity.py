"""Parity: does what the tables say in two places agree? (seed 002, 9.4 and step 4)"""

from typing import NamedTuple

from sqlalchemy import Integer, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from mina_gql.mega.database import Query


class Mismatch(NamedTuple):
    """A Pass whose balance is not the sum of its ledger, both in matcha."""

    pass_id: str
    balance: int
    ledger_sum: int


class DayRow(NamedTuple):
    """How many rows of a record type a day has."""

    day: str
    record_type: str
    rows: int


# Merged and erased Passes too: a balance nobody reads must be right as well.
MISMATCHES = Query(
    text("""
        select c.mg_pass_id, c.mg_credits, coalesce(l.total, 0)::int
        from mega_customers c left join (
          select mg_pass_id, sum(mg_delta) as total from mega_generations where mg_record_type = 'credit_transaction' group by 1
        ) l using (mg_pass_id)
        where c.mg_credits <> coalesce(l.total, 0) order by c.mg_pass_id
    """)
)

# Days come with their bounds, so that an index gives the rows of each, whichever zone they are days of.
BY_DAY = Query(
    text("""
        select day, record_type, found.count
        from unnest(cast(:days as text[]), cast(:begins as text[]), cast(:ends as text[])) as span (day, begins, ends),
          unnest(array['credit_transaction', 'feedback', 'generation', 'mma_event', 'mma_step', 'session',
            'admin_audit', 'admin_session', 'app_config', 'profile', 'runtime_config']) with ordinality as kind (record_type, place),
          lateral (
            select count(*) from mega_generations where place <= 6 and mg_record_type = record_type and mg_deleted_at is null
              and mg_created_at >= begins::timestamptz and mg_created_at < ends::timestamptz
            union all
            select count(*) from mega_admin where place > 6 and mg_record_type = record_type and mg_deleted_at is null
              and mg_created_at >= begins::timestamptz and mg_created_at < ends::timestamptz
          ) found
        where found.count > 0 order by day desc, record_type
    """).bindparams(*(bindparam(name, type_=ARRAY(Text())) for name in ("days", "begins", "ends")))
)

NOW = Query(text("select clock_timestamp()"))

# Generations drawn by lot from those that were accepted here and charged for (others came from elsewhere, with a ledger of its
# own kind), each with what its ledger and its steps say. The ledger of a Pass that was brought along may begin below 0.
SAMPLE = Query(
    text("""
        with drawn as (
          select mg_id from mega_generations where mg_record_type = 'generation' and mg_deleted_at is null
          order by random() limit :sample
        ), sampled as (
          select g.mg_id, g.mg_pass_id, coalesce(g.mg_mma_status, 'done') as status, (g.mg_meta -> 'cost')::int as cost,
            coalesce((g.mg_meta -> 'refundable')::int, (g.mg_meta -> 'cost')::int) as refundable, substr(g.mg_id, 12) as name
          from drawn join mega_generations g using (mg_id)
          where jsonb_typeof(g.mg_meta -> 'cost') = 'number' and g.mg_source_system is distinct from 'legacy'
        ), lowest as (
          select mg_pass_id, case when bool_or(brought_along) then 0 else min(total) end as total from (
            select mg_pass_id, mg_source_system is distinct from 'api' as brought_along,
              sum(mg_delta) over (partition by mg_pass_id order by mg_created_at, mg_id) as total
            from mega_generations where mg_pass_id in (select mg_pass_id from sampled) and mg_record_type = 'credit_transaction'
          ) entries group by 1
        )
        select s.mg_id, s.status, s.cost, s.refundable, charge.mg_delta, refund.mg_delta,
          steps.count, steps.last, steps.open, coalesce(lowest.total, 0)::int
        from sampled s
        left join mega_generations charge on charge.mg_id = 'credit_transaction:charge:' || s.name
        left join mega_generations refund on refund.mg_id = 'credit_transaction:refund:' || s.name
        left join lowest on lowest.mg_pass_id = s.mg_pass_id
        cross join lateral (
          select count(*)::int as count, coalesce(max(mg_step_no), -1) as last, count(*) filter (where mg_status = 'running')::int as open
          from mega_generations where mg_generation_id = s.name and mg_record_type = 'mma_step'
        ) steps
        order by s.mg_id
    """).bindparams(bindparam("sample", type_=Integer()))
)
