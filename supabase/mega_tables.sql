-- Mina's database: the three MEGA tables in public, the job engine's tables in ops. Printed by `mina migrate --sql`.
-- Creates, adopts or brings up to date; running it twice changes nothing.
begin;
set local client_min_messages = warning;

create schema if not exists ops;

create table if not exists ops.alembic_version (
  version_num varchar(32) not null constraint alembic_version_pkc primary key
);

do $$
begin
  perform pg_advisory_xact_lock(7883953986358964588);
  if exists (select from ops.alembic_version where version_num not in ('0001', '0002')) then
    raise exception 'this database is newer than this script';
  end if;
end $$;

-- The three MEGA tables, made on an empty database or adopted from one made by the SQL of seed 000 (with or without 002's patch).
-- Idempotent; runs in one transaction, with ops.alembic_version in place. DESIGN section 3 says what and why.
set local client_min_messages = warning;

-- ---------------------------------------------------------------- tables

create schema if not exists ops;

create table if not exists public.mega_customers (
  mg_pass_id text primary key,
  mg_shopify_customer_id text,
  mg_user_id uuid,
  mg_email text,
  mg_first_name text,
  mg_last_name text,
  mg_display_name text,
  mg_locale text,
  mg_timezone text,
  mg_marketing_opt_in boolean not null default false,
  mg_product_updates_opt_in boolean not null default false,
  mg_credits int not null default 0,
  mg_expires_at timestamptz,
  mg_last_active timestamptz,
  mg_disabled boolean not null default false,
  mg_verified_email boolean not null default false,
  mg_verified_google boolean not null default false,
  mg_verified_apple boolean not null default false,
  mg_verified_any boolean generated always as
    (coalesce(mg_verified_email, false) or coalesce(mg_verified_google, false) or coalesce(mg_verified_apple, false)) stored,
  mg_verification_method text,
  mg_verification_at timestamptz,
  mg_verification_keynumber text,
  mg_topup_default_packs int not null default 3,
  mg_auto_topup_enabled boolean not null default false,
  mg_auto_topup_monthly_limit_packs int,
  mg_last_topup_at timestamptz,
  mg_topup_source text,
  mg_meta jsonb not null default '{}',
  mg_source_system text,
  mg_deleted_at timestamptz,
  mg_created_at timestamptz not null default clock_timestamp(),
  mg_updated_at timestamptz not null default clock_timestamp()
);
alter table public.mega_customers
  add column if not exists mg_mma_preferences jsonb not null default '{}',
  add column if not exists mg_mma_preferences_updated_at timestamptz,
  alter column mg_created_at set default clock_timestamp(),
  alter column mg_updated_at set default clock_timestamp();

create table if not exists public.mega_generations (
  mg_id text primary key,
  mg_record_type text not null,
  mg_pass_id text not null references public.mega_customers (mg_pass_id),
  mg_session_id text,
  mg_generation_id text,
  mg_platform text,
  mg_title text,
  mg_type text,
  mg_prompt text,
  mg_output_url text,
  mg_output_key text,
  mg_provider text,
  mg_model text,
  mg_latency_ms int,
  mg_input_chars int,
  mg_output_chars int,
  mg_input_tokens int,
  mg_output_tokens int,
  mg_content_type text,
  mg_status text,
  mg_error text,
  mg_result_type text,
  mg_comment text,
  mg_image_url text,
  mg_video_url text,
  mg_delta int,
  mg_reason text,
  mg_source text,
  mg_ref_type text,
  mg_ref_id text,
  mg_client_version text,
  mg_os text,
  mg_browser text,
  mg_device text,
  mg_meta jsonb not null default '{}',
  mg_source_system text,
  mg_deleted_at timestamptz,
  mg_created_at timestamptz not null default clock_timestamp(),
  mg_updated_at timestamptz not null default clock_timestamp()
);
alter table public.mega_generations
  add column if not exists mg_parent_id text,
  add column if not exists mg_step_no int,
  add column if not exists mg_step_type text,
  add column if not exists mg_payload jsonb,
  add column if not exists mg_mma_mode text,
  add column if not exists mg_mma_status text,
  add column if not exists mg_mma_vars jsonb not null default '{}',
  alter column mg_created_at set default clock_timestamp(),
  alter column mg_updated_at set default clock_timestamp();

create table if not exists public.mega_admin (
  mg_id text primary key,
  mg_record_type text not null,
  mg_actor_pass_id text references public.mega_customers (mg_pass_id),
  mg_session_hash text,
  mg_user_id uuid,
  mg_email text,
  mg_ip text,
  mg_user_agent text,
  mg_first_seen_at timestamptz,
  mg_last_seen_at timestamptz,
  mg_profile_id uuid,
  mg_shopify_customer_id text,
  mg_action text,
  mg_route text,
  mg_method text,
  mg_status int,
  mg_detail jsonb,
  mg_runtime_id int,
  mg_runtime_flat jsonb,
  mg_key text,
  mg_value jsonb,
  mg_meta jsonb not null default '{}',
  mg_source_system text,
  mg_deleted_at timestamptz,
  mg_created_at timestamptz not null default clock_timestamp(),
  mg_updated_at timestamptz not null default clock_timestamp()
);
alter table public.mega_admin
  add column if not exists mg_payload jsonb,
  alter column mg_created_at set default clock_timestamp(),
  alter column mg_updated_at set default clock_timestamp();

-- ---------------------------------------------------------------- adoption

-- Only where no migration has run yet: later, an unlinked Pass may be an erased one, which must never become a bearer's again.
-- What is changed is listed; a Pass is named by its md5, as in ledger ids. The seed's triggers go first, so mg_updated_at stays.
do $adoption$
declare
  found record;
  money constant text := 'credit_transaction';
begin
  if exists (select from ops.alembic_version) then
    return;
  end if;
  drop trigger if exists tr_mega_customers_updated_at on public.mega_customers;
  drop trigger if exists tr_mega_generations_updated_at on public.mega_generations;
  drop trigger if exists tr_mega_admin_updated_at on public.mega_admin;
  alter table public.mega_generations drop constraint if exists mega_generations_mma_step_requires_fields;
  set local client_min_messages = notice;

  for found in
    select string_agg(format('%s of type %s', r.mg_id, r.mg_record_type), ', ' order by r.mg_id) as rows
    from (select mg_id, mg_record_type from public.mega_generations union all select mg_id, mg_record_type from public.mega_admin) r
    where not starts_with(r.mg_id, r.mg_record_type || ':')
      and (exists (select from public.mega_generations t where t.mg_id = r.mg_record_type || ':' || r.mg_id)
        or exists (select from public.mega_admin t where t.mg_id = r.mg_record_type || ':' || r.mg_id))
    having count(*) > 0
  loop
    raise exception 'cannot adopt: the ids with their record type before them are taken by other rows: %', found.rows
      using errcode = 'unique_violation', hint = 'Rename or remove one row of each pair, then migrate again. Nothing was changed.';
  end loop;
  for found in
    with prefixed as (
      update public.mega_generations set mg_id = mg_record_type || ':' || mg_id
      where not starts_with(mg_id, mg_record_type || ':') returning mg_record_type, mg_id
    ), prefixed_admin as (
      update public.mega_admin set mg_id = mg_record_type || ':' || mg_id
      where not starts_with(mg_id, mg_record_type || ':') returning mg_record_type, mg_id
    )
    select mg_record_type, string_agg(mg_id, ', ' order by mg_id) as ids
    from (select *, row_number() over (partition by mg_record_type order by mg_id) / 100 as page
      from (select * from prefixed union all select * from prefixed_admin) both_tables) paged
    group by mg_record_type, page order by mg_record_type, page
  loop
    raise notice 'adopted: % ids prefixed: %', found.mg_record_type, found.ids;
  end loop;

  for found in
    update public.mega_generations
    set mg_generation_id = coalesce(mg_generation_id, substr(mg_parent_id, 12)),
      mg_parent_id = 'generation:' || coalesce(mg_generation_id, substr(mg_parent_id, 12))
    where mg_record_type = 'mma_step' and (mg_generation_id is not null or mg_parent_id like 'generation:_%')
      and mg_parent_id is distinct from 'generation:' || mg_generation_id
    returning mg_id
  loop
    raise notice 'adopted: parent set: %', found.mg_id;
  end loop;
  for found in
    update public.mega_generations
    set mg_delta = coalesce(mg_delta, 0), mg_reason = coalesce(mg_reason, 'adjustment'), mg_source = coalesce(mg_source, mg_source_system, 'legacy'),
      mg_ref_type = coalesce(mg_ref_type, 'legacy'), mg_ref_id = coalesce(mg_ref_id, substr(mg_id, length(money) + 2))
    where mg_record_type = money and num_nulls(mg_delta, mg_reason, mg_source, mg_ref_type, mg_ref_id) > 0
    returning mg_id
  loop
    raise notice 'adopted: missing facts filled in: %', found.mg_id;
  end loop;

  for found in
    update public.mega_customers c set mg_credits = 0 from public.mega_customers was
    where was.mg_pass_id = c.mg_pass_id and c.mg_credits < 0 returning md5(c.mg_pass_id) as pass, was.mg_credits as was
  loop
    raise notice 'adopted: balance raised from % to 0: Pass %', found.was, found.pass;
  end loop;
  for found in
    insert into public.mega_generations (mg_id, mg_record_type, mg_pass_id, mg_delta, mg_reason, mg_source, mg_ref_type, mg_ref_id, mg_source_system)
    select money || ':adjust:adoption:' || md5(mg_pass_id), money, mg_pass_id, mg_credits - entries.total, 'adjustment', 'adoption', 'adoption',
      md5(mg_pass_id), 'adoption'
    from public.mega_customers c, lateral (
      select coalesce(sum(mg_delta), 0)::int as total from public.mega_generations g where g.mg_pass_id = c.mg_pass_id and g.mg_record_type = money
    ) entries
    where mg_credits <> entries.total returning mg_delta, mg_ref_id
  loop
    raise notice 'adopted: ledger closed by an adjustment of %: Pass %', found.mg_delta, found.mg_ref_id;
  end loop;

  for found in
    update public.mega_customers set mg_meta = mg_meta || '{"minted": true}'
    where (mg_pass_id ~ '^pass:anon:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
        or mg_pass_id ~ '^pass_[0-7][0-9A-HJKMNP-TV-Z]{25}$')
      and num_nonnulls(mg_user_id, mg_shopify_customer_id, mg_email, mg_deleted_at) = 0
      and jsonb_typeof(mg_meta) = 'object' and not mg_meta ?| array['minted', 'merged_into']
    returning md5(mg_pass_id) as pass
  loop
    raise notice 'adopted: unlinked, marked as minted: Pass %', found.pass;
  end loop;
end $adoption$;
set local client_min_messages = warning;

-- ---------------------------------------------------------------- checks

alter table public.mega_customers
  drop constraint if exists mega_customers_mg_credits_check,
  add constraint mega_customers_mg_credits_check check (mg_credits >= 0);

-- A CHECK lets NULL pass, hence the explicit `is not null`.
alter table public.mega_generations
  drop constraint if exists mega_generations_mg_record_type_check,
  add constraint mega_generations_mg_record_type_check
    check (mg_record_type in ('generation', 'session', 'feedback', 'credit_transaction', 'mma_step', 'mma_event')),
  drop constraint if exists mega_generations_mg_id_check,
  add constraint mega_generations_mg_id_check check (starts_with(mg_id, mg_record_type || ':')),
  drop constraint if exists mega_generations_mma_step_requires_fields,
  add constraint mega_generations_mma_step_requires_fields check (mg_record_type <> 'mma_step' or (
    num_nulls(mg_generation_id, mg_parent_id, mg_step_no, mg_step_type) = 0
    and mg_parent_id = 'generation:' || mg_generation_id and mg_step_no >= 0)),
  drop constraint if exists mega_generations_mma_event_requires_type,
  add constraint mega_generations_mma_event_requires_type check (mg_record_type <> 'mma_event' or (
    mg_meta ->> 'event_type' is not null
    and mg_meta ->> 'event_type' in ('like', 'dislike', 'download', 'preference_set', 'create', 'tweak', 'feedback'))),
  drop constraint if exists mega_generations_credit_transaction_requires_fields,
  add constraint mega_generations_credit_transaction_requires_fields
    check (mg_record_type <> 'credit_transaction' or num_nulls(mg_delta, mg_reason, mg_source, mg_ref_type, mg_ref_id) = 0);

alter table public.mega_admin
  drop constraint if exists mega_admin_mg_record_type_check,
  add constraint mega_admin_mg_record_type_check
    check (mg_record_type in ('admin_session', 'admin_audit', 'profile', 'runtime_config', 'app_config')),
  drop constraint if exists mega_admin_mg_id_check,
  add constraint mega_admin_mg_id_check check (starts_with(mg_id, mg_record_type || ':'));

-- ---------------------------------------------------------------- indexes

create unique index if not exists mega_customers_user_id_uq on public.mega_customers (mg_user_id)
  where mg_user_id is not null and mg_deleted_at is null;
create unique index if not exists mega_customers_shopify_id_uq on public.mega_customers (mg_shopify_customer_id)
  where mg_shopify_customer_id is not null and mg_deleted_at is null;
create index if not exists mega_customers_email_idx on public.mega_customers (lower(mg_email))
  where mg_email is not null and mg_deleted_at is null;
-- Whose a deposit is, and who is still to be tagged in the shop. A query must spell these conditions.
create index if not exists mega_customers_deposit_ref on public.mega_customers ((mg_meta ->> 'deposit_ref')) where mg_meta ? 'deposit_ref';
create index if not exists mega_customers_shopify_tag_due on public.mega_customers (mg_pass_id)
  where mg_meta @? '$.shopify_tag.* ? (@ == "due")';
-- What the sweeper looks for: matcha with an end.
create index if not exists mega_customers_expiring on public.mega_customers (mg_expires_at) where mg_credits > 0 and mg_deleted_at is null;
create index if not exists mega_customers_last_active_idx on public.mega_customers (mg_last_active);
create index if not exists mega_customers_mma_preferences_gin on public.mega_customers using gin (mg_mma_preferences);

create index if not exists mega_generations_pass_id_idx on public.mega_generations (mg_pass_id) where mg_deleted_at is null;
-- Listings of one record type over all Passes.
create index if not exists mega_generations_type_created_idx on public.mega_generations (mg_record_type, mg_created_at desc)
  where mg_deleted_at is null;
create index if not exists mega_generations_session_idx on public.mega_generations (mg_session_id)
  where mg_session_id is not null and mg_deleted_at is null;
-- The steps of a generation, and its likes.
create index if not exists mega_generations_generation_recordtype_stepno
  on public.mega_generations (mg_generation_id, mg_record_type, mg_step_no);
create index if not exists mega_generations_pass_recordtype_created
  on public.mega_generations (mg_pass_id, mg_record_type, mg_created_at desc);
-- Pages of one Pass, newest first: the order of the cursor.
create index if not exists mega_generations_keyset
  on public.mega_generations (mg_pass_id, mg_record_type, mg_created_at desc, mg_id desc) where mg_deleted_at is null;
-- Work that has not ended, deleted or not. A query must spell the condition with constants to be served by it.
create index if not exists mega_generations_in_flight on public.mega_generations (mg_created_at)
  where mg_record_type = 'generation' and mg_mma_status not in ('done', 'error');
-- What a Shopify order gave and what its refunds took, whichever Pass it stands with.
create index if not exists mega_generations_shopify_order on public.mega_generations (mg_ref_id)
  where mg_ref_type in ('shopify_order', 'shopify_refund');
-- The seed's index covers every row, so it would be rewritten at every line of a running generation.
do $gin$
begin
  if exists (select from pg_catalog.pg_index
    where indexrelid = to_regclass('public.mega_generations_mma_vars_gin') and indpred is null) then
    drop index public.mega_generations_mma_vars_gin;
  end if;
end $gin$;
create index if not exists mega_generations_mma_vars_gin on public.mega_generations using gin (mg_mma_vars)
  where mg_record_type = 'generation' and mg_mma_status in ('done', 'error');

create index if not exists mega_admin_record_type_idx on public.mega_admin (mg_record_type, mg_created_at desc)
  where mg_deleted_at is null;
-- Refunds that came before their payment.
create index if not exists mega_admin_shopify_refund_pending on public.mega_admin (mg_key) where mg_action = 'shopify.refund_pending';

-- ---------------------------------------------------------------- functions

create or replace function ops.touch_updated_at() returns trigger language plpgsql set search_path = '' as $$
begin
  new.mg_updated_at = clock_timestamp();
  return new;
end $$;

-- The first argument of a guard says what is refused.
create or replace function ops.refuse() returns trigger language plpgsql set search_path = '' as $$
begin
  raise exception '%: %', tg_table_name, tg_argv[0] using errcode = 'restrict_violation';
end $$;

-- The two doors in the guards. Whoever may open one calls set_config('mina.maintenance', 'merge' | 'erase', true) in its transaction;
-- the functions of schema ops that do so come with merging and erasing. Neither door lets a fact be forged:
-- merge gives a row to another Pass and notes the first one in mg_meta.orig_pass_id, ledger rows of money excepted;
-- erase takes personal text away and puts nothing in its place.
create or replace function ops.maintained(was public.mega_generations, becomes public.mega_generations) returns boolean
language plpgsql stable set search_path = '' as $$
declare
  pointers constant text[] := array['mg_pass_id', 'mg_meta', 'mg_updated_at'];
  marks constant text[] := array['mg_deleted_at', 'mg_updated_at'];
  personal constant text[] := array['mg_platform', 'mg_title', 'mg_prompt', 'mg_output_url', 'mg_output_key', 'mg_comment', 'mg_image_url',
    'mg_video_url', 'mg_client_version', 'mg_os', 'mg_browser', 'mg_device', 'mg_meta', 'mg_payload', 'mg_mma_vars'];
begin
  case current_setting('mina.maintenance', true)
    when 'merge' then
      return was.mg_record_type <> 'credit_transaction'
        and to_jsonb(becomes) - pointers = to_jsonb(was) - pointers
        and becomes.mg_meta - 'orig_pass_id' = was.mg_meta - 'orig_pass_id';
    when 'erase' then
      return to_jsonb(becomes) - personal - marks = to_jsonb(was) - personal - marks
        and to_jsonb(was) @> jsonb_strip_nulls(to_jsonb(becomes) - marks)
        and becomes.mg_meta -> 'cost' is not distinct from was.mg_meta -> 'cost';
    else
      return false;
  end case;
end $$;

-- Refuses an update unless a door is open for it or, where more arguments name columns, it changes only those.
create or replace function ops.guard_ledger_row() returns trigger language plpgsql set search_path = '' as $$
begin
  if tg_nargs > 1 and to_jsonb(new) - tg_argv[1:] = to_jsonb(old) - tg_argv[1:] or ops.maintained(old, new) then
    return new;
  end if;
  raise exception '%: %', tg_table_name, tg_argv[0] using errcode = 'restrict_violation';
end $$;

create or replace function ops.guard_app_config() returns trigger language plpgsql set search_path = '' as $$
declare
  free constant text[] := array['mg_meta', 'mg_updated_at'];
begin
  if to_jsonb(new) - free = to_jsonb(old) - free and new.mg_meta - 'enabled' = old.mg_meta - 'enabled' then
    return new;
  end if;
  raise exception '%: of a configuration only mg_meta.enabled may change', tg_table_name using errcode = 'restrict_violation';
end $$;

revoke execute on all functions in schema ops from public;

-- ---------------------------------------------------------------- triggers

create or replace trigger tr_mega_customers_updated_at before update on public.mega_customers
  for each row execute function ops.touch_updated_at();
create or replace trigger tr_mega_generations_updated_at before update on public.mega_generations
  for each row execute function ops.touch_updated_at();
create or replace trigger tr_mega_admin_updated_at before update on public.mega_admin
  for each row execute function ops.touch_updated_at();

do $keep$
declare
  name text;
begin
  foreach name in array array['mega_customers', 'mega_generations', 'mega_admin'] loop
    execute format('create or replace trigger %I before delete on public.%I for each row execute function ops.refuse(%L)',
      name || '_never_deleted', name, 'rows are never deleted');
    execute format('create or replace trigger %I before truncate on public.%I for each statement execute function ops.refuse(%L)',
      name || '_never_truncated', name, 'rows are never deleted');
  end loop;
end $keep$;

create or replace trigger mega_customers_identity before update on public.mega_customers for each row
  when ((old.mg_pass_id, old.mg_created_at) is distinct from (new.mg_pass_id, new.mg_created_at))
  execute function ops.refuse('mg_pass_id and mg_created_at never change');
create or replace trigger mega_generations_identity before update on public.mega_generations for each row
  when ((old.mg_id, old.mg_record_type, old.mg_created_at) is distinct from (new.mg_id, new.mg_record_type, new.mg_created_at))
  execute function ops.refuse('mg_id, mg_record_type and mg_created_at never change');
create or replace trigger mega_admin_identity before update on public.mega_admin for each row
  when ((old.mg_id, old.mg_record_type, old.mg_created_at) is distinct from (new.mg_id, new.mg_record_type, new.mg_created_at))
  execute function ops.refuse('mg_id, mg_record_type and mg_created_at never change');

create or replace trigger mega_generations_owner before update on public.mega_generations for each row
  when (old.mg_pass_id is distinct from new.mg_pass_id)
  execute function ops.guard_ledger_row('mg_pass_id changes in a merge only');
create or replace trigger mega_generations_insert_only before update on public.mega_generations for each row
  when (old.mg_record_type in ('credit_transaction', 'mma_event', 'feedback'))
  execute function ops.guard_ledger_row('credit transactions, events and feedback are insert-only');
create or replace trigger mega_generations_ended_step before update on public.mega_generations for each row
  when (old.mg_record_type = 'mma_step' and old.mg_status is distinct from 'running')
  execute function ops.guard_ledger_row('a step is frozen once it has ended');
create or replace trigger mega_generations_ended_generation before update on public.mega_generations for each row
  when (old.mg_record_type = 'generation' and old.mg_mma_status in ('done', 'error'))
  execute function ops.guard_ledger_row('a generation is frozen once it has ended', 'mg_deleted_at', 'mg_updated_at');
create or replace trigger mega_admin_app_config before update on public.mega_admin for each row
  when (old.mg_record_type = 'app_config')
  execute function ops.guard_app_config();

-- The seed's trigger function, unless something else still uses it.
do $seed$
begin
  drop function if exists public.mega_set_updated_at();
exception when dependent_objects_still_exist then
  null;
end $seed$;

-- ---------------------------------------------------------------- access

-- Row level security without a policy: nobody but the owner reads or writes. On Supabase these tables are otherwise open to its API.
alter table public.mega_customers enable row level security;
alter table public.mega_generations enable row level security;
alter table public.mega_admin enable row level security;
do $access$
declare
  role name;
begin
  for role in select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated') loop
    execute format('revoke all on public.mega_customers, public.mega_generations, public.mega_admin from %I', role);
    execute format('revoke all on schema ops from %I', role);
  end loop;
end $access$;

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

insert into ops.alembic_version (version_num) select '0002' where not exists (select from ops.alembic_version);
update ops.alembic_version set version_num = '0002' where version_num <> '0002';

commit;

-- ---------------------------------------------------------------- jobs

set client_min_messages = warning;

-- pgqueuer 1.6.0 -- prefix='' schema='ops' durability=durable

CREATE SCHEMA IF NOT EXISTS ops;

DO $$
BEGIN
    CREATE TYPE ops.pgqueuer_status AS ENUM ('queued', 'picked', 'successful', 'exception', 'canceled', 'deleted', 'failed');
EXCEPTION
    WHEN duplicate_object THEN NULL;
END $$;

ALTER TYPE ops.pgqueuer_status ADD VALUE IF NOT EXISTS 'queued';

ALTER TYPE ops.pgqueuer_status ADD VALUE IF NOT EXISTS 'picked';

ALTER TYPE ops.pgqueuer_status ADD VALUE IF NOT EXISTS 'successful';

ALTER TYPE ops.pgqueuer_status ADD VALUE IF NOT EXISTS 'exception';

ALTER TYPE ops.pgqueuer_status ADD VALUE IF NOT EXISTS 'canceled';

ALTER TYPE ops.pgqueuer_status ADD VALUE IF NOT EXISTS 'deleted';

ALTER TYPE ops.pgqueuer_status ADD VALUE IF NOT EXISTS 'failed';

CREATE TABLE IF NOT EXISTS ops.pgqueuer (
    id bigserial NOT NULL PRIMARY KEY,
    priority integer NOT NULL,
    queue_manager_id uuid,
    created timestamp with time zone NOT NULL DEFAULT now(),
    updated timestamp with time zone NOT NULL DEFAULT now(),
    heartbeat timestamp with time zone NOT NULL DEFAULT now(),
    execute_after timestamp with time zone NOT NULL DEFAULT now(),
    status ops.pgqueuer_status NOT NULL,
    entrypoint text NOT NULL,
    dedupe_key text,
    payload bytea,
    headers jsonb,
    attempts integer NOT NULL DEFAULT 0,
    slot bigint
);

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS priority integer NOT NULL;

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS queue_manager_id uuid;

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS created timestamp with time zone NOT NULL DEFAULT now();

ALTER TABLE ops.pgqueuer ALTER COLUMN created SET DEFAULT now();

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS updated timestamp with time zone NOT NULL DEFAULT now();

ALTER TABLE ops.pgqueuer ALTER COLUMN updated SET DEFAULT now();

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS heartbeat timestamp with time zone NOT NULL DEFAULT now();

ALTER TABLE ops.pgqueuer ALTER COLUMN heartbeat SET DEFAULT now();

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS execute_after timestamp with time zone NOT NULL DEFAULT now();

ALTER TABLE ops.pgqueuer ALTER COLUMN execute_after SET DEFAULT now();

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS status ops.pgqueuer_status NOT NULL;

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS entrypoint text NOT NULL;

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS dedupe_key text;

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS payload bytea;

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS headers jsonb;

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS attempts integer NOT NULL DEFAULT 0;

ALTER TABLE ops.pgqueuer ALTER COLUMN attempts SET DEFAULT 0;

ALTER TABLE ops.pgqueuer ADD COLUMN IF NOT EXISTS slot bigint;

CREATE TABLE IF NOT EXISTS ops.pgqueuer_log (
    id bigint GENERATED BY DEFAULT AS IDENTITY NOT NULL PRIMARY KEY,
    created timestamp with time zone NOT NULL DEFAULT now(),
    job_id bigint NOT NULL,
    status ops.pgqueuer_status NOT NULL,
    priority integer NOT NULL,
    entrypoint text NOT NULL,
    traceback jsonb,
    aggregated boolean DEFAULT false
);

ALTER TABLE ops.pgqueuer_log ADD COLUMN IF NOT EXISTS created timestamp with time zone NOT NULL DEFAULT now();

ALTER TABLE ops.pgqueuer_log ALTER COLUMN created SET DEFAULT now();

ALTER TABLE ops.pgqueuer_log ADD COLUMN IF NOT EXISTS job_id bigint NOT NULL;

ALTER TABLE ops.pgqueuer_log ADD COLUMN IF NOT EXISTS status ops.pgqueuer_status NOT NULL;

ALTER TABLE ops.pgqueuer_log ADD COLUMN IF NOT EXISTS priority integer NOT NULL;

ALTER TABLE ops.pgqueuer_log ADD COLUMN IF NOT EXISTS entrypoint text NOT NULL;

ALTER TABLE ops.pgqueuer_log ADD COLUMN IF NOT EXISTS traceback jsonb;

ALTER TABLE ops.pgqueuer_log ADD COLUMN IF NOT EXISTS aggregated boolean DEFAULT false;

ALTER TABLE ops.pgqueuer_log ALTER COLUMN aggregated SET DEFAULT false;

CREATE TABLE IF NOT EXISTS ops.pgqueuer_schedules (
    id bigserial NOT NULL PRIMARY KEY,
    expression text NOT NULL,
    entrypoint text NOT NULL,
    heartbeat timestamp with time zone NOT NULL DEFAULT now(),
    created timestamp with time zone NOT NULL DEFAULT now(),
    updated timestamp with time zone NOT NULL DEFAULT now(),
    next_run timestamp with time zone NOT NULL DEFAULT now(),
    last_run timestamp with time zone,
    status ops.pgqueuer_status DEFAULT 'queued'::ops.pgqueuer_status,
    UNIQUE (expression, entrypoint)
);

ALTER TABLE ops.pgqueuer_schedules ADD COLUMN IF NOT EXISTS expression text NOT NULL;

ALTER TABLE ops.pgqueuer_schedules ADD COLUMN IF NOT EXISTS entrypoint text NOT NULL;

ALTER TABLE ops.pgqueuer_schedules ADD COLUMN IF NOT EXISTS heartbeat timestamp with time zone NOT NULL DEFAULT now();

ALTER TABLE ops.pgqueuer_schedules ALTER COLUMN heartbeat SET DEFAULT now();

ALTER TABLE ops.pgqueuer_schedules ADD COLUMN IF NOT EXISTS created timestamp with time zone NOT NULL DEFAULT now();

ALTER TABLE ops.pgqueuer_schedules ALTER COLUMN created SET DEFAULT now();

ALTER TABLE ops.pgqueuer_schedules ADD COLUMN IF NOT EXISTS updated timestamp with time zone NOT NULL DEFAULT now();

ALTER TABLE ops.pgqueuer_schedules ALTER COLUMN updated SET DEFAULT now();

ALTER TABLE ops.pgqueuer_schedules ADD COLUMN IF NOT EXISTS next_run timestamp with time zone NOT NULL DEFAULT now();

ALTER TABLE ops.pgqueuer_schedules ALTER COLUMN next_run SET DEFAULT now();

ALTER TABLE ops.pgqueuer_schedules ADD COLUMN IF NOT EXISTS last_run timestamp with time zone;

ALTER TABLE ops.pgqueuer_schedules ADD COLUMN IF NOT EXISTS status ops.pgqueuer_status DEFAULT 'queued'::ops.pgqueuer_status;

ALTER TABLE ops.pgqueuer_schedules ALTER COLUMN status SET DEFAULT 'queued'::ops.pgqueuer_status;

-- No longer used by PgQueuer. Drop when you no longer need the data:
--   ALTER TABLE ops.pgqueuer_statistics DROP COLUMN time_in_queue;
CREATE TABLE IF NOT EXISTS ops.pgqueuer_statistics (
    id bigserial NOT NULL PRIMARY KEY,
    created timestamp with time zone NOT NULL DEFAULT date_trunc('sec'::text, now()),
    count bigint NOT NULL,
    priority integer NOT NULL,
    status ops.pgqueuer_status NOT NULL,
    entrypoint text NOT NULL
);

ALTER TABLE ops.pgqueuer_statistics ADD COLUMN IF NOT EXISTS created timestamp with time zone NOT NULL DEFAULT date_trunc('sec'::text, now());

ALTER TABLE ops.pgqueuer_statistics ALTER COLUMN created SET DEFAULT date_trunc('sec'::text, now());

ALTER TABLE ops.pgqueuer_statistics ADD COLUMN IF NOT EXISTS count bigint NOT NULL;

ALTER TABLE ops.pgqueuer_statistics ADD COLUMN IF NOT EXISTS priority integer NOT NULL;

ALTER TABLE ops.pgqueuer_statistics ADD COLUMN IF NOT EXISTS status ops.pgqueuer_status NOT NULL;

ALTER TABLE ops.pgqueuer_statistics ADD COLUMN IF NOT EXISTS entrypoint text NOT NULL;

DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM information_schema.columns
               WHERE table_schema = 'ops'
                 AND table_name = 'pgqueuer_statistics'
                 AND column_name = 'time_in_queue') THEN
        ALTER TABLE ops.pgqueuer_statistics
            ALTER COLUMN time_in_queue DROP NOT NULL;
    END IF;
END $$;

DO $$
BEGIN
    IF (SELECT udt_name FROM information_schema.columns
        WHERE table_schema = 'ops'
          AND table_name = 'pgqueuer_statistics'
          AND column_name = 'status') IS DISTINCT FROM 'pgqueuer_status' THEN
        ALTER TABLE ops.pgqueuer_statistics
            ALTER COLUMN status TYPE ops.pgqueuer_status USING status::TEXT::ops.pgqueuer_status;
    END IF;
END $$;

WITH ranked AS (
    SELECT id,
           sum(count) OVER bucket AS total,
           row_number() OVER (bucket ORDER BY id) AS position
    FROM ops.pgqueuer_statistics
    WINDOW bucket AS (PARTITION BY priority, date_trunc('sec'::text, timezone('UTC'::text, created)), status, entrypoint)
), merged AS (
    UPDATE ops.pgqueuer_statistics AS kept SET count = ranked.total
    FROM ranked
    WHERE kept.id = ranked.id AND ranked.position = 1 AND kept.count <> ranked.total
)
DELETE FROM ops.pgqueuer_statistics AS folded
USING ranked
WHERE folded.id = ranked.id AND ranked.position > 1;

DROP INDEX IF EXISTS ops.pgqueuer_heartbeat_id_id1_idx;

CREATE INDEX IF NOT EXISTS pgqueuer_ep_ea_idx ON ops.pgqueuer USING btree (entrypoint, execute_after) WHERE (status = 'queued'::ops.pgqueuer_status);

CREATE INDEX IF NOT EXISTS pgqueuer_ep_prio_id_idx ON ops.pgqueuer USING btree (entrypoint, priority DESC, id) WHERE (status = 'queued'::ops.pgqueuer_status);

CREATE INDEX IF NOT EXISTS pgqueuer_log_created ON ops.pgqueuer_log USING btree (created);

CREATE INDEX IF NOT EXISTS pgqueuer_log_job_id_status ON ops.pgqueuer_log USING btree (job_id, created DESC);

DO $$
BEGIN
    IF EXISTS (
        SELECT 1
        FROM pg_index index_info
        JOIN pg_class index_class ON index_class.oid = index_info.indexrelid
        JOIN pg_class table_class ON table_class.oid = index_info.indrelid
        JOIN pg_namespace namespace ON namespace.oid = index_class.relnamespace
        WHERE namespace.nspname = 'ops'
          AND index_class.relname = 'pgqueuer_log_not_aggregated'
          AND (
              table_class.relname IS DISTINCT FROM 'pgqueuer_log'
              OR index_info.indisunique IS DISTINCT FROM FALSE
              OR substring(
                  pg_get_indexdef(index_info.indexrelid)
                  FROM position(' USING ' IN pg_get_indexdef(index_info.indexrelid)) + 1
              ) IS DISTINCT FROM 'USING btree ((1)) WHERE (NOT aggregated)'
          )
    ) THEN
        DROP INDEX ops.pgqueuer_log_not_aggregated;
    END IF;
END $$;

CREATE INDEX IF NOT EXISTS pgqueuer_log_not_aggregated ON ops.pgqueuer_log USING btree ((1)) WHERE (NOT aggregated);

CREATE INDEX IF NOT EXISTS pgqueuer_log_status ON ops.pgqueuer_log USING btree (status);

CREATE INDEX IF NOT EXISTS pgqueuer_picked_heartbeat_idx ON ops.pgqueuer USING btree (heartbeat) WHERE (status = 'picked'::ops.pgqueuer_status);

CREATE UNIQUE INDEX IF NOT EXISTS pgqueuer_picked_slot_idx ON ops.pgqueuer USING btree (entrypoint, slot) WHERE ((status = 'picked'::ops.pgqueuer_status) AND (slot IS NOT NULL));

CREATE INDEX IF NOT EXISTS pgqueuer_priority_id_id1_idx ON ops.pgqueuer USING btree (priority, id DESC) INCLUDE (id) WHERE (status = 'queued'::ops.pgqueuer_status);

CREATE INDEX IF NOT EXISTS pgqueuer_queue_manager_id_idx ON ops.pgqueuer USING btree (queue_manager_id) WHERE (queue_manager_id IS NOT NULL);

DO $$
BEGIN
    IF EXISTS (
        SELECT 1
        FROM pg_index index_info
        JOIN pg_class index_class ON index_class.oid = index_info.indexrelid
        JOIN pg_class table_class ON table_class.oid = index_info.indrelid
        JOIN pg_namespace namespace ON namespace.oid = index_class.relnamespace
        WHERE namespace.nspname = 'ops'
          AND index_class.relname = 'pgqueuer_statistics_unique_count'
          AND (
              table_class.relname IS DISTINCT FROM 'pgqueuer_statistics'
              OR index_info.indisunique IS DISTINCT FROM TRUE
              OR substring(
                  pg_get_indexdef(index_info.indexrelid)
                  FROM position(' USING ' IN pg_get_indexdef(index_info.indexrelid)) + 1
              ) IS DISTINCT FROM 'USING btree (priority, date_trunc(''sec''::text, timezone(''UTC''::text, created)), status, entrypoint)'
          )
    ) THEN
        DROP INDEX ops.pgqueuer_statistics_unique_count;
    END IF;
END $$;

CREATE UNIQUE INDEX IF NOT EXISTS pgqueuer_statistics_unique_count ON ops.pgqueuer_statistics USING btree (priority, date_trunc('sec'::text, timezone('UTC'::text, created)), status, entrypoint);

CREATE UNIQUE INDEX IF NOT EXISTS pgqueuer_unique_dedupe_key ON ops.pgqueuer USING btree (dedupe_key) WHERE ((status = ANY (ARRAY['queued'::ops.pgqueuer_status, 'picked'::ops.pgqueuer_status])) AND (dedupe_key IS NOT NULL));

CREATE INDEX IF NOT EXISTS pgqueuer_updated_id_id1_idx ON ops.pgqueuer USING btree (updated, id DESC) INCLUDE (id) WHERE (status = 'picked'::ops.pgqueuer_status);

CREATE OR REPLACE FUNCTION ops.fn_pgqueuer_changed() RETURNS TRIGGER AS $$
DECLARE
    to_emit BOOLEAN := false;  -- Flag to decide whether to emit a notification
BEGIN
    -- Check operation type and set the emit flag accordingly
    IF TG_OP = 'UPDATE' AND OLD IS DISTINCT FROM NEW THEN
        to_emit := true;
    ELSIF TG_OP = 'DELETE' THEN
        to_emit := true;
    ELSIF TG_OP = 'INSERT' THEN
        to_emit := true;
    ELSIF TG_OP = 'TRUNCATE' THEN
        to_emit := true;
    END IF;

    -- Perform notification if the emit flag is set
    IF to_emit THEN
        PERFORM pg_notify(
            'ch_pgqueuer',
            json_build_object(
                'channel', 'ch_pgqueuer',
                'operation', lower(TG_OP),
                'sent_at', NOW(),
                'table', TG_TABLE_NAME,
                'type', 'table_changed_event'
            )::text
        );
    END IF;

    -- Return appropriate value based on the operation
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        RETURN NEW;
    ELSIF TG_OP = 'DELETE' THEN
        RETURN OLD;
    ELSE
        RETURN NULL; -- For TRUNCATE and other non-row-specific contexts
    END IF;

END;
$$ LANGUAGE plpgsql;

DROP TRIGGER IF EXISTS tg_pgqueuer_changed ON ops.pgqueuer;

CREATE TRIGGER tg_pgqueuer_changed
AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON ops.pgqueuer
EXECUTE FUNCTION ops.fn_pgqueuer_changed();

DO $$
BEGIN
    IF (SELECT data_type FROM information_schema.columns
        WHERE table_schema = 'ops'
          AND table_name = 'pgqueuer'
          AND column_name = 'id') = 'integer' THEN
        ALTER TABLE ops.pgqueuer ALTER COLUMN id TYPE BIGINT;
    END IF;
END $$;

DO $$
DECLARE
    seq TEXT := pg_get_serial_sequence('ops.pgqueuer', 'id');
BEGIN
    IF seq IS NOT NULL THEN
        EXECUTE format('ALTER SEQUENCE %s AS BIGINT', seq);
    END IF;
END $$;

DO $$
BEGIN
    IF (SELECT data_type FROM information_schema.columns
        WHERE table_schema = 'ops'
          AND table_name = 'pgqueuer_schedules'
          AND column_name = 'id') = 'integer' THEN
        ALTER TABLE ops.pgqueuer_schedules ALTER COLUMN id TYPE BIGINT;
    END IF;
END $$;

DO $$
DECLARE
    seq TEXT := pg_get_serial_sequence('ops.pgqueuer_schedules', 'id');
BEGIN
    IF seq IS NOT NULL THEN
        EXECUTE format('ALTER SEQUENCE %s AS BIGINT', seq);
    END IF;
END $$;

DO $$
BEGIN
    IF (SELECT data_type FROM information_schema.columns
        WHERE table_schema = 'ops'
          AND table_name = 'pgqueuer_statistics'
          AND column_name = 'id') = 'integer' THEN
        ALTER TABLE ops.pgqueuer_statistics ALTER COLUMN id TYPE BIGINT;
    END IF;
END $$;

DO $$
DECLARE
    seq TEXT := pg_get_serial_sequence('ops.pgqueuer_statistics', 'id');
BEGIN
    IF seq IS NOT NULL THEN
        EXECUTE format('ALTER SEQUENCE %s AS BIGINT', seq);
    END IF;
END $$;

DROP TYPE IF EXISTS ops.pgqueuer_statistics_status;

revoke execute on all functions in schema ops from public;

reset client_min_messages;
