"""Adopting a database made by seed 000's SQL, with or without seed 002's patch: nothing is lost, and all is told."""

import json
from hashlib import md5
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from mina_gql.mega.migrations import migrate, script

FIXTURES = Path(__file__).parent / "fixtures"
SEEDS = {
    "seed 000": ("seed_000", "legacy_rows"),
    "with the patch of 002": ("seed_000", "seed_002_patch", "legacy_rows"),
    "patched after it was filled": ("seed_000", "legacy_rows", "seed_002_patch"),
    "with steps": ("seed_000", "seed_002_patch", "legacy_rows", "legacy_steps"),
}
BEARER = "pass:anon:11111111-1111-4111-8111-111111111111"
ULID = "pass_01J9ZX3T5K7M9P1Q3S5V7X9Z1B"
OVERDRAWN = "pass:anon:22222222-2222-4222-8222-222222222222"
PREFIXED = {
    "sess_1": "session:sess_1",
    "100%_off": "feedback:100%_off",
    "session:looks like one": "feedback:session:looks like one",
    "creditXtransaction:5": "credit_transaction:creditXtransaction:5",
    "1": "runtime_config:1",
    "profile-7": "profile:profile-7",
    "g1:0": "mma_step:g1:0",
}
MENDED = {
    "credit_transaction:bare": {
        "mg_reason": "adjustment",
        "mg_source": "legacy",
        "mg_ref_type": "legacy",
        "mg_ref_id": "bare",
    },
    "mma_step:g1:0": {"mg_parent_id": "generation:g1"},
}
ADJUSTED = {
    BEARER: 9,
    OVERDRAWN: 4,
    "pass:anon:33333333-3333-1333-8333-333333333333": 5,
    "pass:user:55555555-5555-4555-8555-555555555555": -7,
    "made up by hand": 3,
}
SCHEMA = """
select 'relation' as kind, c.oid::regclass::text as name,
  c.relrowsecurity::text || coalesce(c.relacl::text, '') as definition
  from pg_class c where relnamespace in ('public'::regnamespace, 'ops'::regnamespace) and relkind in ('r', 'S')
union all select 'column', table_schema || '.' || table_name || '.' || column_name,
  concat_ws(' ', ordinal_position, data_type, is_nullable, column_default, generation_expression)
  from information_schema.columns where table_schema in ('public', 'ops')
union all select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
  from pg_constraint where connamespace in ('public'::regnamespace, 'ops'::regnamespace)
union all select 'index', indexname, indexdef from pg_indexes where schemaname in ('public', 'ops')
union all select 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid)
  from pg_trigger where not tgisinternal
union all select 'function', oid::regprocedure::text, pg_get_functiondef(oid) || coalesce(proacl::text, '')
  from pg_proc where pronamespace in ('public'::regnamespace, 'ops'::regnamespace)
order by 1, 2"""
TABLES = {"mega_customers": "mg_pass_id", "mega_generations": "mg_id", "mega_admin": "mg_id"}


async def rows(connection):
    """All rows of the three tables, by table and key."""
    found = {}
    for table, key in TABLES.items():
        found |= {(table, row[key]): dict(row) for row in await connection.fetch(f"select * from {table} order by {key}")}
    return found


async def picture(connection):
    """Everything there is: the schema's definitions and the rows, times included."""
    return [tuple(row) for row in await connection.fetch(SCHEMA)], await rows(connection)


async def opened(postgres, names):
    dsn = await postgres.create_database()
    connection = await asyncpg.connect(dsn)
    for name in names:
        await connection.execute((FIXTURES / f"{name}.sql").read_text())
    return dsn, connection


@pytest_asyncio.fixture(params=SEEDS)
async def legacy(request, postgres):
    """The DSN of a database as the seeds leave it, with awkward rows, and a connection to it."""
    dsn, connection = await opened(postgres, SEEDS[request.param])
    yield dsn, connection
    await connection.close()


async def test_rows_are_kept_but_for_what_is_mended(legacy):
    dsn, connection = legacy
    before = await rows(connection)
    await migrate(dsn)
    after = await rows(connection)
    for (table, key), was in before.items():
        row = after[table, PREFIXED.get(key, key)]
        expected = was | MENDED.get(PREFIXED.get(key, key), {})
        if table == "mega_customers":
            minted = {"kept": "é ✓", "minted": True} if key == BEARER else {"minted": True}
            expected |= {"mg_credits": max(was["mg_credits"], 0)}
            assert json.loads(row.pop("mg_meta")) == (minted if key in {BEARER, ULID} else json.loads(was["mg_meta"]))
            expected.pop("mg_meta")
        else:
            expected |= {"mg_id": PREFIXED.get(key, key)}
        assert {column: row[column] for column in expected} == expected
    assert len(after) == len(before) + len(ADJUSTED)


async def test_unequal_money_is_closed_by_one_adjustment_a_pass(legacy):
    dsn, connection = legacy
    await migrate(dsn)
    adjustments = await connection.fetch("select * from mega_generations where mg_source = 'adoption'")
    assert {row["mg_pass_id"]: row["mg_delta"] for row in adjustments} == ADJUSTED
    for row in adjustments:
        assert row["mg_id"] == f"credit_transaction:adjust:adoption:{md5(row['mg_pass_id'].encode()).hexdigest()}"
        assert row["mg_reason"] == "adjustment"
    wrong = """select mg_pass_id from mega_customers c where mg_credits <> (
      select coalesce(sum(mg_delta), 0) from mega_generations g
      where g.mg_pass_id = c.mg_pass_id and mg_record_type = 'credit_transaction')"""
    assert await connection.fetch(wrong) == []


async def test_every_change_is_told_and_no_pass_id_with_it(legacy):
    dsn, connection = legacy
    before = await rows(connection)
    told = "\n".join((await migrate(dsn)).notices)
    for key, prefixed in PREFIXED.items():
        assert (prefixed in told) == (key in {name for _, name in before})
    for pass_id, delta in ADJUSTED.items():
        assert f"adjustment of {delta}: Pass {md5(pass_id.encode()).hexdigest()}" in told
    assert f"balance raised from -4 to 0: Pass {md5(OVERDRAWN.encode()).hexdigest()}" in told
    assert {line.split()[-1] for line in told.splitlines() if "minted" in line} == {
        md5(p.encode()).hexdigest() for p in (BEARER, ULID)
    }
    assert "filled in: credit_transaction:bare" in told
    assert not [key for table, key in before if table == "mega_customers" and key in told]
    assert (await migrate(dsn)).notices == []


async def test_an_adopted_database_has_what_a_fresh_one_has(legacy, database_dsn):
    dsn, connection = legacy
    await migrate(dsn)
    fresh = await asyncpg.connect(database_dsn)
    try:
        # Columns were added at the end, so their order differs; the roles of the two servers are the same.
        assert without_places(await connection.fetch(SCHEMA)) == without_places(await fresh.fetch(SCHEMA))
    finally:
        await fresh.close()


def without_places(definitions):
    return [(kind, name, text.split(" ", 1)[1] if kind == "column" else text) for kind, name, text in definitions]


async def test_migrating_and_running_the_script_again_change_nothing(legacy):
    dsn, connection = legacy
    await migrate(dsn)
    adopted = await picture(connection)
    await migrate(dsn)
    for _ in range(2):
        await connection.execute(script())
    assert await picture(connection) == adopted


async def test_the_script_adopts_as_migrate_does(legacy, postgres, request):
    dsn, connection = legacy
    _, twin = await opened(postgres, SEEDS[request.node.callspec.params["legacy"]])
    try:
        for _ in range(2):
            await twin.execute(script())
        await migrate(dsn)
        (schema, kept), (twin_schema, twin_kept) = await picture(connection), await picture(twin)
    finally:
        await twin.close()
    assert twin_schema == schema
    assert set(twin_kept) == set(kept)


async def test_an_erased_pass_does_not_become_a_bearer_s_when_the_script_runs_again(legacy):
    dsn, connection = legacy
    await migrate(dsn)
    erased = "pass:anon:77777777-7777-4777-8777-777777777777"
    await connection.execute("insert into mega_customers (mg_pass_id) values ($1)", erased)
    await connection.execute(script())
    assert await connection.fetchval("select mg_meta from mega_customers where mg_pass_id = $1", erased) == "{}"


@pytest.mark.parametrize("run", ["migrate", "script"])
async def test_a_taken_id_is_told_and_nothing_is_changed(postgres, run):
    dsn, connection = await opened(postgres, SEEDS["seed 000"])
    try:
        await connection.execute(
            "insert into mega_generations (mg_id, mg_record_type, mg_pass_id) values ('session:sess_1', 'session', $1)",
            BEARER,
        )
        before = await rows(connection)
        with pytest.raises(asyncpg.UniqueViolationError, match="sess_1 of type session") as refused:
            await (migrate(dsn) if run == "migrate" else connection.execute(script()))
        assert "Rename or remove" in refused.value.hint
        await connection.execute("rollback")
        assert await rows(connection) == before
        assert await connection.fetchval("select to_regclass('ops.pgqueuer')") is None
    finally:
        await connection.close()


async def test_a_trigger_function_that_others_use_is_left_to_them(postgres):
    dsn, connection = await opened(postgres, ("seed_000",))
    try:
        await connection.execute(
            """create table theirs (mg_updated_at timestamptz);
            create trigger t before update on theirs for each row execute function public.mega_set_updated_at()"""
        )
        await migrate(dsn)
        assert await connection.fetchval("select to_regprocedure('public.mega_set_updated_at()') is not null")
    finally:
        await connection.close()
