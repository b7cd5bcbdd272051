-- What the studio's journeys look up: lineage, searching, how long steps take, how vendors fare. Idempotent.
set local client_min_messages = warning;

-- ---------------------------------------------------------------- preferred settings

-- They stood in the snapshot of taste, which is made of signals alone now.
update public.mega_customers set mg_meta = mg_meta || jsonb_build_object('settings', mg_mma_preferences -> 'settings')
where jsonb_typeof(mg_mma_preferences -> 'settings') = 'object' and jsonb_typeof(mg_meta) = 'object' and not mg_meta ? 'settings';

-- ---------------------------------------------------------------- steps by vendor

-- How long a kind of step took lately, and how a vendor fares.
create index if not exists mega_generations_steps_by_provider
  on public.mega_generations (mg_provider, mg_step_type, mg_created_at desc) where mg_record_type = 'mma_step';

-- Paid calls whose vendors are to be told that nobody waits any more.
create index if not exists mega_generations_given_up_steps on public.mega_generations (mg_updated_at)
  where mg_record_type = 'mma_step' and mg_error in ('CANCELLED', 'DEADLINE_EXCEEDED');

-- ---------------------------------------------------------------- lineage

-- The generation behind an address of our own.
create index if not exists mega_generations_output_key on public.mega_generations (mg_output_key)
  where mg_record_type = 'generation' and mg_output_key is not null;

-- What was made from a generation: its tweaks and its clips. A query must spell the condition.
create index if not exists mega_generations_children on public.mega_generations (mg_parent_id, mg_created_at desc, mg_id desc)
  where mg_record_type = 'generation' and mg_deleted_at is null and mg_parent_id is not null;

-- ---------------------------------------------------------------- archive

-- The archive of a Pass in the order of its cursors, with what it is filtered by: what does not fit is passed over inside the index.
-- A query must spell the expressions (`mega/generations/archive.py`).
create index if not exists mega_generations_archive on public.mega_generations (mg_pass_id, mg_created_at desc, mg_id desc,
    (coalesce(mg_mma_mode, case when mg_type in ('motion', 'video') then 'video' else 'still' end)),
    (coalesce(mg_mma_status, case when mg_status = 'failed' then 'error' else 'done' end)),
    (mg_mma_vars #>> '{inputs,ratio}'))
  where mg_record_type = 'generation' and mg_deleted_at is null;
-- What was made in one visit.
create index if not exists mega_generations_of_session on public.mega_generations (mg_session_id, mg_created_at desc, mg_id desc)
  where mg_record_type = 'generation' and mg_deleted_at is null and mg_session_id is not null;
-- What was said of a generation, the latest word first.
create index if not exists mega_generations_verdicts on public.mega_generations (mg_generation_id, mg_created_at desc, mg_id desc)
  where mg_record_type = 'mma_event' and mg_meta ->> 'event_type' in ('like', 'dislike') and mg_deleted_at is null;

-- The words of a generation: what was asked for, its prompt, what was seen on the pictures. Whose it is stands among them as a word
-- that no text has, so a search reads what one Pass wrote and not what everybody did. Cut, as a row's words have at most 1 MB.
create or replace function ops.words_of(pass_id text, prompt text, vars jsonb) returns tsvector
language sql immutable parallel safe cost 500 set search_path = '' as $$
  select array_to_tsvector(array['#' || md5(pass_id)])
    || to_tsvector('english', left(coalesce(vars #>> '{inputs,brief}', '') || ' ' || coalesce(vars #>> '{feedback,text}', '')
      || ' ' || coalesce(prompt, vars #>> '{prompts,clean_prompt}', ''), 50000))
    || case when octet_length((vars -> 'scans')::text) < 200000 then jsonb_to_tsvector('english', vars -> 'scans', '["string"]') else '' end
$$;
revoke execute on function ops.words_of(text, text, jsonb) from public;
-- Finished ones only: the words of a running one would be written again at each of its lines.
create index if not exists mega_generations_words on public.mega_generations using gin (ops.words_of(mg_pass_id, mg_prompt, mg_mma_vars))
  where mg_record_type = 'generation' and mg_deleted_at is null
    and coalesce(mg_mma_status, case when mg_status = 'failed' then 'error' else 'done' end) in ('done', 'error');

-- ---------------------------------------------------------------- erasing a person

-- Whose aliases a Pass has, whose objects are still to be removed. A query must spell the conditions.
create index if not exists mega_customers_merged_into on public.mega_customers ((mg_meta ->> 'merged_into')) where mg_meta ? 'merged_into';
create index if not exists mega_customers_objects_due on public.mega_customers (mg_deleted_at) where mg_meta ? 'objects_due';
-- What was done to a Pass, and what a user did.
create index if not exists mega_admin_actor_pass on public.mega_admin (mg_actor_pass_id) where mg_actor_pass_id is not null;
create index if not exists mega_admin_user on public.mega_admin (mg_user_id) where mg_user_id is not null;

-- Of a JSON object the entries of these names, of anything else nothing.
create or replace function ops.only(value jsonb, names text[]) returns jsonb language sql immutable set search_path = '' as $$
  select case jsonb_typeof(value) when 'array' then '[]' else
    coalesce((select jsonb_object_agg(e.key, e.value) from jsonb_each(case jsonb_typeof(value) when 'object' then value else '{}' end) e
      where e.key = any (names)), '{}') end
$$;

-- The numbers and switches of a JSON value; what is text is left out.
create or replace function ops.without_text(value jsonb) returns jsonb language plpgsql immutable set search_path = '' as $$
begin
  return case jsonb_typeof(value)
    when 'object' then (select coalesce(jsonb_object_agg(e.key, ops.without_text(e.value)), '{}') from jsonb_each(value) e
      where jsonb_typeof(e.value) <> 'string')
    when 'array' then (select coalesce(jsonb_agg(ops.without_text(e)), '[]') from jsonb_array_elements(value) e
      where jsonb_typeof(e) <> 'string')
    when 'string' then null
    else value end;
end $$;

-- Nothing is added to an erased Pass. Whoever adds a row waits here for an erasure at work, and then sees it.
create or replace function ops.refuse_erased() returns trigger language plpgsql set search_path = '' as $$
begin
  perform from public.mega_customers where mg_pass_id = new.mg_pass_id and not mg_meta ? 'erased' for key share;
  if not found and exists (select from public.mega_customers where mg_pass_id = new.mg_pass_id) then
    raise exception '%: nothing is added to an erased Pass', tg_table_name using errcode = 'restrict_violation';
  end if;
  return new;
end $$;
create or replace trigger mega_generations_not_erased before insert on public.mega_generations
  for each row execute function ops.refuse_erased();

-- Takes everything personal from a Pass, its aliases and all their rows; gives how many rows of the ledger that were, null when it was
-- erased before. What stays: ids, times, statuses, costs, money. Its matcha is written off and its generations have ended before.
create or replace function ops.erase_pass(pass_id text) returns int language plpgsql set search_path = '' as $$
declare
  person public.mega_customers;
  passes text[];
  emptied int;
begin
  select * into person from public.mega_customers where mg_pass_id = pass_id for update;
  if person.mg_pass_id is null or person.mg_meta ? 'erased' then
    return null;
  end if;
  with recursive family as (
    select pass_id as id
    union
    select c.mg_pass_id from family join public.mega_customers c on c.mg_meta ? 'merged_into' and c.mg_meta ->> 'merged_into' = family.id
  )
  select array_agg(id) into passes from family;
  perform from public.mega_customers where mg_pass_id = any (passes) order by mg_pass_id for update;
  if exists (select from public.mega_customers where mg_pass_id = any (passes) and mg_credits <> 0) then
    raise exception 'erase_pass: its matcha is to be written off first' using errcode = 'restrict_violation';
  end if;
  if exists (select from public.mega_generations where mg_pass_id = any (passes) and mg_record_type = 'generation'
      and mg_mma_status not in ('done', 'error')) then
    raise exception 'erase_pass: its generations are to be ended first' using errcode = 'restrict_violation';
  end if;

  perform set_config('mina.maintenance', 'erase', true);
  -- Generations first, as those lock who work on one.
  perform from public.mega_generations where mg_pass_id = any (passes) and mg_record_type = 'generation' order by mg_id for no key update;
  update public.mega_generations set
    mg_platform = null, mg_title = null, mg_prompt = null, mg_output_url = null, mg_output_key = null, mg_comment = null,
    mg_image_url = null, mg_video_url = null, mg_client_version = null, mg_os = null, mg_browser = null, mg_device = null,
    mg_payload = null, mg_mma_vars = '{}',
    -- Ours is a code; from before MMA it may be any words.
    mg_error = case when mg_record_type = 'generation' and mg_mma_status is null then null else mg_error end,
    mg_meta = ops.only(mg_meta, array['cost', 'event_type', 'line', 'quantity', 'refund', 'shortfall', 'sku']
      -- What was cancelled just now is still to be cancelled at its vendor, who knows it by this.
      || case when mg_error = 'CANCELLED' and mg_updated_at > clock_timestamp() - interval '15 minutes' then array['prediction_id'] end),
    mg_deleted_at = case when mg_record_type = 'credit_transaction' then mg_deleted_at else coalesce(mg_deleted_at, clock_timestamp()) end
  where mg_pass_id = any (passes);
  get diagnostics emptied = row_count;
  perform set_config('mina.maintenance', '', true);

  -- What was done to the Pass stays on record, in numbers; who did it, too, unless it was the person.
  update public.mega_admin set mg_detail = ops.without_text(mg_detail), mg_meta = '{}', mg_payload = null
  where mg_actor_pass_id = any (passes) and mg_record_type = 'admin_audit';
  update public.mega_admin set
    mg_email = null, mg_ip = null, mg_user_agent = null, mg_shopify_customer_id = null,
    -- An admin's acts do not become nobody's when the admin leaves.
    mg_user_id = case when mg_record_type = 'admin_audit' and mg_action not like 'refused.%' then mg_user_id end
  where mg_record_type = 'admin_audit' and (mg_user_id = person.mg_user_id or mg_actor_pass_id = any (passes) and mg_user_id is null);
  update public.mega_admin set
    mg_email = null, mg_ip = null, mg_user_agent = null, mg_shopify_customer_id = null, mg_user_id = null, mg_profile_id = null,
    mg_session_hash = null, mg_detail = null, mg_key = null, mg_value = null, mg_payload = null, mg_meta = '{}',
    mg_deleted_at = coalesce(mg_deleted_at, clock_timestamp())
  where mg_record_type in ('admin_session', 'profile') and (mg_user_id = person.mg_user_id or mg_actor_pass_id = any (passes)
    or mg_record_type = 'profile' and person.mg_verified_email and lower(mg_email) = lower(person.mg_email)
    or mg_record_type = 'profile' and mg_shopify_customer_id = person.mg_shopify_customer_id and not person.mg_meta ? 'shopify_link');

  update public.mega_customers set
    mg_shopify_customer_id = null, mg_user_id = null, mg_email = null, mg_first_name = null, mg_last_name = null, mg_display_name = null,
    mg_locale = null, mg_timezone = null, mg_marketing_opt_in = false, mg_product_updates_opt_in = false, mg_expires_at = null,
    mg_last_active = null, mg_verified_email = false, mg_verified_google = false, mg_verified_apple = false,
    mg_verification_method = null, mg_verification_at = null, mg_verification_keynumber = null, mg_topup_default_packs = default,
    mg_auto_topup_enabled = false, mg_auto_topup_monthly_limit_packs = null, mg_last_topup_at = null, mg_topup_source = null,
    mg_mma_preferences = '{}', mg_mma_preferences_updated_at = null,
    mg_meta = ops.only(mg_meta, array['merged_into']) || '{"erased": true}',
    mg_deleted_at = coalesce(mg_deleted_at, clock_timestamp())
  where mg_pass_id = any (passes);
  return emptied;
end $$;

revoke execute on all functions in schema ops from public;

-- ---------------------------------------------------------------- admins

-- The directory of Passes, newest first, and what it is searched by: how an id, an e-mail or a name begins. A query must spell the
-- expressions and the operators (`mega/directory.py`).
create index if not exists mega_customers_directory on public.mega_customers (mg_created_at desc, mg_pass_id desc) where mg_deleted_at is null;
create index if not exists mega_customers_by_id on public.mega_customers (mg_pass_id text_pattern_ops) where mg_deleted_at is null;
create index if not exists mega_customers_by_shopify_id on public.mega_customers (mg_shopify_customer_id text_pattern_ops)
  where mg_shopify_customer_id is not null and mg_deleted_at is null;
create index if not exists mega_customers_by_email on public.mega_customers (lower(mg_email) text_pattern_ops)
  where mg_email is not null and mg_deleted_at is null;
create index if not exists mega_customers_by_display_name on public.mega_customers (lower(mg_display_name) text_pattern_ops)
  where mg_display_name is not null and mg_deleted_at is null;
create index if not exists mega_customers_by_name on public.mega_customers (lower(mg_first_name || ' ' || coalesce(mg_last_name, '')) text_pattern_ops)
  where mg_first_name is not null and mg_deleted_at is null;
create index if not exists mega_customers_by_last_name on public.mega_customers (lower(mg_last_name) text_pattern_ops)
  where mg_last_name is not null and mg_deleted_at is null;

-- What was sold lately, which steps failed lately. Queries must spell the conditions.
create index if not exists mega_generations_purchases on public.mega_generations (mg_created_at) include (mg_delta)
  where mg_record_type = 'credit_transaction' and mg_reason = 'purchase' and mg_deleted_at is null;
create index if not exists mega_generations_failed_steps on public.mega_generations (mg_created_at desc, mg_id desc)
  where mg_record_type = 'mma_step' and mg_status = 'failed' and mg_deleted_at is null;

-- The audit, newest first, and that of one kind of act.
create index if not exists mega_admin_audits on public.mega_admin (mg_created_at desc, mg_id desc)
  where mg_record_type = 'admin_audit' and mg_deleted_at is null;
create index if not exists mega_admin_audits_of_action on public.mega_admin (mg_action, mg_created_at desc, mg_id desc)
  where mg_record_type = 'admin_audit' and mg_deleted_at is null;

-- ---------------------------------------------------------------- taste

-- A snapshot that was learned before there were signals becomes one, so that rebuilding from events alone gives it again. Not where a
-- Pass has given signals here: its snapshot comes from them.
set local client_min_messages = notice;
do $taste$
declare
  found record;
begin
  for found in
    insert into public.mega_generations (mg_id, mg_record_type, mg_pass_id, mg_meta, mg_source_system, mg_created_at)
    select 'mma_event:' || gen_random_uuid(), 'mma_event', c.mg_pass_id,
      jsonb_build_object('event_type', 'preference_set', 'payload', jsonb_build_object('action', 'import',
        'hard_blocks', c.mg_mma_preferences -> 'hard_blocks', 'tag_weights', c.mg_mma_preferences -> 'tag_weights')),
      'adoption', coalesce(c.mg_mma_preferences_updated_at, c.mg_updated_at)
    from public.mega_customers c
    where c.mg_deleted_at is null and c.mg_mma_preferences ?| array['hard_blocks', 'tag_weights'] and not exists (
      select from public.mega_generations g where g.mg_pass_id = c.mg_pass_id and g.mg_record_type = 'mma_event'
        and g.mg_meta -> 'payload' ?| array['action', 'tags'])
    returning md5(mg_pass_id) as pass
  loop
    raise notice 'adopted: learned taste kept as an event: Pass %', found.pass;
  end loop;
end $taste$;
set local client_min_messages = warning;
