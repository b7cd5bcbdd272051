"""Pages by keyset: exact in both directions, whatever is inserted meanwhile (FEATURES N1)."""

import asyncio
import random
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.mega.database import Database, Timestamp
from mina_gql.mega.generations import ledger
from mina_gql.mega.pages import Cursor, Page, PageRequest

PASS, OTHER = "pass:anon:one", "pass:anon:other"
MOMENT = "2026-11-21 09:10:40.123456+00"
COLUMNS = "mg_id, mg_record_type, mg_pass_id, mg_delta, mg_reason, mg_source, mg_ref_type, mg_ref_id, mg_created_at"
INSERT = f"""insert into mega_generations ({COLUMNS}) values
    ('credit_transaction:' || $1, 'credit_transaction', $2, 1, 'grant', 'mina', 'grant', $1, $3::text::timestamptz)"""
FIVE_HUNDRED = f"""insert into mega_generations ({COLUMNS})
    select 'credit_transaction:' || n, 'credit_transaction', '{PASS}', 1, 'grant', 'mina', 'grant', n,
    '{MOMENT}'::timestamptz + (n % 90) * interval '1 microsecond' from generate_series(1, 500) n"""
LISTING = ledger.OF_PASS

# ---------------------------------------------------------------- cursors


@given(
    st.datetimes(),
    st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=300),
)
def test_a_cursor_is_read_as_it_was_printed(moment, id_):
    text = moment.strftime("%m-%d %H:%M:%S")
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    cursor = Cursor(Timestamp(f"{moment.year:04}-{text}{fraction}+00"), id_)
    assert Cursor.parse(str(cursor)) == cursor


def test_a_cursor_keeps_the_microseconds():
    assert Cursor.parse(str(Cursor(Timestamp(MOMENT), "generation:1"))).created_at == MOMENT


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode()


FORGED = [
    "",
    "x",
    "é",
    "!!!!",
    "====",
    encoded(""),
    encoded("|"),
    encoded(f"{MOMENT}|"),
    encoded(MOMENT),
    encoded("2026-11-21 09:10:40+02|a"),
    encoded("2026-11-21T09:10:40Z|a"),
    encoded("2026-13-01 00:00:00+00|a"),
    encoded("2026-02-30 00:00:00+00|a"),
    encoded("2026-01-01 25:00:00+00|a"),
    encoded("0000-01-01 00:00:00+00|a"),
    encoded("9999-99-99 99:99:99+00|a"),
    encoded("infinity|a"),
    encoded("-infinity|a"),
    encoded("now|a"),
    encoded(f"{MOMENT}|a\x00b"),
    encoded(f"{MOMENT}|{'a' * 301}"),
    encoded(f" {MOMENT}|a"),
    encoded("٢٠٢٦-11-21 09:10:40+00|a"),
    encoded(f"{MOMENT}|a") + "====",
    encoded(f"{MOMENT}|a") + "\n",
    "!" + encoded(f"{MOMENT}|a"),
    urlsafe_b64encode(b"\xff\xfe").decode(),
    urlsafe_b64encode(MOMENT.encode() + b"|\xed\xa0\x80").decode(),
]


@pytest.mark.parametrize("text", FORGED)
def test_what_we_did_not_print_is_no_cursor(text):
    with pytest.raises(ValueError):
        Cursor.parse(text)


@given(st.text(max_size=80) | st.text(alphabet="0123456789-: .+|ab", max_size=40).map(encoded))
def test_no_text_breaks_the_parser(text):
    try:
        assert str(Cursor.parse(text)) == text
    except ValueError:
        return


# ---------------------------------------------------------------- pages


@pytest.fixture
async def db(database_dsn) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_dsn)
    await connection.executemany("insert into mega_customers (mg_pass_id) values ($1)", [(PASS,), (OTHER,)])
    yield connection
    await connection.close()


@pytest.fixture
async def database(database_dsn) -> AsyncIterator[Database]:
    database = await Database(database_dsn, readers=4, writers=1).open()
    yield database
    await database.close()


async def fill(db: asyncpg.Connection, rows: int, seed: int) -> list[str]:
    """Rows with many ties, at the microsecond and around it; the ids as a listing must have them."""
    chance = random.Random(seed)
    moments = [f"2026-11-21 09:10:40.{chance.choice([0, 1, 123456, 123457, 999999]):06}+00" for _ in range(rows)]
    await db.executemany(INSERT, [(f"{chance.randrange(10**9)}-{n}", PASS, moment) for n, moment in enumerate(moments)])
    await db.executemany(INSERT, [(f"other-{n}", OTHER, moment) for n, moment in enumerate(moments[:5])])
    order = "select mg_id from mega_generations where mg_pass_id = $1 order by mg_created_at desc, mg_id desc"
    return [row[0] for row in await db.fetch(order, PASS)]


async def read(database: Database, limit: int, *, backward: bool = False, after=None, before=None) -> Page:
    return await LISTING.read(database, PageRequest(limit, backward, after, before), pass_id=PASS)


def ids(page: Page) -> list[str]:
    return [row.id for row in page.rows]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_forward_and_backward_walks_see_every_row_once(db, database, limit):
    expected = await fill(db, 40, limit)
    seen, after = [], None
    while True:
        page = await read(database, limit, after=after)
        seen += ids(page)
        assert page.has_previous == (after is not None)
        assert page.has_next == (len(seen) < len(expected))
        if not page.has_next:
            break
        after = Cursor.of(page.rows[-1])
    assert seen == expected

    seen, before = [], None
    while True:
        page = await read(database, limit, backward=True, before=before)
        seen = ids(page) + seen
        assert page.has_next == (before is not None)
        assert page.has_previous == (len(seen) < len(expected))
        if not page.has_previous:
            break
        before = Cursor.of(page.rows[0])
    assert seen == expected


@pytest.mark.parametrize("seed", range(4))
async def test_any_page_is_the_slice_that_its_cursors_say(db, database, seed):
    expected = await fill(db, 25, seed)
    rows = (await read(database, 100)).rows
    cursors = [None, *map(Cursor.of, rows)]
    chance = random.Random(seed)
    for _ in range(60):
        after, before = chance.choice(cursors), chance.choice(cursors)
        limit, backward = chance.randint(1, 30), chance.random() < 0.5
        start = expected.index(after.id) + 1 if after else 0
        stop = expected.index(before.id) if before else len(expected)
        between = expected[start:stop]
        page = await read(database, limit, backward=backward, after=after, before=before)
        assert ids(page) == (between[-limit:] if backward else between[:limit])
        assert (page.has_previous if backward else page.has_next) == (len(between) > limit)


async def test_a_cursor_works_after_its_row_is_gone(db, database):
    expected = await fill(db, 5, 1)
    row = (await read(database, 3)).rows[-1]
    ghost = Cursor(row.created_at, row.id + "-never-there")  # right above the third
    assert ids(await read(database, 100, after=ghost)) == expected[2:]
    assert ids(await read(database, 100, before=ghost)) == expected[:2]


async def test_a_page_past_either_end_is_empty(db, database):
    expected = await fill(db, 3, 1)
    rows = (await read(database, 100)).rows
    assert await read(database, 10, after=Cursor.of(rows[-1])) == Page([], has_next=False, has_previous=True)
    assert await read(database, 10, backward=True, before=Cursor.of(rows[0])) == Page([], has_next=True, has_previous=False)
    assert ids(await read(database, 3)) == expected
    assert not (await read(database, 3)).has_next


async def test_the_count_is_of_the_whole_listing_of_one_pass(db, database):
    await fill(db, 12, 1)
    assert await LISTING.count(database, pass_id=PASS) == 12
    assert await LISTING.count(database, pass_id=OTHER) == 5
    assert await LISTING.count(database, pass_id="nobody") == 0


@pytest.mark.parametrize("backward", [False, True])
async def test_five_hundred_rows_are_read_in_sevens_while_others_come_in(db, database, database_dsn, backward):
    """N1: no row that was there is missed or doubled; what comes in newer may only be seen by a walk that goes there."""
    await db.execute(FIVE_HUNDRED)
    there = ids(await read(database, 500))
    assert len(there) == 500
    begun, done = asyncio.Event(), asyncio.Event()

    async def insert() -> int:
        connection, made = await asyncpg.connect(database_dsn), 0
        try:
            while not done.is_set():
                made += 1
                await connection.execute(INSERT, f"new-{made}", PASS, "2026-11-21 09:10:41+00")
                begun.set()
        finally:
            await connection.close()
        return made

    inserting = asyncio.create_task(insert())
    await begun.wait()
    seen, cursor = [], None
    while True:
        page = await read(database, 7, backward=backward, after=None if backward else cursor, before=cursor if backward else None)
        seen = ids(page) + seen if backward else seen + ids(page)
        newer = [id_ for id_ in seen if ":new-" in id_]
        if len(newer) >= 7 or not (page.has_previous if backward else page.has_next):
            break  # a walk to the newest end would follow the inserts for ever
        cursor = Cursor.of(page.rows[0] if backward else page.rows[-1])
    done.set()
    assert await inserting > 0
    assert [id_ for id_ in seen if ":new-" not in id_] == there
    assert len(set(seen)) == len(seen)
