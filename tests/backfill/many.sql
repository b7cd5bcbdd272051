-- A legacy database with {n} rows in all, of the shapes that are common.
create table customers (id uuid primary key, shopify_customer_id text, user_id uuid, email text, credits int, expires_at timestamptz, created_at timestamptz);
insert into customers
select ('a0000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, case when i % 3 = 0 then (7000000 + i)::text when i % 3 = 1 then 'anonymous' end,
  case when i % 2 = 0 then ('b0000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid end, 'person' || i / 2 || '@example.com', i % 30 - 2, now() + '1 year',
  '2024-01-01'::timestamptz + i * interval '1 second'
from generate_series(1, {n} / 10) i;

create table sessions (id uuid primary key, customer_id uuid, platform text, created_at timestamptz);
insert into sessions
select ('c0000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, ('a0000000-0000-4000-8000-' || lpad(to_hex(i % ({n} / 9) + 1), 12, '0'))::uuid, 'web',
  '2024-02-01'::timestamptz + i * interval '1 second'
from generate_series(1, {n} / 10) i;

create table generations (id uuid primary key, customer_id uuid, session_id uuid, type text, prompt text, output_url text, status text, meta jsonb, created_at timestamptz);
insert into generations
select ('d0000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, ('a0000000-0000-4000-8000-' || lpad(to_hex(i % ({n} / 10) + 1), 12, '0'))::uuid,
  ('c0000000-0000-4000-8000-' || lpad(to_hex(i % ({n} / 10) + 1), 12, '0'))::uuid, case when i % 9 = 0 then 'motion' else 'image' end,
  'Soft light on travertine, a cup of coffee, number ' || i, 'https://cdn.example.com/' || i || '.png', 'succeeded', '{{"ratio": "1:1"}}',
  '2024-03-01'::timestamptz + i * interval '1 second'
from generate_series(1, {n} * 3 / 10) i;

create table feedback (id bigserial primary key, generation_id uuid, customer_id uuid, comment text, liked boolean, created_at timestamptz);
insert into feedback (generation_id, customer_id, comment, liked, created_at)
select ('d0000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, ('a0000000-0000-4000-8000-' || lpad(to_hex(i % ({n} / 10) + 1), 12, '0'))::uuid,
  case when i % 4 = 0 then 'Brighter, please' end, i % 5 > 0, '2024-04-01'::timestamptz + i * interval '1 second'
from generate_series(1, {n} / 10) i;

create table credit_transactions (id uuid primary key, customer_id uuid, delta int, reason text, created_at timestamptz);
insert into credit_transactions
select ('e0000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, ('a0000000-0000-4000-8000-' || lpad(to_hex(i % ({n} / 10) + 1), 12, '0'))::uuid,
  case when i % 3 = 0 then 50 else -1 end, case when i % 3 = 0 then 'purchase' else 'image' end, '2024-05-01'::timestamptz + i * interval '1 second'
from generate_series(1, {n} * 4 / 10) i;
analyze;
