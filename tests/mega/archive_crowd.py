"""A crowded ledger, made in SQL: many Passes, and one with an archive of thousands."""

import asyncpg

BIG = "pass:anon:crowd-0"
"""The Pass with a twentieth of everything."""
SESSION = "sess_crowd-0-3"
PARENT = "generation:crowd-40"
"""One of its generations, with 20 children."""

PASSES = "insert into mega_customers (mg_pass_id) select 'pass:anon:crowd-' || n from generate_series(0, 2000) n"

# Every 20th generation is the big one's. A fortieth are clips, a hundredth failed, two in a thousand are from before MMA.
GENERATIONS = """
    insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_session_id, mg_parent_id, mg_type, mg_status,
      mg_mma_mode, mg_mma_status, mg_prompt, mg_created_at, mg_mma_vars)
    select 'generation:crowd-' || n, 'generation', 'pass:anon:crowd-' || pass, 'crowd-' || n, 'sess_crowd-' || pass || '-' || n / 5000,
      case when n % 100 = 20 then 'generation:crowd-' || n / 2000 * 20 end, 'image', 'succeeded',
      case when n % 500 = 0 then null when n % 40 = 0 then 'video' else 'still' end,
      case when n % 500 = 0 then null when n % 100 = 60 then 'error' when n > $1 - 100 then 'generating' else 'done' end,
      'Editorial still, soft morning light, ' || (array['stone', 'linen', 'water', 'moss'])[1 + n % 4],
      timestamptz '2026-01-01 00:00:00+00' + n / 3 * interval '10 seconds',
      jsonb_build_object(
        'inputs', jsonb_build_object('brief', (array['A bottle', 'A cup', 'A candle'])[1 + n % 3] || ' number' || n % 1000, 'ratio',
          case when n % 1000 = 0 then '9:16' else (array['1:1', '2:3', '3:4'])[1 + n % 3] end),
        'scans', jsonb_build_object('product_crt', 'A glass with a cork', 'inspiration_crt', '[]'::jsonb))
    from (select n, case when n % 20 = 0 then 0 else 1 + n % 2000 end as pass from generate_series(0, $1 - 1) n) s"""

STEPS = """
    insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_session_id, mg_parent_id, mg_step_no, mg_step_type,
      mg_status, mg_created_at)
    select 'mma_step:' || mg_generation_id || ':' || step, 'mma_step', mg_pass_id, mg_generation_id, mg_session_id, mg_id, step, 'postscan',
      'succeeded', mg_created_at + step * interval '1 second'
    from mega_generations, generate_series(0, 1) step where mg_record_type = 'generation'"""

EVENTS = """
    insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_meta, mg_created_at)
    select 'mma_event:' || mg_generation_id, 'mma_event', mg_pass_id, mg_generation_id,
      jsonb_build_object('event_type', case hashtext(mg_id) & 15 when 0 then 'like' when 1 then 'dislike' else 'create' end),
      mg_created_at + interval '1 minute'
    from mega_generations where mg_record_type = 'generation'"""


async def crowd(db: asyncpg.Connection, rows: int) -> None:
    """Fill a migrated, empty database with about `rows` rows of the ledger, and let PostgreSQL count them."""
    await db.execute("set maintenance_work_mem = '256MB'; set synchronous_commit = off; set session_replication_role = replica")
    indexes = await db.fetch(
        "select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as made from pg_index "
        "where indrelid = 'mega_generations'::regclass and not indisprimary"
    )
    for index in indexes:  # made again when the rows are there, which is quicker
        await db.execute(f"drop index {index['name']}")
    await db.execute(PASSES)
    await db.execute(GENERATIONS, rows // 4)
    await db.execute(STEPS)
    await db.execute(EVENTS)
    for index in indexes:
        await db.execute(index["made"])
    await db.execute("vacuum analyze mega_generations")
