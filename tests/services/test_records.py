"""What is written is written in UTC, and never into the generated column (FEATURES DB15, A16)."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from mina_gql.domain.errors import GenerationFailed
from mina_gql.mega.database import decode
from mina_gql.mega.generations.archive import FROM_VARS
from mina_gql.mega.pages import PageRequest
from mina_gql.services.sessions import NewSession
from tests.studio import BRIEF, NOBODY, Studio, opened

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\+00")


async def a_day(studio: Studio) -> str:
    """One person's day: a visit, an order that fails, an order that waits; their Pass ID."""
    await studio.knobs(credits_free_grant=5, credits_grant_every_pass=True)
    caller = await studio.seen((await studio.passes.ensure(NOBODY)).owner.id)
    visit = await studio.sessions.start(caller, NewSession())
    failed = await studio.orders.create(caller, replace(BRIEF, session_id=visit.id))
    await studio.mina.endings.fail(failed.generation.id, GenerationFailed("PROVIDER_ERROR", "Sorry."), lease=None)
    await studio.orders.create(caller, BRIEF)
    await studio.expire(caller)
    await studio.passes.touch(caller.pass_id)
    await studio.sessions.end(caller, visit.id)
    return caller.pass_id


@pytest.mark.parametrize("zone", ["Asia/Dubai", "America/St_Johns"])
async def test_times_are_utc_wherever_the_database_thinks_it_is(postgres, seeded, tmp_path, zone):
    dsn = await postgres.create_database(seeded)
    async with opened(tmp_path, dsn) as studio:
        await studio.sql.execute(f"alter database {dsn.rpartition('/')[2].partition('?')[0]} set timezone = '{zone}'")
    async with opened(tmp_path, dsn) as studio:
        assert await studio.sql.fetchval("show timezone") == zone
        pass_id = await a_day(studio)
        page = PageRequest(10)
        rows = [
            *(await studio.archive.page(pass_id, page, FROM_VARS)).rows,
            *(await studio.credits.transactions(pass_id, page)).rows,
            *(await studio.events.of_pass(pass_id, page, None)).rows,
            *(visits := (await studio.sessions.of_pass(pass_id, page)).rows),
            await studio.passes.find(pass_id),
        ]
        recorded = [entry["at"] for row in rows[:2] for entry in decode(row.vars)["statuses"]] + [visits[0].ended_at]
    await postgres.drop_database(dsn)
    assert all(TIMESTAMP.fullmatch(row.created_at) for row in rows)
    assert len(recorded) == 4
    times = [datetime.fromisoformat(row.created_at) for row in rows] + [datetime.fromisoformat(at) for at in recorded]
    assert all(at.utcoffset() == timedelta(0) for at in times)
    assert all(timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=5) for at in times)


async def test_no_write_names_the_generated_column(studio):
    written: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        written.append(statement)

    engine = studio.mina.database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    pass_id = await a_day(studio)
    event.remove(engine, "before_cursor_execute", note)
    assert any("INSERT INTO mega_customers" in statement for statement in written)
    changes = [
        statement.partition("RETURNING")[0] for statement in written if re.match(r"\s*(insert|update)", statement, re.IGNORECASE)
    ]
    assert len(changes) > 10
    assert not [statement for statement in changes if "mg_verified_any" in statement]
    assert (await studio.passes.find(pass_id)).verified_any is False


@pytest.mark.parametrize("flag", ["email", "google", "apple"])
async def test_one_verification_makes_a_pass_verified(studio, flag):
    pass_id = (await studio.person()).pass_id
    await studio.sql.execute(f"update mega_customers set mg_verified_{flag} = true where mg_pass_id = $1", pass_id)
    assert (await studio.passes.find(pass_id)).verified_any is True


async def test_ids_of_passes_stand_in_no_other_row_s_text(studio):
    """Columns that point at the Pass excepted (FEATURES A20)."""
    pass_id = await a_day(studio)
    rows = await studio.sql.fetch("select to_jsonb(g) - 'mg_pass_id' as row from mega_generations g")
    assert len(rows) >= 8
    assert not [row for row in rows if pass_id in row["row"] or pass_id.rpartition(":")[2] in row["row"]]
