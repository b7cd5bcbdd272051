"""A backfill of awkward tables: nothing is lost, nothing is doubled, the books add up at every instant (FEATURES DB11)."""

import asyncio
import signal
from collections import Counter
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from mina_gql.domain.passes import Login, PassState
from mina_gql.domain.pipeline import GenerationKind, GenerationStatus
from mina_gql.domain.taste import rebuild
from mina_gql.mega.backfill import LEDGER, BackfillStopped, LegacyAway, Target
from mina_gql.mega.generations import events, purchases
from mina_gql.mega.generations.archive import FROM_VARS
from mina_gql.mega.pages import PageRequest
from mina_gql.services.backfill import NothingToBackfill
from tests.backfill.legacy_world import (
    ANN,
    AWKWARD,
    BEARER,
    LEGACY_ROWS,
    MANY,
    ULID,
    UNBALANCED,
    backfill,
    backfilling,
    execute,
    legacy_database,
    picture,
)
from tests.studio import ADDRESS, Caller

ROWS = {
    "customer": 11, "credit_transaction": 9, "session": 6, "generation": 7, "feedback": 5, "mma_event": 5,
    "admin_session": 2, "admin_audit": 2, "profile": 1, "runtime_config": 1, "app_config": 2,
}  # fmt: skip
ALL_BUT_TASTE = "feedback: 1,200 of"
ORIGINALS = {
    "generations": "generation", "feedback": "feedback", "admin_audit": "admin_audit", "profiles": "profile",
    "runtime_config": "runtime_config", "app_config": "app_config",
}  # fmt: skip


@pytest.fixture
async def legacy(postgres):
    async with legacy_database(postgres) as dsn:
        yield dsn


@pytest.fixture
async def backfilled(studio, legacy):
    report = await backfill(studio.mina.dsn, legacy)
    return studio, report


async def balances(studio) -> dict[str, int]:
    return dict(await studio.sql.fetch("select mg_pass_id, mg_credits from mega_customers"))


async def test_every_legacy_row_is_there_with_its_original(backfilled, legacy):
    """DB11: counts equal, the whole row in mg_payload, mg_source_system set."""
    studio, report = backfilled
    assert dict(await studio.sql.fetch(LEGACY_ROWS)) == ROWS
    assert {table.name: (table.read, table.left_out) for table in report.tables.values()} == {
        table.name: (table.written, 0) for table in report.tables.values()
    }
    source = await asyncpg.connect(legacy, server_settings={"timezone": "UTC"})
    kept = await studio.sql.fetch(
        "select mg_record_type, mg_payload from mega_generations where mg_source_system = 'legacy' union all "
        "select mg_record_type, mg_payload from mega_admin where mg_source_system = 'legacy'"
    )
    for table, record_type in ORIGINALS.items():
        was = Counter(await source.fetchval(f"select array_agg(to_jsonb(t)::text) from {table} t"))
        assert Counter(row["mg_payload"] for row in kept if row["mg_record_type"] == record_type) == was
    await source.close()
    ann = orjson.loads(await studio.sql.fetchval("select mg_meta from mega_customers where mg_pass_id = $1", ANN))["legacy"]
    assert ann["row"]["display_name"] == "Ann 🍵"
    assert ann["row"]["extra"] == {"note": "\ufffd and 🍵", "half": "\ufffd"}


async def test_pass_ids_follow_the_rule(backfilled):
    """A5, A6: shopify > user > anonymous; ids that people hold stay, and are marked as minted where nothing links them."""
    studio, _ = backfilled
    rows = {row["mg_pass_id"]: row for row in await studio.sql.fetch("select * from mega_customers")}
    assert {
        ANN,
        "pass:shopify:7002",
        "pass:shopify:7004",
        "pass:user:55555555-5555-4555-8555-555555555555",
        ULID,
        BEARER,
    } <= rows.keys()
    assert rows[ANN]["mg_user_id"] == UUID("11111111-1111-4111-8111-111111111111")
    minted = {id_ for id_, row in rows.items() if orjson.loads(row["mg_meta"]).get("minted")}
    unlinked = {
        id_ for id_, row in rows.items()
        if not (row["mg_user_id"] or row["mg_shopify_customer_id"] or row["mg_email"] or row["mg_deleted_at"])
    }  # fmt: skip
    assert minted == unlinked >= {ULID, BEARER}
    for held in (ULID, BEARER):
        proven = await studio.passes.prove(held, None)
        assert proven is not None and proven.state is PassState.BEARER
    assert await studio.passes.prove("pass:shopify:7002", None) is None


async def test_two_rows_of_one_person_share_a_pass(backfilled):
    """Duplicates: the surer row is the Pass, the other one its alias, and the matcha of both is there."""
    studio, report = backfilled
    alias = await studio.sql.fetchrow("select * from mega_customers where mg_pass_id like 'pass:user:1111%'")
    assert orjson.loads(alias["mg_meta"])["merged_into"] == ANN
    assert alias["mg_deleted_at"] is not None
    assert (await balances(studio))[ANN] == 15
    assert report.tables["customers"].remarks.counts["the same person as another row, merged into its Pass"] == 1
    assert (await studio.sql.fetchval("select mg_expires_at from mega_customers where mg_pass_id = $1", ANN)).year == 2031


async def test_books_add_up_whatever_the_old_tables_said(backfilled):
    """DESIGN 5: sum(mg_delta) == mg_credits >= 0; what disagreed is closed by an adjustment that the report lists."""
    studio, report = backfilled
    assert await studio.sql.fetch(UNBALANCED) == []
    assert await studio.credits.mismatches() == []
    found = await balances(studio)
    assert {id_: found[id_] for id_ in (ANN, "pass:shopify:7002", "pass:shopify:9002", ULID, BEARER, "pass:shopify:7004")} == {
        ANN: 15, "pass:shopify:7002": 0, "pass:shopify:9002": 30, ULID: 1, BEARER: 4, "pass:shopify:7004": 7,
    }  # fmt: skip
    adjusted = await studio.sql.fetch("select mg_delta, mg_ref_id from mega_generations where mg_source_system = 'backfill'")
    assert sorted(row["mg_delta"] for row in adjusted) == sorted(delta for _, delta in report.adjustments)
    assert not any("pass" in row["mg_ref_id"] for row in adjusted)


async def test_books_add_up_at_every_instant(postgres, studio):
    """DESIGN 5: whoever looks while it runs finds every balance to be the sum of its ledger."""
    async with legacy_database(postgres, MANY.format(n=6_000)) as legacy:
        running = asyncio.create_task(backfill(studio.mina.dsn, legacy))
        seen = set()
        while not running.done():
            assert await studio.sql.fetch(UNBALANCED) == []
            seen.add(await studio.sql.fetchval("select count(*) from mega_customers"))
        assert (await running).changed == 6_000
    assert len(seen) > 1  # it was looked at in the middle


async def test_run_again_changes_nothing(backfilled, legacy):
    """DB11: a second run finds every row, and not a byte is another."""
    studio, _ = backfilled
    before = await picture(studio.sql)
    again = await backfill(studio.mina.dsn, legacy)
    assert await picture(studio.sql) == before
    assert again.changed == again.adjusted == again.learners == 0
    assert all(table.present == table.read for table in again.tables.values())


async def test_dry_run_writes_nothing_and_counts_the_same(studio, legacy):
    """A dry run tells what the run will do."""
    before = await picture(studio.sql)
    planned = await backfill(studio.mina.dsn, legacy, dry_run=True)
    assert await picture(studio.sql) == before
    done = await backfill(studio.mina.dsn, legacy)
    assert planned.tables == done.tables
    assert (planned.orphans, sorted(planned.adjustments)) == (done.orphans, sorted(done.adjustments))


async def test_generations_are_readable_in_the_archive(backfilled):
    """DB11: status, kind, prompt and output stand where the archive looks; what is under way nowhere is not shown as such."""
    studio, _ = backfilled
    page = await studio.archive.page(ANN, PageRequest(50), FROM_VARS)
    made = {row.generation_id: row for row in page.rows}
    assert made.keys() == {"g-1", "g-2", "generation:g-7"}
    still = made["g-1"]
    assert (still.kind, still.status, still.ratio, still.brief, still.style) == ("still", "done", "3:4", "A cup", "minimal")
    assert (still.prompt, still.output_url, still.latency_ms) == (
        "Soft light on travertine 🍵",
        "https://cdn.example.com/a.png",
        1235,
    )
    clip = made["g-2"]
    assert (clip.kind, clip.status, clip.output_url) == (GenerationKind.VIDEO, "done", "https://cdn.example.com/b.mp4")
    assert clip.created_at == "2024-03-01 06:06:00+00"
    own = await studio.generations.own(ANN, "generation:g-1")
    assert own is not None and own.id == "generation:g-1"
    waiting = await studio.generations.own("pass:shopify:9001", "g-3")
    assert waiting.status == GenerationStatus.ERROR
    assert [event.final async for event in studio.progress.follow(ANN, "g-1", 0)] == [True]


async def test_likes_teach_and_words_are_kept(backfilled):
    """M7, M5: a like is an event that taste reads, words are feedback; the snapshot is what the events add up to."""
    studio, _ = backfilled
    history = await studio.taste.history(ANN, vision_intelligence=True)
    assert history.pictures == ["https://cdn.example.com/a.png"]
    assert history.tag_weights["travertine"] == 1.0
    assert await studio.taste.liked(["g-1", "g-6"]) == {"g-1": True}
    signals = [
        events.signal_of(events.EventRow(*row)) for row in await studio.mina.database.fetch(events.SIGNALS, pass_ids=[ANN])
    ]
    snapshot = orjson.loads(await studio.sql.fetchval("select mg_mma_preferences from mega_customers where mg_pass_id = $1", ANN))
    assert snapshot == rebuild(signals)._asdict()
    comment = await studio.sql.fetchrow("select mg_comment, mg_generation_id from mega_generations where mg_id = 'feedback:2'")
    assert tuple(comment) == ("Slower, please", "g-2")


async def test_rows_of_nobody_get_a_pass_and_a_visit_keeps_together(backfilled):
    """Orphans: by the id they name, else by their visit; nobody else's archive has them."""
    studio, report = backfilled
    owner = dict(await studio.sql.fetch("select mg_id, mg_pass_id from mega_generations"))
    assert owner["session:s-2"] == owner["generation:g-3"] == "pass:shopify:9001"
    assert owner["session:s-3"] == owner["generation:g-4"] != owner["generation:g-5"]
    assert owner["credit_transaction:c0000000-0000-4000-8000-000000000005"] == "pass:shopify:9002"
    assert report.orphans == 6


async def test_admin_rows_are_readable_and_none_is_in_force(backfilled):
    """P9, P8: profiles and audits are kept; old knobs and contexts change nothing, and no raw token is carried over."""
    studio, report = backfilled
    rows = {row["mg_id"]: row for row in await studio.sql.fetch("select * from mega_admin where mg_source_system = 'legacy'")}
    profile = rows["profile:11111111-1111-4111-8111-111111111111"]
    assert (profile["mg_profile_id"], profile["mg_actor_pass_id"]) == (UUID("11111111-1111-4111-8111-111111111111"), ANN)
    assert rows["admin_audit:d0000000-0000-4000-8000-000000000001"]["mg_actor_pass_id"] == ANN
    assert "a raw token" not in str([tuple(row) for row in rows.values()])
    studio.config._read_at = float("-inf")
    assert (await studio.config.runtime()).values["price.create"] == 1
    assert (await studio.config.context("gpt_reader")).version == 1
    assert report.tables["runtime_config"].remarks.counts.total() == 1


async def test_orders_of_before_are_not_credited_again(backfilled):
    """DESIGN 5: an order that the old studio credited is known by its number."""
    studio, _ = backfilled
    async with studio.mina.database.begin() as session:
        assert await purchases.booked_elsewhere(session, "5551234567")


async def test_who_came_to_mina_first_keeps_their_pass(studio, legacy):
    """A Pass that stands takes its person's old rows and matcha in; its id stays."""
    ann = Login("11111111-1111-4111-8111-111111111111", "ann@example.com", True, True, False, "google", False, 2e9)
    person = await studio.person(5)
    mine = (await studio.passes.ensure(Caller(person.pass_id, ADDRESS, login=ann, presented=person.pass_id))).owner
    await backfill(studio.mina.dsn, legacy)
    assert (await balances(studio))[mine.id] == 5 + 15
    assert await studio.sql.fetchval("select mg_pass_id from mega_generations where mg_id = 'generation:g-1'") == mine.id
    merged = await studio.sql.fetch(
        "select mg_meta ->> 'merged_into' from mega_customers where mg_pass_id like any ($1)", [ANN, "pass:user:1%"]
    )
    assert {row[0] for row in merged} == {mine.id}
    assert await studio.sql.fetch(UNBALANCED) == []
    before = await picture(studio.sql)
    await backfill(studio.mina.dsn, legacy)
    assert await picture(studio.sql) == before


async def test_what_was_erased_does_not_come_back(backfilled, legacy):
    """DESIGN 3: a person who had their account deleted stays gone, however often a backfill runs."""
    studio, _ = backfilled
    await studio.accounts.delete(await studio.seen(ULID), "DELETE")
    await execute(legacy, f"insert into generations (id, customer_id, prompt) values ('new', '{ULID}', 'secret words')")
    before = await picture(studio.sql)
    again = await backfill(studio.mina.dsn, legacy)
    assert await picture(studio.sql) == before
    assert again.tables["generations"].skipped.counts["of a Pass that was erased"] == 1


async def test_rows_that_come_later_are_added_to_the_books(backfilled, legacy):
    """A run before the cutover and one after it: what moved in between moves the balance, never below 0."""
    studio, _ = backfilled
    await execute(
        legacy,
        "insert into credit_transactions (id, shopify_customer_id, delta, reason) values "
        "(gen_random_uuid(), '7001', 20, 'top-up'), (gen_random_uuid(), '7004', -100, 'image')",
    )
    again = await backfill(studio.mina.dsn, legacy)
    found = await balances(studio)
    assert (found[ANN], found["pass:shopify:7004"]) == (35, 0)
    assert (again.changed, again.adjusted_by) == (2, 93)
    assert await studio.sql.fetch(UNBALANCED) == []


async def test_old_tables_may_lie_beside_the_new_ones(studio):
    """Supabase: one database for both."""
    await execute(studio.mina.dsn, AWKWARD)
    await backfill(studio.mina.dsn, studio.mina.dsn)
    assert dict(await studio.sql.fetch(LEGACY_ROWS)) == ROWS
    assert await studio.sql.fetchval("select count(*) from customers") == ROWS["customer"]


async def test_a_right_that_is_missing_is_told(studio, legacy):
    """A role that may not read a table stops the run with a sentence, and nothing was written."""
    role, before = f"reader_{uuid4().hex}", await picture(studio.sql)
    await execute(legacy, f"create role {role} login password 'reads'")
    reader = urlsplit(legacy)
    address = reader._replace(netloc=f"{role}:reads@{reader.hostname}:{reader.port}").geturl()
    with pytest.raises(BackfillStopped, match="permission denied"):
        await backfill(studio.mina.dsn, address)
    assert await picture(studio.sql) == before


async def test_missing_tables_and_columns_are_no_fault(postgres, studio):
    """Tolerant: a table of ids alone is brought in, and those that are not there are named."""
    async with legacy_database(
        postgres, "create table generations (id int); insert into generations values (1), (null), (1)"
    ) as legacy:
        report = await backfill(studio.mina.dsn, legacy)
    assert report.changed == 3
    assert "customers" in report.missing
    async with legacy_database(postgres, "create table other (id int)") as legacy:
        with pytest.raises(NothingToBackfill):
            await backfill(studio.mina.dsn, legacy)


async def test_a_row_the_database_refuses_takes_no_other_with_it(studio):
    """Robust: what breaks a rule of the tables is given back with why, its neighbours are written."""
    person = await studio.person()
    rows = [
        {"id": f"session:{n}", "record_type": "session", "pass_id": person.pass_id, "source_system": "legacy"} for n in range(40)
    ]
    rows[7]["record_type"] = "feedback"
    async with Target.opened(studio.mina.dsn) as target, target.begin():
        refused = await target.insert(LEDGER, rows)
    assert [(each.row["id"], each.why) for each in refused] == [("session:7", "CheckViolationError")]
    assert (await studio.counts())["session"] == 39


async def test_a_number_beyond_jsonb_is_kept_as_text(postgres, studio):
    """Nothing is lost: what jsonb cannot hold stands there as text."""
    rows = "create table generations (id text primary key, meta json); insert into generations select i, '{}' from generate_series(1, 40) i;"
    async with legacy_database(postgres, rows + " update generations set meta = '{\"n\": 1e999999}' where id = '7'") as legacy:
        report = await backfill(studio.mina.dsn, legacy)
    assert (report.tables["generations"].written, report.tables["generations"].left_out) == (40, 0)
    kept = await studio.sql.fetchval("select mg_payload ->> 'text' from mega_generations where mg_id = 'generation:7'")
    assert orjson.loads(kept.replace("1e999999", "1")) == {"id": "7", "meta": {"n": 1}}


async def test_one_backfill_at_a_time_and_no_way_is_told(studio, legacy):
    """A second one waits for its turn by ending; an address that leads nowhere is not repeated in the message."""
    async with Target.opened(studio.mina.dsn):
        with pytest.raises(BackfillStopped):
            await backfill(studio.mina.dsn, legacy)
    with pytest.raises(LegacyAway) as away:
        await backfill(studio.mina.dsn, "postgresql://someone:secret@127.0.0.1:1/legacy")
    assert "secret" not in str(away.value)


@pytest.mark.crash
@pytest.mark.parametrize("moment", ["Passes and ledgers:", "generations:", ALL_BUT_TASTE])
async def test_killed_at_any_moment_it_goes_on(postgres, seeded, tmp_path, moment):
    """DB11: kill -9 of the real process leaves books that add up, and the next run brings the rest, once."""
    dsn = await postgres.create_database(seeded)
    async with legacy_database(postgres, MANY.format(n=12_000)) as legacy:
        async with backfilling(tmp_path, dsn, legacy) as first:
            await first.until(moment)
            first.kill()
            assert await first.ended() == -signal.SIGKILL or moment == ALL_BUT_TASTE  # there the end is near, and may come first
        sql = await asyncpg.connect(dsn)
        assert await sql.fetch(UNBALANCED) == []
        async with backfilling(tmp_path, dsn, legacy) as second:
            assert await second.ended() == 0, second.said
        assert await sql.fetch(UNBALANCED) == []
        rows = dict(await sql.fetch(LEGACY_ROWS))
        assert rows == {
            "customer": 1200, "session": 1200, "generation": 3600, "feedback": 1200, "mma_event": 1200, "credit_transaction": 4800,
        }  # fmt: skip
        before = await picture(sql)
        assert (await backfill(dsn, legacy)).changed == 0
        assert await picture(sql) == before
        await sql.close()
    await postgres.drop_database(dsn)


async def test_command_tells_no_pass(studio, legacy, tmp_path):
    """No Pass ID, e-mail or prompt in the output; it says what is next."""
    for arguments in (("--dry-run",), ()):
        async with backfilling(tmp_path, studio.mina.dsn, legacy, *arguments) as process:
            assert await process.ended() == 0, process.said
        assert "Next: " in process.said
        assert (
            "pass:" not in process.said
            and ULID not in process.said
            and "@" not in process.said
            and "travertine" not in process.said
        )
    assert dict(await studio.sql.fetch(LEGACY_ROWS)) == ROWS
