"""How PostgreSQL reads the archive among a million rows: by an index, in order, and never the whole table (FEATURES N1, N2)."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import asyncpg
import orjson
import pytest

from mina_gql.mega.database import Database, Query
from mina_gql.mega.generations.archive import FROM_VARS
from mina_gql.mega.generations.filters import narrowed
from mina_gql.mega.pages import Cursor, PageRequest, Timestamp
from tests.mega.archive_crowd import BIG, PARENT, SESSION, crowd

ROWS = 1_000_000
MINE = {"pass_id": BIG}
SPAN = {"created_after": "2026-01-05T00:00:00Z", "created_before": "2026-01-05T06:00:00Z"}
ORDERED: dict[str, dict[str, Any]] = {
    "everything": MINE,
    "kind": {**MINE, "kind": "video"},
    "a status": {**MINE, "status": ["error"]},
    "statuses": {**MINE, "status": ["queued", "generating"]},
    "ratio": {**MINE, "ratio": "9:16"},
    "a ratio nobody chose": {**MINE, "ratio": "16:9"},
    "span": {**MINE, **SPAN},
    "kind, status, ratio and span": {**MINE, **SPAN, "kind": "still", "status": ["done"], "ratio": "1:1"},
    "liked": {**MINE, "liked": True},
    "not liked": {**MINE, "liked": False},
    "children": {**MINE, "parent_id": PARENT},
    "everything of all Passes": {},
    "liked of all Passes": {"liked": True},
    "session of all Passes": {"session_id": SESSION},
}
"""Listings that an index gives in their order: nothing is sorted."""
CHOSEN: dict[str, dict[str, Any]] = {
    "session": {**MINE, "session_id": SESSION},
    "a rare word": {**MINE, "search": "number120"},
    "words": {**MINE, "search": "stone candle"},
    "half a word": {**MINE, "search": "bott"},
    "without a word": {**MINE, "search": "bottle -moss"},
    "a word and a kind": {**MINE, "search": "glass", "kind": "video", "liked": False},
    "a rare word of all Passes": {"search": "number77"},
}
"""Listings of a few among many: looked up first, and sorted where they are fewer than what lies in order."""
PLACE = Cursor(Timestamp("2026-01-05 03:00:00+00"), "generation:x")
SHAPES = [
    PageRequest(20),
    PageRequest(20, backward=True),
    PageRequest(20, after=PLACE),
    PageRequest(20, after=PLACE, before=PLACE),
]


class Crowd(NamedTuple):
    """A database of a million rows, and a connection to it."""

    dsn: str
    sql: asyncpg.Connection


@pytest.fixture(scope="module")
async def crowded(postgres, template) -> AsyncIterator[Crowd]:
    """A database of a million rows: 2,001 Passes, one with 12,500 generations."""
    dsn = await postgres.create_database(template)
    db = await asyncpg.connect(dsn)
    await crowd(db, ROWS)
    await db.set_type_codec("timestamptz", schema="pg_catalog", encoder=str, decoder=str, format="text")
    yield Crowd(dsn, db)
    await db.close()
    await postgres.drop_database(dsn)


@pytest.fixture(params=["custom", "generic"])
async def plans(crowded, request) -> asyncpg.Connection:
    """Plans for the values at hand, and those that a connection settles on after a few times."""
    await crowded.sql.execute(f"set plan_cache_mode = force_{request.param}_plan")
    return crowded.sql


async def plan(db: asyncpg.Connection, query: Query, values: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of a query's plan."""
    explain = f"explain (format json) {query.text}"
    top = orjson.loads(await db.fetchval(explain, *query.arguments(values)))[0]["Plan"]

    def below(node: dict[str, Any]) -> list[dict[str, Any]]:
        return [node, *(each for child in node.get("Plans", ()) for each in below(child))]

    return below(top)


def query_of(asked: dict[str, Any], page: PageRequest | None, wanted: frozenset[str]) -> tuple[Query, dict[str, Any]]:
    pages, values = narrowed(wanted, asked)
    if page is None:
        return pages._count, values
    values["page_limit"] = page.limit + 1
    if page.after is not None:
        values |= {"after_at": page.after.created_at, "after_id": page.after.id}
    if page.before is not None:
        values |= {"before_at": page.before.created_at, "before_id": page.before.id}
    return pages._compile(page.backward, page.after is not None, page.before is not None), values


@pytest.mark.parametrize("listing", [*ORDERED, *CHOSEN])
async def test_no_page_and_no_count_reads_the_whole_table(plans, listing):
    asked = {**ORDERED, **CHOSEN}[listing]
    for page in [*SHAPES, None]:
        query, values = query_of(asked, page, FROM_VARS)
        nodes = await plan(plans, query, values)
        scans = [node for node in nodes if node.get("Relation Name") == "mega_generations"]
        assert scans
        assert not [node for node in scans if node["Node Type"] == "Seq Scan"], nodes


@pytest.mark.parametrize("listing", ORDERED)
async def test_a_page_comes_in_the_order_of_an_index(plans, listing):
    for page in SHAPES[:3]:
        query, values = query_of(ORDERED[listing], page, frozenset())
        nodes = await plan(plans, query, values)
        sorts = [node for node in nodes if "Sort" in node["Node Type"]]
        if "pass_id" not in ORDERED[listing]:  # of all Passes, rows of one moment are put in order: there are a few
            sorts = [node for node in sorts if node["Node Type"] != "Incremental Sort"]
        assert sorts == []
        assert {node["Node Type"] for node in nodes if "Relation Name" in node} <= {"Index Scan", "Index Only Scan"}


async def test_what_does_not_fit_is_passed_over_inside_the_index(plans):
    for part, value in (("kind", "video"), ("status", ["error"]), ("ratio", "9:16")):
        query, values = query_of({**MINE, part: value}, PageRequest(20), frozenset())
        nodes = await plan(plans, query, values)
        [scan] = [node for node in nodes if "Relation Name" in node]
        assert scan["Index Name"] == "mega_generations_archive"
        assert "Filter" not in scan, scan


@pytest.mark.parametrize("search", ["number120", "stone candle", "bott"])
async def test_words_of_finished_generations_are_looked_up_and_never_read_again(plans, search):
    query, values = query_of({**MINE, "search": search}, PageRequest(20), frozenset())
    nodes = await plan(plans, query, values)
    assert "mega_generations_words" in {node.get("Index Name") for node in nodes}
    reading = [node for node in nodes if "words_of" in str(node.get("Filter"))]
    assert all("mg_mma_status <> ALL" in str(node) for node in reading), "only those in flight"


async def test_what_was_said_is_looked_up_row_by_row_in_an_index_of_its_own(plans):
    query, values = query_of({**MINE, "liked": True}, PageRequest(20), frozenset())
    [said] = [node for node in await plan(plans, query, values) if node.get("Alias") == "e"]
    assert said["Index Name"] == "mega_generations_verdicts"
    assert "Filter" not in said


async def test_the_crowd_has_what_the_plans_are_about(crowded):
    database = await Database(crowded.dsn, readers=1, writers=1).open()
    try:
        for listing, count in {"everything": 12_500, "children": 20, "a ratio nobody chose": 0}.items():
            pages, values = narrowed(frozenset(), ORDERED[listing])
            assert await pages.count(database, **values) == count, listing
        for listing, asked in {**ORDERED, **CHOSEN}.items():
            if listing == "a ratio nobody chose":
                continue
            pages, values = narrowed(frozenset(), asked)
            assert len((await pages.read(database, PageRequest(3), **values)).rows) == 3, listing
    finally:
        await database.close()
