"""Sessions: visits to the studio, whose ids clients may choose (FEATURES B1 to B5)."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from mina_gql.domain.errors import InsufficientMatcha, InvalidInput, NotFound
from mina_gql.mega.database import decode
from mina_gql.mega.generations.archive import FROM_VARS
from mina_gql.mega.pages import PageRequest
from mina_gql.services.sessions import META_BYTES, TEXT_CHARS, NewSession
from tests.studio import BRIEF

CHROME = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"


async def test_a_visit_starts_with_an_id_of_ours_and_a_row_of_that_name(studio):
    caller = await studio.person()
    session = await studio.sessions.start(caller, NewSession())
    assert UUID(session.session_id.removeprefix("sess_")).version == 4
    assert session.id == f"session:{session.session_id}"
    assert session.ended_at is None
    assert await studio.sql.fetchval("select mg_record_type from mega_generations where mg_id = $1", session.id) == "session"


@pytest.mark.parametrize("shape", ["{0}", "sess_{0}", "session:sess_{0}", "session:{0}", " {0} "])
async def test_a_client_s_own_uuid_is_taken_in_any_shape_and_is_the_same_visit(studio, shape):
    caller, own = await studio.person(), uuid4()
    first = await studio.sessions.start(caller, NewSession(id=str(own), title="First"))
    again = await studio.sessions.start(caller, NewSession(id=shape.format(own), title="Second"))
    assert again._replace(meta=None) == first._replace(meta=None)
    assert (first.session_id, first.title) == (f"sess_{own}", "First")


async def test_starting_the_same_visit_at_once_makes_one_row(studio):
    caller, own = await studio.person(), str(uuid4())
    started = await asyncio.gather(*(studio.sessions.start(caller, NewSession(id=own)) for _ in range(10)))
    assert len({session.id for session in started}) == 1
    assert (await studio.counts())["session"] == 1


@pytest.mark.parametrize(
    "given", ["", "sess_", "123", "sess_nonsense", "generation:9b2f7f5e-4b3c-4f63-8a58-0d6ad1c8d7aa", "\x00"]
)
async def test_an_id_that_is_no_uuid_is_refused(studio, given):
    caller = await studio.person()
    with pytest.raises(InvalidInput) as refused:
        await studio.sessions.start(caller, NewSession(id=given))
    assert refused.value.field == ["input", "id"]
    with pytest.raises(NotFound):
        await studio.sessions.end(caller, given)


async def test_somebody_else_s_visit_can_neither_be_taken_nor_ended(studio):
    owner, stranger = await studio.person(), await studio.person()
    session = await studio.sessions.start(owner, NewSession())
    for refused in (
        studio.sessions.start(stranger, NewSession(id=session.session_id)),
        studio.sessions.end(stranger, session.id),
        studio.sessions.own(stranger.pass_id, session.id),
    ):
        with pytest.raises(NotFound):
            await refused
    assert (await studio.sessions.own(owner.pass_id, session.id)).ended_at is None


async def test_a_visit_ends_once(studio):
    caller = await studio.person()
    session = await studio.sessions.start(caller, NewSession())
    ended = await studio.sessions.end(caller, session.session_id)
    again = await asyncio.gather(*(studio.sessions.end(caller, session.id) for _ in range(5)))
    assert ended.ended_at is not None
    assert {each.ended_at for each in again} == {ended.ended_at}
    meta = await studio.sql.fetchval("select mg_meta ->> 'ended_at' from mega_generations where mg_id = $1", session.id)
    assert meta == ended.ended_at
    assert (await studio.sessions.start(caller, NewSession())).id != session.id


async def test_what_the_client_says_is_kept_and_capped(studio):
    caller = replace(await studio.person(), user_agent=CHROME)
    meta = {"timezone": "Asia/Dubai", "screen": [390, 844]}
    long = "x" * 1_000
    session = await studio.sessions.start(caller, NewSession(None, "web", long, "  Ti\x00tle ", meta))
    assert (session.platform, session.title, len(session.client_version)) == ("web", "Title", TEXT_CHARS)
    assert decode(session.meta) == meta
    facts = await studio.sql.fetchrow("select mg_os, mg_browser, mg_device from mega_generations where mg_id = $1", session.id)
    assert tuple(facts) == ("Android", "Chrome 126", "phone")


@pytest.mark.parametrize("meta", [[], "text", 1, True, {"big": "x" * META_BYTES}])
async def test_a_visit_s_meta_is_a_small_object(studio, meta):
    with pytest.raises(InvalidInput) as refused:
        await studio.sessions.start(await studio.person(), NewSession(meta=meta))
    assert refused.value.field == ["input", "meta"]


async def test_what_is_made_in_a_visit_is_listed_with_it(studio):
    caller = await studio.person(matcha=3)
    visit, other = [await studio.sessions.start(caller, NewSession()) for _ in range(2)]
    within = [await studio.orders.create(caller, replace(BRIEF, session_id=given)) for given in (visit.id, visit.session_id)]
    await studio.orders.create(caller, BRIEF)
    page = await studio.generations.of_session(caller.pass_id, visit.session_id, PageRequest(10), FROM_VARS)
    assert [row.id for row in page.rows] == [order.generation.id for order in reversed(within)]
    assert {row.session_id for row in page.rows} == {visit.session_id}
    assert await studio.generations.count_of_session(caller.pass_id, visit.session_id) == 2
    assert await studio.generations.count_of_session(caller.pass_id, other.session_id) == 0


async def test_an_order_cannot_name_somebody_else_s_visit(studio):
    owner, stranger = await studio.person(), await studio.person(matcha=1)
    session = await studio.sessions.start(owner, NewSession())
    with pytest.raises(NotFound):
        await studio.orders.create(stranger, replace(BRIEF, session_id=session.id))
    assert await studio.balance(stranger) == 1


async def test_what_does_not_exist_is_told_before_what_cannot_be_paid(studio):
    caller = await studio.person()
    with pytest.raises(NotFound):
        await studio.orders.create(caller, replace(BRIEF, session_id=str(uuid4())))
    with pytest.raises(InsufficientMatcha):
        await studio.orders.create(caller, BRIEF)
