-- A legacy database as it may lie there: no foreign keys, columns that come and go, and whatever people and programs left in them.
create table customers (
  id uuid primary key, shopify_customer_id text, user_id text, pass_id text, email text, display_name text, credits numeric,
  expires_at timestamp, marketing_opt_in text, verified_google boolean, disabled boolean, extra json, created_at timestamp, deleted_at timestamptz
);
insert into customers (id, shopify_customer_id, user_id, pass_id, email, display_name, credits, expires_at, marketing_opt_in, extra, created_at) values
  -- Ann: both links; her ledger says 12, her balance 10.
  ('a0000000-0000-4000-8000-000000000001', '7001', '11111111-1111-4111-8111-111111111111', null, 'ann@example.com', 'Ann 🍵', 10,
    '2030-01-10 00:00:00', 'yes', '{"note": "\u0000 and \ud83c\udf75", "half": "\ud83c"}', '2024-03-01 10:00:00.123456'),
  -- Ann again, before she bought: the same user, 5 matcha of her own, which live longer.
  ('a0000000-0000-4000-8000-000000000002', null, '11111111-1111-4111-8111-111111111111', null, 'ANN@example.com', null, 5,
    '2031-01-10 00:00:00', null, null, '2024-02-01 10:00:00'),
  -- Ben: Shopify's long id; overdrawn.
  ('a0000000-0000-4000-8000-000000000003', 'gid://shopify/Customer/7002', null, null, 'ben@example.com', 'Ben', -3, null, 'no', null, null),
  -- Two people who share an e-mail, and a row without anything: money that is no whole number, and none at all.
  ('a0000000-0000-4000-8000-000000000004', 'anonymous', null, null, 'ben@example.com', null, 2.5, null, null, null, '2024-05-01'),
  ('a0000000-0000-4000-8000-000000000005', null, null, null, null, null, null, null, null, null, null),
  -- Passes that people hold: both shapes, and one that is linked.
  ('a0000000-0000-4000-8000-000000000006', 'Anonymous', null, 'pass:anon:22222222-2222-4222-8222-222222222222', null, null, 4, null, null, null, '2024-06-01'),
  ('a0000000-0000-4000-8000-000000000007', '', '', 'pass_01J9ZX3T5K7M9P1Q3S5V7X9Z1B', null, null, 1, null, null, null, '2024-06-02'),
  ('a0000000-0000-4000-8000-000000000008', '7003', null, 'pass:anon:33333333-3333-4333-8333-333333333333', null, null, 0, null, null, null, '2024-06-03'),
  -- Cleo and Dan share a Shopify customer: two users are two people.
  ('a0000000-0000-4000-8000-000000000009', '7004', '44444444-4444-4444-8444-444444444444', null, 'cleo@example.com', 'Cleo', 7, null, null, null, '2024-07-01'),
  ('a0000000-0000-4000-8000-00000000000a', '7004', '55555555-5555-4555-8555-555555555555', null, 'dan@example.com', 'Dan', 8, null, null, null, '2024-07-02'),
  -- Somebody whose user id is none of Supabase's, with an e-mail that is none and more matcha than there is.
  ('a0000000-0000-4000-8000-00000000000b', null, 'auth0|eve', null, 'no e-mail', null, 99999999999999, 'infinity', null, null, 'infinity');
update customers set deleted_at = now() where id = 'a0000000-0000-4000-8000-00000000000b';

create table sessions ("sessionId" text, "shopifyCustomerId" text, platform text, title text, "createdAt" bigint);
insert into sessions values
  ('s-1', '7001', 'web', 'First visit', 1709287200), ('s-1', '7001', 'web', 'the same id again', 1709287200000),
  (null, '7001', 'web', null, null), ('s-2', '9001', 'ios', 'a customer who is not there', 1709287200),
  ('s-3', 'anonymous', null, E'line\nbreak', -1), (repeat('long', 100), null, null, null, 99999999999999999);

create table generations (
  id text primary key, session_id text, customer_id text, type text, prompt text, output_url text, output_key text, provider text, model text,
  latency_ms text, status text, error text, meta text, created_at text
);
insert into generations values
  ('g-1', 's-1', 'a0000000-0000-4000-8000-000000000001', 'image', 'Soft light on travertine 🍵', 'https://cdn.example.com/a.png', 'out/a.png', 'replicate',
    'seedream', '1234.6', 'succeeded', null, '{"ratio": "3:4", "user_brief": "A cup", "style": "minimal"}', '2024-03-01 10:05:00'),
  ('g-2', null, '7001', 'Motion', 'Slow push in', 'https://cdn.example.com/b.mp4?X-Amz-Signature=secret', null, null, null, 'soon', 'DONE', null, 'no json', '2024-03-01T10:06:00+04:00'),
  ('g-3', 's-2', null, 'image', 'Waiting', null, null, null, null, null, 'processing', null, null, 'yesterday'),
  ('g-4', 's-3', null, 'hologram', 'An orphan in a visit of nobody', 'data:image/png;base64,AAAA', null, null, null, null, 'failed', 'boom', null, ''),
  ('g-5', 'gone', null, null, null, 'https://cdn.example.com/c.webp', null, null, null, null, null, null, null, null),
  ('g-6', null, 'pass_01J9ZX3T5K7M9P1Q3S5V7X9Z1B', 'image', 'Dark walnut', 'javascript:alert(1)', null, null, null, null, 'succeeded', null, null, '2024-06-03'),
  ('generation:g-7', null, '11111111-1111-4111-8111-111111111111', 'video', 'Orbit', 'https://cdn.example.com/d', null, null, null, null, 'succeeded', null, null, '2024-06-03');
update generations set meta = jsonb_build_object('picture', repeat('x', 300000))::text where id = 'g-5';

create table feedback (
  id bigserial primary key, session_id text, generation_id text, shopify_customer_id text, result_type text, platform text, prompt text, comment text,
  image_url text, video_url text, liked boolean, created_at timestamptz
);
insert into feedback (session_id, generation_id, shopify_customer_id, result_type, prompt, comment, image_url, liked, created_at) values
  ('s-1', 'g-1', '7001', 'image', 'Soft light on travertine', '', 'https://cdn.example.com/a.png', true, '2024-03-01 10:10Z'),
  ('s-1', 'g-2', '7001', 'motion', null, 'Slower, please', null, null, '2024-03-01 10:11Z'),
  (null, 'g-1', null, 'image', null, null, null, null, '2024-03-01 10:12Z'),
  (null, 'g-6', '7001', 'image', 'Dark walnut', null, null, true, '2024-03-01 10:13Z'),
  (null, 'never', '7002', 'image', 'Linen', null, null, false, null);

create table credit_transactions (
  id uuid, pass_id text, shopify_customer_id text, user_id text, delta double precision, reason text, source text, ref_type text, ref_id text, created_at timestamptz
);
insert into credit_transactions (id, shopify_customer_id, user_id, pass_id, delta, reason, source, ref_type, ref_id, created_at) values
  ('c0000000-0000-4000-8000-000000000001', '7001', null, null, 50, 'shopify_order', 'shopify', 'order', '5551234567', '2024-03-01'),
  ('c0000000-0000-4000-8000-000000000002', '7001', null, null, -38, 'image_generate', 'api', 'generation', 'g-1', '2024-03-02'),
  ('c0000000-0000-4000-8000-000000000003', null, '11111111-1111-4111-8111-111111111111', null, 0.4, 'welcome', null, null, null, null),
  ('c0000000-0000-4000-8000-000000000003', null, '11111111-1111-4111-8111-111111111111', null, 0.4, 'welcome', null, null, null, null),
  ('c0000000-0000-4000-8000-000000000004', 'gid://shopify/Customer/7002', null, null, -3, 'motion', null, null, null, '2024-03-02'),
  ('c0000000-0000-4000-8000-000000000005', '9002', null, null, 30, 'top-up', null, null, null, '2024-03-02'),
  (null, 'anonymous', null, null, -4, 'still', null, null, null, '2024-03-02'),
  ('c0000000-0000-4000-8000-000000000006', null, null, 'pass_01J9ZX3T5K7M9P1Q3S5V7X9Z1B', 'NaN', 'gift', null, null, null, '2024-03-02'),
  ('c0000000-0000-4000-8000-000000000007', null, null, 'pass:anon:22222222-2222-4222-8222-222222222222', 1e300, null, null, null, null, '2024-03-02');

create table admin_sessions (id serial primary key, session_hash text not null unique, user_id uuid, email text, ip inet, user_agent text, first_seen_at timestamptz, last_seen_at timestamptz);
insert into admin_sessions (session_hash, email, ip, first_seen_at) values
  (repeat('ab', 32), 'root@example.com', '10.0.0.1', '2024-01-01'), ('a raw token', 'root@example.com', null, null);
create table admin_audit (id uuid primary key, action text, route text, method text, status int, detail jsonb, shopify_customer_id text, created_at timestamptz);
insert into admin_audit values ('d0000000-0000-4000-8000-000000000001', 'credits.add', '/admin', 'POST', 200, '{"by": 5}', '7001', '2024-04-01'),
  ('d0000000-0000-4000-8000-000000000002', null, null, null, null, '[1]', null, null);
create table profiles (id uuid primary key, email text, shopify_customer_id text, created_at timestamptz);
insert into profiles values ('11111111-1111-4111-8111-111111111111', 'ann@example.com', '7001', '2024-01-01');
create table runtime_config (id int primary key, flat jsonb);
insert into runtime_config values (1, '{"pricing.imageCost": 1, "price.create": "lots"}');
create table app_config (key text primary key, value jsonb);
insert into app_config values ('mma.ctx.gpt_reader', '"an old prompt"'), ('banner', '{"text": "hello"}');
