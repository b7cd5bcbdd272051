"""The archive page by page, while others are at work in it; lineage; whose is whose (FEATURES N1, N2, N8, B5)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from mina_gql.domain.archive import ArchiveFilter
from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import GenerationKind, GenerationStatus
from mina_gql.mega.generations.archive import FROM_VARS, GenerationRow
from mina_gql.mega.pages import Cursor, Page, PageRequest
from tests.studio import BRIEF, Studio, counted

NARROWED = ArchiveFilter(kind=GenerationKind.STILL, status=(GenerationStatus.DONE,), ratio="1:1", search="cup")
FILL = """
    insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_created_at, mg_mma_mode, mg_mma_status, mg_mma_vars)
    select 'generation:' || $2 || n, 'generation', $1, timestamptz '2026-11-21 12:00:00+00' + n % 50 * interval '1 microsecond' + $4 * interval '1 hour',
      case n % 3 when 0 then 'video' else 'still' end, 'done', '{"inputs": {"brief": "A cup", "ratio": "1:1"}}'
    from generate_series(1, $3::int) n"""


async def walk(read: Callable[[PageRequest], Awaitable[Page[GenerationRow]]], size: int) -> list[str]:
    """All ids of a listing, forward, page by page."""
    seen, after = [], None
    while True:
        page = await read(PageRequest(size, after=after))
        seen += [row.id for row in page.rows]
        if not page.has_next:
            return seen
        after = Cursor.of(page.rows[-1])


@pytest.mark.parametrize("asked", [ArchiveFilter(), NARROWED], ids=["everything", "narrowed"])
async def test_what_stood_at_the_first_page_is_seen_once_while_others_create(studio: Studio, asked: ArchiveFilter):
    """FEATURES N1: 500 rows in small pages; new rows, a few in between and then at the newest end, double and hide none of them."""
    caller = await studio.person()
    await studio.sql.execute(FILL, caller.pass_id, "a", 500, 0)

    async def read(page: PageRequest) -> Page[GenerationRow]:
        return await studio.archive.page(caller.pass_id, page, FROM_VARS, asked)

    there = await walk(read, 100)
    assert len(there) == await studio.archive.count(caller.pass_id, asked) == (500 if asked == ArchiveFilter() else 334)
    reading, made = asyncio.Event(), 0

    async def create() -> None:
        nonlocal made
        other = await asyncpg.connect(studio.mina.dsn)
        try:
            while not reading.is_set():
                made += 1
                await other.execute(FILL, caller.pass_id, f"new-{made}-", 3, int(made > 10))
        finally:
            await other.close()

    creating = asyncio.create_task(create())
    try:
        seen = await walk(read, 7 if asked == ArchiveFilter() else 20)
    finally:
        reading.set()
        await creating
    assert made > 0
    assert [id_ for id_ in seen if ":new-" not in id_] == there
    assert len(set(seen)) == len(seen)


async def test_backward_pages_of_a_narrowed_archive_are_the_forward_ones_turned_round(studio: Studio):
    caller = await studio.person()
    await studio.sql.execute(FILL, caller.pass_id, "a", 60, 0)
    forward = await walk(lambda page: studio.archive.page(caller.pass_id, page, frozenset(), NARROWED), 7)
    seen, before = [], None
    while True:
        page = await studio.archive.page(caller.pass_id, PageRequest(7, backward=True, before=before), frozenset(), NARROWED)
        seen = [row.id for row in page.rows] + seen
        if not page.has_previous:
            break
        before = Cursor.of(page.rows[0])
    assert seen == forward
    assert len(forward) == 40


async def test_a_page_costs_one_query_and_a_count_one_more(studio: Studio):
    caller = await studio.person()
    with counted(studio.mina.database) as made:
        await studio.archive.page(caller.pass_id, PageRequest(5), FROM_VARS, NARROWED)
        assert len(made) == 1
        await studio.archive.count(caller.pass_id, NARROWED)
    assert len(made) == 2


async def test_all_passes_are_one_archive_for_who_may_see_it(studio: Studio):
    """FEATURES N5: the listing of admins; who may ask is not decided here."""
    people = [await studio.person() for _ in range(3)]
    ids = [
        await studio.row("generation", f"g{n}", caller, mma_mode="still", mma_status="done") for n, caller in enumerate(people)
    ]
    assert await walk(lambda page: studio.archive.page(None, page, frozenset()), 2) == ids[::-1]
    assert await studio.archive.count(None, ArchiveFilter(kind=GenerationKind.STILL)) == 3
    assert await walk(lambda page: studio.archive.page(people[1].pass_id, page, frozenset()), 2) == [ids[1]]


@pytest.mark.parametrize(
    "asked",
    [
        ArchiveFilter(search="x" * 201),
        ArchiveFilter(created_after="soon"),
        ArchiveFilter(created_after="2026-11-22T00:00:00Z", created_before="2026-11-21T00:00:00Z"),
    ],
)
async def test_a_filter_that_cannot_be_asks_the_database_nothing(studio: Studio, asked: ArchiveFilter):
    with counted(studio.mina.database) as made:
        for read in (
            lambda: studio.archive.page("x", PageRequest(5), frozenset(), asked),
            lambda: studio.archive.count("x", asked),
        ):
            with pytest.raises(InvalidInput):
                await read()
    assert len(made) == 0


# ---------------------------------------------------------------- lineage


async def family(studio: Studio, caller: Caller, parent: GenerationRow, **columns: Any) -> list[str]:
    made = [
        await studio.row("generation", f"{parent.generation_id}-{n}", caller, parent_id=parent.id, mma_status="done", **columns)
        for n in range(5)
    ]
    return made[::-1]


async def test_children_are_newest_first_in_pages_and_deleted_ones_are_not_among_them(studio: Studio):
    caller, stranger = await studio.person(matcha=2), await studio.person()
    parent = (await studio.orders.create(caller, BRIEF)).generation
    children = await family(studio, caller, parent)
    await studio.row("generation", "theirs", stranger, parent_id=parent.id)
    await studio.sql.execute("update mega_generations set mg_deleted_at = $2 where mg_id = $1", children[2], datetime.now(UTC))
    del children[2]
    assert await walk(lambda page: studio.archive.children(parent, page, FROM_VARS), 3) == children
    assert await studio.archive.count_children(parent) == 4
    childless = (await studio.orders.create(caller, BRIEF)).generation
    assert (await studio.archive.children(childless, PageRequest(5), frozenset())).rows == []


# ---------------------------------------------------------------- again


async def test_a_picture_that_is_gone_from_the_store_is_left_out_of_the_draft(studio: Studio):
    """FEATURES N3: what is drafted is accepted."""
    caller = await studio.person(matcha=5)
    url = await studio.picture(caller)
    order = (await studio.orders.create(caller, replace(BRIEF, product_image_url=url))).generation
    before = await studio.archive.recreate(order, [], None)
    assert before.create["assets"]["productImageUrl"] == url
    await studio.mina.store.remove_all(url.rsplit("/", 2)[1])
    after = await studio.archive.recreate(order, [], None)
    assert after.create["assets"]["productImageUrl"] is None
    assert after.changes == ("The product picture is gone: choose another one.",)


@pytest.mark.parametrize("change", ["deleted", "another Pass's", "unfinished"])
async def test_a_parent_that_cannot_be_used_is_gone(studio: Studio, change: str):
    caller, stranger = await studio.person(), await studio.person()
    columns = {"mma_mode": "still", "mma_status": "generating" if change == "unfinished" else "done", "output_url": "http://x/p"}
    parent = await studio.row("generation", "parent", stranger if change == "another Pass's" else caller, **columns)
    child = await studio.row(
        "generation",
        "child",
        caller,
        mma_mode="still",
        mma_status="done",
        parent_id=parent,
        mma_vars='{"feedback": {"text": "Warmer"}}',
    )
    if change == "deleted":
        await studio.sql.execute("update mega_generations set mg_deleted_at = now() where mg_id = $1", parent)
    rows = await studio.generations.by_id([child, parent])
    found = await studio.archive.recreate(rows[child], [], rows.get(parent))
    assert found.tweak is None
    assert len(found.changes) == 1
