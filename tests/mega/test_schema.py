"""The three tables as migrated: columns, mapping, access, CHECKs, triggers, doors, indexes; and the script of them."""

import asyncio
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.queries import Queries
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from mina_gql.mega import models
from mina_gql.mega.migrations import head, migrate, script

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures"
TABLES = {"mega_customers", "mega_generations", "mega_admin"}
PASS, OTHER, GENERATION = "pass:anon:one", "pass:anon:other", "8d7a"
SQL_TYPES = {"bool": "boolean", "int": "integer", "timestamptz": "timestamp with time zone"}


@pytest_asyncio.fixture
async def db(database_dsn):
    """A connection to a migrated database with two Passes."""
    connection = await asyncpg.connect(database_dsn)
    await connection.executemany("insert into mega_customers (mg_pass_id) values ($1)", [(PASS,), (OTHER,)])
    yield connection
    await connection.close()


async def insert(db, record_type, name="1", table="mega_generations", **columns):
    """Insert a row with what its record type needs; `columns` (without `mg_`) win. Gives its id."""
    needed = {
        "mma_step": {
            "generation_id": GENERATION,
            "parent_id": f"generation:{GENERATION}",
            "step_no": 0,
            "step_type": "postscan",
        },
        "mma_event": {"meta": '{"event_type": "like"}'},
        "credit_transaction": {"delta": 1, "reason": "grant", "source": "mina", "ref_type": "grant", "ref_id": "1"},
    }
    owner = {"pass_id": PASS} if table == "mega_generations" else {}
    row = {"id": f"{record_type}:{name}", "record_type": record_type, **owner, **needed.get(record_type, {}), **columns}
    names, places = ", ".join(f"mg_{column}" for column in row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await db.execute(f"insert into {table} ({names}) values ({places})", *row.values())
    return row["id"]


# ---------------------------------------------------------------- what is there


async def test_every_column_of_the_seeds_exists_with_its_type_and_no_other(db):
    columns = await db.fetch(
        "select table_name, column_name, data_type from information_schema.columns where table_schema = 'public'"
    )
    seeds = await db.fetch((FIXTURES / "seed_columns.sql").read_text())
    listed = {(table, column, SQL_TYPES.get(type_, type_)) for _, table, column, type_ in seeds}
    assert len(listed) == 34 + 46 + 27
    assert {tuple(column) for column in columns} == listed


@pytest.mark.parametrize("row", [models.Customer, models.LedgerRow, models.AdminRow])
async def test_the_mapping_says_what_the_table_is(db, row):
    columns = await db.fetch(
        """select column_name, is_nullable = 'YES' as nullable,
        column_default is not null or is_generated = 'ALWAYS' as given, data_type
        from information_schema.columns where table_name = $1""",
        row.__tablename__,
    )
    spelled = {"TIMESTAMP WITH TIME ZONE": "timestamp with time zone"}
    dialect = create_async_engine("postgresql+asyncpg://").dialect
    mapped = {
        (c.name, c.nullable, c.server_default is not None, spelled.get(t := c.type.compile(dialect), t).lower())
        for c in row.__table__.columns
    }
    assert {tuple(column) for column in columns} == mapped
    assert all(attribute.columns[0].name == f"mg_{attribute.key}" for attribute in row.__mapper__.column_attrs)


async def test_every_record_type_is_mapped(db):
    for base in (models.LedgerRow, models.AdminRow):
        check = await db.fetchval(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = $1",
            f"{base.__tablename__}_mg_record_type_check",
        )
        assert set(base.__mapper__.polymorphic_map) == set(re.findall(r"'(\w+)'", check))


async def test_rows_written_through_the_mapping_get_the_database_s_defaults(database_dsn, db):
    engine = create_async_engine(database_dsn.replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with AsyncSession(engine) as session, session.begin():
            session.add(models.Customer(pass_id="pass:anon:new", verified_email=True))
            await session.flush()
            session.add(models.Generation(id="generation:g", pass_id="pass:anon:new", meta={"cost": 1}))
            session.add(models.Session(id="session:s", pass_id="pass:anon:new"))
            session.add(models.AppConfig(id="app_config:k.v1", value=["sand"]))
        async with AsyncSession(engine) as session:
            customer = await session.get_one(models.Customer, "pass:anon:new")
            assert (customer.credits, customer.verified_any, customer.meta, customer.topup_default_packs) == (
                0,
                True,
                {},
                3,
            )
            ids = await session.scalars(select(models.Generation.id).where(models.Generation.meta["cost"].as_integer() == 1))
            assert ids.all() == ["generation:g"]
    finally:
        await engine.dispose()


async def test_public_holds_the_three_tables_and_nothing_else(db):
    relations = await db.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind not in ('i', 't', 'c')"
    )
    assert {row["relname"] for row in relations} == TABLES
    assert not await db.fetchval("select exists (select from pg_proc where pronamespace = 'public'::regnamespace)")
    ops = await db.fetch("select relname from pg_class where relnamespace = 'ops'::regnamespace and relkind = 'r'")
    assert {"alembic_version", "pgqueuer", "pgqueuer_log"} <= {row["relname"] for row in ops}


async def test_row_level_security_is_on_without_a_policy_and_functions_are_shut(db):
    assert await db.fetchval("select count(*) from pg_class where relname = any($1) and relrowsecurity", TABLES) == 3
    assert not await db.fetchval("select exists (select from pg_policies)")
    functions = await db.fetch("""select proname, has_function_privilege('public', oid, 'execute') as open
        from pg_proc where pronamespace = 'ops'::regnamespace""")
    assert "guard_ledger_row" in {row["proname"] for row in functions}
    assert not [row["proname"] for row in functions if row["open"]]


@pytest_asyncio.fixture
async def supabase_dsn(postgres):
    """An empty database in which, as on Supabase, `anon` may do everything with new tables of `public`."""
    dsn = await postgres.create_database()
    connection = await asyncpg.connect(dsn)
    made = [
        role for role in ("anon", "authenticated") if not await connection.fetchval("select to_regrole($1) is not null", role)
    ]
    for role in made:
        await connection.execute(f"create role {role}")
    await connection.execute("alter default privileges in schema public grant all on tables to anon, authenticated")
    yield dsn
    await connection.execute("drop owned by anon, authenticated")
    for role in made:
        await connection.execute(f"drop role {role}")
    await connection.close()


async def test_supabase_s_open_roles_reach_nothing(supabase_dsn):
    await migrate(supabase_dsn)
    connection = await asyncpg.connect(supabase_dsn)
    try:
        for role in ("anon", "authenticated"):
            for table in TABLES:
                rights = "select, insert, update, delete, truncate, references, trigger"
                assert not await connection.fetchval("select has_table_privilege($1, $2, $3)", role, f"public.{table}", rights)
            assert not await connection.fetchval("select has_schema_privilege($1, 'ops', 'usage, create')", role)
    finally:
        await connection.close()


# ---------------------------------------------------------------- CHECKs


@pytest.mark.parametrize(
    ("record_type", "columns"),
    [
        ("session", {}),
        ("generation", {}),
        ("feedback", {}),
        ("credit_transaction", {}),
        ("mma_step", {}),
        *[
            ("mma_event", {"meta": f'{{"event_type": "{event}"}}'})
            for event in ("like", "dislike", "download", "preference_set", "create", "tweak", "feedback")
        ],
    ],
)
async def test_a_complete_row_is_accepted(db, record_type, columns):
    await insert(db, record_type, **columns)


@pytest.mark.parametrize(
    ("record_type", "columns"),
    [
        ("pass", {}),
        ("session", {"id": "1"}),
        ("session", {"id": "generation:1"}),
        ("credit_transaction", {"id": "creditXtransaction:1"}),
        *[("mma_step", {column: None}) for column in ("generation_id", "parent_id", "step_no", "step_type")],
        ("mma_step", {"parent_id": "generation:another"}),
        ("mma_step", {"step_no": -1}),
        ("mma_event", {"meta": "{}"}),
        ("mma_event", {"meta": '{"event_type": null}'}),
        ("mma_event", {"meta": '{"event_type": "unlike"}'}),
        *[("credit_transaction", {column: None}) for column in ("delta", "reason", "source", "ref_type", "ref_id")],
    ],
)
async def test_an_incomplete_or_misnamed_row_is_refused(db, record_type, columns):
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(db, record_type, **columns)


@pytest.mark.parametrize(("record_type", "name"), [("admin", "admin:1"), ("profile", "1"), ("profile", "admin_audit:1")])
async def test_an_admin_row_needs_a_known_type_and_its_prefix(db, record_type, name):
    await insert(db, "profile", "fine", table="mega_admin")
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(db, record_type, table="mega_admin", id=name)


async def test_a_balance_is_never_below_zero(db):
    with pytest.raises(asyncpg.CheckViolationError):
        await db.execute("update mega_customers set mg_credits = mg_credits - 1")


async def test_verified_any_follows_the_flags_and_is_never_written(db):
    await db.execute("update mega_customers set mg_verified_apple = true where mg_pass_id = $1", PASS)
    assert await db.fetchval("select array_agg(mg_verified_any order by mg_pass_id) from mega_customers") == [
        True,
        False,
    ]
    with pytest.raises(asyncpg.GeneratedAlwaysError):
        await db.execute("update mega_customers set mg_verified_any = true")


async def test_a_row_needs_its_pass_and_a_ledger_id_counts_once(db):
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await insert(db, "session", pass_id="pass:anon:nobody")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await insert(db, "profile", table="mega_admin", actor_pass_id="pass:anon:nobody")
    await insert(db, "credit_transaction", "charge:1")
    await insert(db, "credit_transaction", "refund:1")  # the same reference, as a charge and its refund have
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(db, "credit_transaction", "charge:1")


# ---------------------------------------------------------------- triggers


async def update(db, row, change, table="mega_generations"):
    return await db.execute(f"update {table} set {change} where mg_id = $1", row)


@pytest.mark.parametrize("record_type", ["credit_transaction", "mma_event", "feedback"])
@pytest.mark.parametrize("change", ["mg_deleted_at = now()", "mg_comment = 'x'", "mg_meta = mg_meta"])
async def test_insert_only_rows_take_no_update(db, record_type, change):
    row = await insert(db, record_type)
    with pytest.raises(asyncpg.RestrictViolationError, match="insert-only"):
        await update(db, row, change)


@pytest.mark.parametrize("ended", ["succeeded", "failed", "skipped"])
async def test_a_step_is_open_while_it_runs_and_frozen_from_then_on(db, ended):
    row = await insert(db, "mma_step", status="running")
    await update(db, row, """mg_payload = '{"output": {}}', mg_model = 'm'""")
    await update(db, row, f"mg_status = '{ended}', mg_latency_ms = 7")
    with pytest.raises(asyncpg.RestrictViolationError, match="step is frozen"):
        await update(db, row, "mg_status = 'running'")


@pytest.mark.parametrize("ended", ["done", "error"])
@pytest.mark.parametrize(
    "change",
    [
        "mg_prompt = 'x'",
        "mg_output_url = 'x'",
        "mg_output_key = null",
        """mg_meta = '{"cost": 0}'""",
        """mg_mma_vars = '{"statuses": []}'""",
        "mg_mma_status = 'generating'",
        "mg_status = 'pending'",
        "mg_error = 'INTERNAL'",
        "mg_provider = 'x'",
        "mg_model = 'x'",
    ],
)
async def test_a_generation_is_frozen_once_it_has_ended(db, ended, change):
    row = await insert(db, "generation", mma_status="generating", output_key="k", meta='{"cost": 1}')
    await update(db, row, f"mg_prompt = 'a mug', mg_mma_status = '{ended}'")
    with pytest.raises(asyncpg.RestrictViolationError, match="generation is frozen"):
        await update(db, row, change)


async def test_an_ended_generation_may_be_deleted_softly_and_restored(db):
    row = await insert(db, "generation", mma_status="done")
    assert await update(db, row, "mg_deleted_at = now()") == "UPDATE 1"
    assert await update(db, row, "mg_deleted_at = null") == "UPDATE 1"


@pytest.mark.parametrize("table", sorted(TABLES))
async def test_rows_are_never_deleted(db, table):
    await insert(db, "session")
    await insert(db, "profile", table="mega_admin")
    with pytest.raises(asyncpg.RestrictViolationError, match="never deleted"):
        await db.execute(f"delete from {table}")
    with pytest.raises(asyncpg.RestrictViolationError, match="never deleted"):
        await db.execute(f"truncate {table} cascade")


@pytest.mark.parametrize(
    "change", ["mg_id = 'session:2'", "mg_id = 'feedback:1', mg_record_type = 'feedback'", "mg_created_at = now()"]
)
async def test_what_names_a_ledger_row_never_changes(db, change):
    row = await insert(db, "session")
    with pytest.raises(asyncpg.RestrictViolationError, match="never change"):
        await update(db, row, change)


async def test_what_names_a_pass_or_an_admin_row_never_changes(db):
    row = await insert(db, "profile", table="mega_admin")
    for change in ("mg_id = 'profile:2'", "mg_created_at = now()"):
        with pytest.raises(asyncpg.RestrictViolationError, match="never change"):
            await update(db, row, change, "mega_admin")
    for change in ("mg_pass_id = 'pass:anon:new'", "mg_created_at = now()"):
        with pytest.raises(asyncpg.RestrictViolationError, match="never change"):
            await db.execute(f"update mega_customers set {change} where mg_pass_id = $1", PASS)


async def test_of_a_configuration_only_enabled_may_change(db):
    row = await insert(db, "app_config", "k.v1", table="mega_admin", value="1", meta='{"enabled": true, "by": "seed"}')
    await update(db, row, """mg_meta = mg_meta || '{"enabled": false}'""", "mega_admin")
    for change in ("mg_value = '2'", "mg_deleted_at = now()", """mg_meta = '{"enabled": true}'"""):
        with pytest.raises(asyncpg.RestrictViolationError, match=r"only mg_meta\.enabled"):
            await update(db, row, change, "mega_admin")
    knobs = await insert(db, "runtime_config", table="mega_admin")
    assert await update(db, knobs, "mg_runtime_flat = '{}'", "mega_admin") == "UPDATE 1"


@pytest.mark.parametrize(("table", "key"), [("mega_customers", "pass_id"), ("mega_generations", "id"), ("mega_admin", "id")])
async def test_updated_at_is_the_time_of_the_update_whatever_is_written(db, table, key):
    await insert(db, "session")
    await insert(db, "profile", table="mega_admin")
    async with db.transaction():
        times = await db.fetch(f"update {table} set mg_updated_at = '2001-01-01Z' returning mg_created_at, mg_updated_at, now()")
    assert all(created < begun < updated for created, updated, begun in times)


async def test_rows_of_one_transaction_are_created_in_their_order(db):
    async with db.transaction():
        for n in range(3):
            await insert(db, "session", str(n))
    times = [row["mg_created_at"] for row in await db.fetch("select mg_created_at from mega_generations order by mg_id")]
    assert times == sorted(set(times))
    assert len(times) == 3


# ---------------------------------------------------------------- the two doors


async def opened(db, door, row, change):
    async with db.transaction():
        await db.execute("select set_config('mina.maintenance', $1, true)", door)
        return await update(db, row, change)


ROWS = {
    "feedback": {"comment": "nice"},
    "mma_event": {},
    "mma_step": {"status": "failed"},
    "generation": {"mma_status": "done"},
    "session": {},
}


@pytest.mark.parametrize("record_type", ROWS)
async def test_a_merge_gives_rows_to_another_pass_and_only_a_merge_does(db, record_type):
    row = await insert(db, record_type, **ROWS[record_type])
    pointed = f"mg_pass_id = '{OTHER}', mg_meta = mg_meta || '{{\"orig_pass_id\": \"{PASS}\"}}'"
    with pytest.raises(asyncpg.RestrictViolationError):
        await update(db, row, pointed)
    assert await opened(db, "merge", row, pointed) == "UPDATE 1"
    with pytest.raises(asyncpg.RestrictViolationError):
        await opened(db, "merge", row, f"mg_pass_id = '{PASS}', mg_prompt = 'slipped in'")


async def test_money_stays_with_its_pass_even_in_a_merge(db):
    row = await insert(db, "credit_transaction")
    with pytest.raises(asyncpg.RestrictViolationError):
        await opened(db, "merge", row, f"mg_pass_id = '{OTHER}'")


async def test_an_erasure_takes_personal_text_away(db):
    facts = '{"cost": 1, "by": "a person"}'
    row = await insert(
        db,
        "generation",
        mma_status="done",
        prompt="my face",
        meta=facts,
        mma_vars='{"inputs": {"brief": "b", "ratio": "1:1"}}',
    )
    change = """mg_prompt = null, mg_meta = mg_meta - 'by', mg_deleted_at = now(),
        mg_mma_vars = jsonb_set(mg_mma_vars, '{inputs,brief}', 'null')"""
    assert await opened(db, "erase", row, change) == "UPDATE 1"
    said = await insert(db, "feedback", comment="call me")
    assert await opened(db, "erase", said, "mg_comment = null") == "UPDATE 1"


@pytest.mark.parametrize(
    "change",
    [
        "mg_prompt = 'another'",
        """mg_mma_vars = '{"inputs": {"brief": "another"}}'""",
        "mg_meta = mg_meta - 'cost'",
        "mg_mma_status = 'error'",
        "mg_provider = null",
        f"mg_pass_id = '{OTHER}'",
    ],
)
async def test_an_erasure_forges_nothing(db, change):
    row = await insert(
        db,
        "generation",
        mma_status="done",
        prompt="p",
        provider="kling",
        meta='{"cost": 1}',
        mma_vars='{"inputs": {"brief": "b"}}',
    )
    with pytest.raises(asyncpg.RestrictViolationError):
        await opened(db, "erase", row, change)


# ---------------------------------------------------------------- indexes and the seed's queries


async def test_the_indexes_of_the_seeds_are_there_and_the_map_s_covers_finished_generations_only(db):
    seeds = (FIXTURES / "seed_000.sql").read_text() + (FIXTURES / "seed_002_patch.sql").read_text()
    named = set(re.findall(r"index if not exists (\w+)", seeds))
    indexes = {
        row["indexname"]: row["indexdef"]
        for row in await db.fetch("select indexname, indexdef from pg_indexes where schemaname = 'public'")
    }
    assert len(named) == 12
    assert named <= set(indexes)
    assert "WHERE ((mg_record_type = 'generation'::text) AND (mg_mma_status = ANY" in indexes["mega_generations_mma_vars_gin"]


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (
            """select mg_id from mega_generations
            where mg_pass_id = 'p' and mg_record_type = 'mma_event' and mg_deleted_at is null
            and (mg_created_at, mg_id) < (now(), 'mma_event:x') order by mg_created_at desc, mg_id desc limit 20""",
            "mega_generations_keyset",
        ),
        (
            """select mg_id from mega_generations
            where mg_record_type = 'generation' and mg_mma_status not in ('done', 'error') order by mg_created_at""",
            "mega_generations_in_flight",
        ),
        (
            """select mg_id from mega_generations
            where mg_generation_id = 'g' and mg_record_type = 'mma_step' order by mg_step_no""",
            "mega_generations_generation_recordtype_stepno",
        ),
    ],
)
async def test_pages_work_in_flight_and_steps_are_read_in_order_from_an_index(db, sql, index):
    async with db.transaction():
        await db.execute("set local enable_seqscan = off; set local enable_bitmapscan = off")
        plan = "\n".join(row[0] for row in await db.fetch("explain (costs off) " + sql))
    assert index in plan
    assert "Sort" not in plan


async def test_the_sanity_queries_of_seed_002_give_right_answers(db):
    start = datetime(2025, 12, 19, tzinfo=UTC)
    for n, name in enumerate(("old", "new")):
        await insert(
            db,
            "generation",
            name,
            type="image",
            provider="seedream",
            mma_mode="still",
            mma_status="done",
            created_at=start + timedelta(n),
        )
    await insert(db, "generation", "theirs", pass_id=OTHER)
    for n in (1, 0):
        await insert(db, "mma_step", f"{GENERATION}:{n}", step_no=n, payload=f'{{"n": {n}}}', status="succeeded")
    await insert(db, "mma_event", generation_id=GENERATION)
    await insert(db, "credit_transaction", "a", delta=9)
    await insert(db, "credit_transaction", "b", delta=-2)
    await db.execute("update mega_customers set mg_credits = 7 where mg_pass_id = $1", PASS)

    latest = """select mg_id, mg_created_at, mg_type, mg_provider, mg_output_url, mg_mma_mode, mg_mma_status
from public.mega_generations
where mg_pass_id = $1
  and mg_record_type = 'generation'
order by mg_created_at desc
limit 50;"""
    rows = await db.fetch(latest, PASS)
    assert [(r["mg_id"], r["mg_mma_status"]) for r in rows] == [("generation:new", "done"), ("generation:old", "done")]
    steps = """select mg_step_no, mg_step_type, mg_created_at, mg_payload
from public.mega_generations
where mg_record_type='mma_step'
  and mg_generation_id = $1
order by mg_step_no asc;"""
    assert [(r["mg_step_no"], r["mg_payload"]) for r in await db.fetch(steps, GENERATION)] == [
        (0, '{"n": 0}'),
        (1, '{"n": 1}'),
    ]
    events = """select mg_created_at, mg_meta
from public.mega_generations
where mg_pass_id = $1
  and mg_record_type='mma_event'
order by mg_created_at desc
limit 100;"""
    assert [r["mg_meta"] for r in await db.fetch(events, PASS)] == ['{"event_type": "like"}']
    money = """select
  c.mg_pass_id,
  c.mg_credits as current_credits,
  coalesce(sum(g.mg_delta), 0) as ledger_sum
from public.mega_customers c
left join public.mega_generations g
  on g.mg_pass_id = c.mg_pass_id
 and g.mg_record_type = 'credit_transaction'
where c.mg_pass_id = $1
group by c.mg_pass_id, c.mg_credits;"""
    assert [tuple(r) for r in await db.fetch(money, PASS)] == [(PASS, 7, 7)]
    assert [tuple(r) for r in await db.fetch(money, OTHER)] == [(OTHER, 0, 0)]


# ---------------------------------------------------------------- migrating


def jobs(connection):
    return Queries(AsyncpgDriver(connection), qbe=QueryBuilderEnvironment(DBSettings(db_schema="ops")))


async def test_processes_that_start_at_once_migrate_once(postgres):
    dsn = await postgres.create_database()
    reports = await asyncio.gather(*(migrate(dsn) for _ in range(4)))
    assert sorted(report.from_revision or "" for report in reports) == ["", *[head()] * 3]
    assert {report.to_revision for report in reports} == {head()}


async def test_after_the_script_there_is_nothing_left_to_migrate(postgres):
    dsn = await postgres.create_database()
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(script())
        assert (await jobs(connection).plan_upgrade()).statements == ()
        report = await migrate(dsn)
    finally:
        await connection.close()
    assert (report.from_revision, report.to_revision, report.notices) == (head(), head(), [])


async def test_the_script_refuses_a_database_of_a_later_version(db):
    await db.execute("update ops.alembic_version set version_num = '9999'")
    with pytest.raises(asyncpg.RaiseError, match="newer than this script"):
        await db.execute(script())


def test_the_script_is_kept_for_supabase():
    kept = ROOT / "supabase" / "mega_tables.sql"
    assert kept.read_text(encoding="utf-8") == script(), "write it anew: mina migrate --sql > supabase/mega_tables.sql"


def test_an_installed_wheel_brings_its_migrations(tmp_path):
    shutil.copytree(ROOT / "mina_gql", tmp_path / "mina_gql", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "alembic", tmp_path / "mina_gql" / "_alembic")  # as pyproject's force-include does
    code = "import sys; from mina_gql.mega import migrations; sys.stdout.write(migrations.script())"
    printed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, encoding="utf-8").stdout
    assert printed == script()
