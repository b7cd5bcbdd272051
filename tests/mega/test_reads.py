"""Reads: statements compiled once, JSON and times passed through, a database that is away, and the taste window."""

from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import orjson
import pytest
from sqlalchemy import bindparam, literal_column, select
from sqlalchemy.types import Text

from mina_gql.mega.customers import SEEN_EVERY_SECONDS
from mina_gql.mega.database import Database, DatabaseAway, Query, decode
from mina_gql.mega.generations import events
from mina_gql.mega.models import Customer
from mina_gql.services.passes import PassService
from mina_gql.services.taste import WITH_VISION, WITHOUT_VISION, TasteService

PASS = "pass:anon:one"
BY_ID = Query(select(Customer.pass_id, Customer.meta, Customer.created_at).where(Customer.pass_id == bindparam("pass_id")))


@pytest.fixture
async def db(database_dsn) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_dsn)
    await connection.execute("insert into mega_customers (mg_pass_id) values ($1)", PASS)
    yield connection
    await connection.close()


@pytest.fixture
async def database(database_dsn) -> AsyncIterator[Database]:
    database = await Database(database_dsn, readers=2, writers=2).open()
    yield database
    await database.close()


# ---------------------------------------------------------------- statements


def test_arguments_stand_in_the_statement_s_order_and_unknown_ones_are_refused():
    query = Query(select(literal_column("1")).where(bindparam("b", type_=Text()) == bindparam("a", type_=Text())))
    assert query.arguments({"a": "first", "b": "second"}) == [{"a": "first", "b": "second"}[name] for name in query.names]
    with pytest.raises(KeyError, match="no such parameter: c"):
        query.arguments({"c": 1})


@pytest.mark.parametrize("id_", ["\x00", "a\x00b", "\x00" * 500])
async def test_a_name_with_a_nul_names_nothing(db, database, id_):
    assert await database.fetch(BY_ID, pass_id=id_) == []
    assert await database.fetch(events.BY_IDS, ids=[id_, "mma_event:x"]) == []


async def test_json_is_passed_through_and_times_are_text_of_utc(db, database):
    meta = {"a": [1, "ü", {"b": None}], "n": 1.5}
    await db.execute("update mega_customers set mg_meta = $1", orjson.dumps(meta).decode())
    row = await database.fetch_one(BY_ID, pass_id=PASS)
    assert isinstance(row["mg_meta"], orjson.Fragment)
    assert orjson.loads(orjson.dumps(row["mg_meta"])) == decode(row["mg_meta"]) == meta
    assert decode(None) is None
    at = await db.fetchval("select mg_created_at from mega_customers")
    assert datetime.fromisoformat(row["mg_created_at"]) == at


# ---------------------------------------------------------------- transactions, and a database that is away


async def test_a_block_that_raises_leaves_nothing_behind(db, database):
    with pytest.raises(RuntimeError, match="on purpose"):
        async with database.begin() as session:
            session.add(Customer(pass_id="pass:anon:two"))
            await session.flush()
            raise RuntimeError("on purpose")
    assert await db.fetchval("select count(*) from mega_customers") == 1


async def test_a_lost_connection_is_told_from_every_other_error_and_the_next_read_works(db, database):
    assert await database.check()
    with pytest.raises(DatabaseAway):
        async with database.begin() as session:
            connection = await session.connection()
            pid = (await connection.exec_driver_sql("select pg_backend_pid()")).scalar_one()
            await db.execute("select pg_terminate_backend($1)", pid)
            await connection.exec_driver_sql("select 1")
    async with database.begin() as session:
        assert (await session.connection()) is not None
    assert await database.fetch(BY_ID, pass_id=PASS)


async def test_before_it_is_opened_a_database_says_so(database_dsn):
    with pytest.raises(RuntimeError, match="not open"):
        await Database(database_dsn).fetch(BY_ID, pass_id=PASS)


async def test_a_server_that_is_not_there_is_away(free_port):
    database = Database(f"postgresql://nobody@127.0.0.1:{free_port}/none")
    with pytest.raises(DatabaseAway):
        async with database.begin() as session:
            await session.connection()
    await database.close()


# ---------------------------------------------------------------- a Pass against the database's clock


@pytest.mark.parametrize(
    ("expires", "balance"),
    [("null", 7), ("clock_timestamp() + interval '1 hour'", 7), ("clock_timestamp() - interval '1 microsecond'", 0)],
)
async def test_the_balance_is_read_against_the_clock_of_the_database(db, database, expires, balance):
    await db.execute(f"update mega_customers set mg_credits = 7, mg_expires_at = {expires}")
    assert (await PassService(database, None, b"").find(PASS)).balance == balance


@pytest.mark.parametrize(("ago", "long"), [(None, True), (SEEN_EVERY_SECONDS - 5, False), (SEEN_EVERY_SECONDS + 5, True)])
async def test_seen_long_ago_is_five_minutes(db, database, ago, long):
    await db.execute("update mega_customers set mg_last_active = clock_timestamp() - $1 * interval '1 second'", ago)
    assert (await PassService(database, None, b"").find(PASS)).seen_long_ago is long


# ---------------------------------------------------------------- taste

LIKE, UNLIKE, DISLIKE, DOWNLOAD = (
    {"event_type": "like"},
    {"event_type": "like", "payload": {"value": False}},
    {"event_type": "dislike"},
    {"event_type": "download"},
)


async def picture(db: asyncpg.Connection, name: str, *said: dict) -> None:
    """A finished generation, and what its owner said of it, oldest first."""
    await db.execute(
        """insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_mma_status, mg_prompt, mg_output_url)
        values ('generation:' || $1, 'generation', $2, 'done', 'prompt ' || $1, 'http://x/' || $1)""",
        name,
        PASS,
    )
    for meta in said:
        await db.execute(
            """insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_meta)
            values ('mma_event:' || gen_random_uuid(), 'mma_event', $1, $2, $3)""",
            PASS,
            name,
            orjson.dumps(meta).decode(),
        )


@pytest.mark.parametrize(
    ("said", "liked"),
    [
        ((), False),
        ((LIKE,), True),
        ((DOWNLOAD,), True),
        ((DISLIKE,), False),
        ((LIKE, UNLIKE), False),
        ((LIKE, UNLIKE, LIKE), True),
        ((LIKE, DISLIKE), False),
        ((DISLIKE, LIKE), True),
        ((DOWNLOAD, DISLIKE), False),
        ((DISLIKE, DOWNLOAD), False),
        ((DOWNLOAD, UNLIKE), False),
        (({"event_type": "feedback"},), False),
    ],
)
async def test_the_latest_word_about_a_picture_counts(db, database, said, liked):
    await picture(db, "a", *said)
    assert (await TasteService(database).history(PASS, vision_intelligence=True)).prompts == (["prompt a"] if liked else [])


async def test_the_window_is_five_with_vision_and_twenty_pictures_without(db, database):
    for n in range(25):
        await picture(db, f"{n:02}", LIKE)
    taste = TasteService(database)
    newest = [f"{n:02}" for n in range(24, -1, -1)]
    seeing, blind = await taste.history(PASS, vision_intelligence=True), await taste.history(PASS, vision_intelligence=False)
    assert seeing.prompts == [f"prompt {name}" for name in newest[:WITH_VISION]]
    assert seeing.pictures == [f"http://x/{name}" for name in newest[:WITH_VISION]]
    assert (blind.prompts, blind.pictures) == ([], [f"http://x/{name}" for name in newest[:WITHOUT_VISION]])


async def test_what_the_snapshot_says_is_part_of_the_taste(db, database):
    snapshot = {"hard_blocks": ["glitter"], "tag_weights": {"stone": 2.0, "silk": 3.5, "neon": -1}}
    await db.execute("update mega_customers set mg_mma_preferences = $1", orjson.dumps(snapshot).decode())
    found = await TasteService(database).history(PASS, vision_intelligence=True)
    assert found.style_history_csv == "silk,stone,never:glitter"
    assert (await TasteService(database).history("nobody", vision_intelligence=True)).style_history_csv == ""
