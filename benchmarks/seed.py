"""An archive to read from: Passes with finished stills, their steps and their ledger, written straight into the tables."""

import asyncpg

PASSES = 100
STILLS = 60
STEPS = 8
BALANCE = 1_000

# Bearer Passes: live, minted, linked to nobody.
_CUSTOMERS = f"""
  insert into mega_customers (mg_pass_id, mg_credits, mg_expires_at, mg_meta, mg_source_system)
  select 'pass:anon:' || gen_random_uuid(), {BALANCE}, now() + interval '30 days', '{{"minted": true}}', 'bench'
  from generate_series(1, {PASSES}) returning mg_pass_id
"""

_LEDGER = """
  insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_delta, mg_reason, mg_source, mg_ref_type, mg_ref_id,
    mg_source_system)
  select 'credit_transaction:adjust:' || md5(mg_pass_id), 'credit_transaction', mg_pass_id, mg_credits, 'adjustment', 'bench',
    'adjust', md5(mg_pass_id), 'bench'
  from mega_customers where mg_source_system = 'bench'
"""

# A map of about 1 kB, shaped as a finished run leaves it.
_VARS = """jsonb_build_object('version', '2025-12-19', 'mode', 'still',
  'assets', jsonb_build_object('product_image_url', null, 'logo_image_url', null, 'inspiration_image_urls', '[]'::jsonb,
    'input_still_url', null, 'end_still_url', null),
  'scans', jsonb_build_object('product_crt', repeat('A matt ceramic cup, seen from the side. ', 5), 'logo_crt', null,
    'inspiration_crt', '[]'::jsonb, 'input_still_crt', null, 'output_still_crt', 'A cup on stone.'),
  'history', jsonb_build_object('vision_intelligence', true, 'style_history_csv', 'minimal,warm,stone'),
  'inputs', jsonb_build_object('brief', 'A cup of matcha on travertine, soft morning light, number ' || n, 'style', 'editorial',
    'ratio', '3:4', 'movement_style', null),
  'prompts', jsonb_build_object('clean_prompt', repeat('An editorial photograph of a cup on stone. ', 6)),
  'feedback', '{}'::jsonb,
  'userMessages', jsonb_build_object('scan_lines', jsonb_build_array(
      jsonb_build_object('seq', 3, 'text', 'Taking a first look.', 'stage', 'scanning', 'at', '2026-01-01T00:00:00.000Z')),
    'final_line', jsonb_build_object('seq', 11, 'text', 'Here it is.', 'stage', 'done', 'at', '2026-01-01T00:00:03.000Z')),
  'statuses', jsonb_build_array(jsonb_build_object('seq', 1, 'status', 'queued', 'at', '2026-01-01T00:00:00.000Z'),
    jsonb_build_object('seq', 12, 'status', 'done', 'at', '2026-01-01T00:00:03.000Z')),
  'settings', '{"seedream": {"size": "2K"}}'::jsonb,
  'outputs', jsonb_build_object('url', 'https://assets.example/' || id || '.jpg', 'key', id || '.jpg',
    'content_type', 'image/jpeg', 'width', 1536, 'height', 2048),
  'meta', '{}'::jsonb)"""

_GENERATIONS = f"""
  insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_type, mg_content_type, mg_platform,
    mg_mma_mode, mg_mma_status, mg_status, mg_prompt, mg_output_url, mg_output_key, mg_provider, mg_model, mg_latency_ms, mg_meta,
    mg_mma_vars, mg_source_system, mg_created_at)
  select 'generation:' || id, 'generation', mg_pass_id, id, 'image', 'image', 'web', 'still', 'done', 'succeeded',
    repeat('An editorial photograph of a cup on stone. ', 6), 'https://assets.example/' || id || '.jpg', id || '.jpg', 'offline',
    'offline-still-1', 3000, '{{"cost": 1}}', {_VARS}, 'bench', now() - make_interval(mins => n)
  from mega_customers, generate_series(1, {STILLS}) n, lateral (select gen_random_uuid()::text as id where n > 0) made
  where mg_source_system = 'bench'
"""

_STEPS = f"""
  insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_parent_id, mg_step_no, mg_step_type,
    mg_mma_mode, mg_provider, mg_model, mg_status, mg_latency_ms, mg_meta, mg_payload, mg_source_system, mg_created_at)
  select 'mma_step:' || mg_generation_id || ':' || n, 'mma_step', mg_pass_id, mg_generation_id, mg_id, n, 'scan_inspiration',
    'still', 'offline', 'offline-captioner-1', 'succeeded', 350, jsonb_build_object('index', n),
    jsonb_build_object(
      'input', jsonb_build_object('ctx_key', 'mma.ctx.gpt_scanner', 'ctx_version', 1,
        'ctx_id', 'app_config:mma.ctx.gpt_scanner.v1'),
      'output', jsonb_build_object('crt', repeat('A matt ceramic cup, seen from the side. ', 5)),
      'timing', jsonb_build_object('started_at', '2026-01-01T00:00:00.000Z', 'ended_at', '2026-01-01T00:00:00.350Z',
        'duration_ms', 350),
      'error', null),
    'bench', mg_created_at
  from mega_generations, generate_series(0, {STEPS - 1}) n
  where mg_record_type = 'generation' and mg_source_system = 'bench'
"""


async def fill(dsn: str) -> list[str]:
    """Fill the tables; gives the ids of the Passes."""
    connection = await asyncpg.connect(dsn)
    try:
        passes = [row[0] for row in await connection.fetch(_CUSTOMERS)]
        for statement in (_LEDGER, _GENERATIONS, _STEPS):
            await connection.execute(statement)
        await connection.execute("vacuum analyze mega_generations")
        return passes
    finally:
        await connection.close()
