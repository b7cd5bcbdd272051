"""Deletions that race with everything else a person or the studio does: each wins or loses whole, and nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import asyncpg
import pytest

from mina_gql.domain.errors import Conflict, InsufficientMatcha, MinaError, NoSuchThing, NotFound
from mina_gql.domain.passes import Caller
from mina_gql.mega import accounts
from mina_gql.services.sessions import NewSession
from tests.identity.edge import caller_of, login, sign_in
from tests.services.account_ann import CANARY, FAILED, canaries, delete, is_erased, objects, plant, time_goes_by, together
from tests.services.shopify_shop import Counter, attributes, order
from tests.studio import ADDRESS, BRIEF, Studio

ROUNDS = 8


@pytest.fixture
async def studio(studio: Studio) -> AsyncIterator[Studio]:
    """Whatever was deleted, the books are right afterwards."""
    yield studio
    await studio.check_books()


async def blocked(sql: asyncpg.Connection) -> None:
    """Wait until somebody waits for a lock."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with asyncio.timeout(30):
        while not await sql.fetchval(waiting):  # noqa: ASYNC110 -- PostgreSQL tells nobody when somebody begins to wait
            await asyncio.sleep(0)


async def test_a_row_that_comes_during_an_erasure_waits_for_it_and_is_refused(studio):
    guest = await studio.person()
    async with studio.mina.database.begin() as session:
        await accounts.seal(session, guest.pass_id)
        await accounts.erase(session, guest.pass_id, "0" * 32)
        late = asyncio.create_task(studio.row("session", "late", guest, title=CANARY))
        looking = await asyncpg.connect(studio.mina.dsn)
        await blocked(looking)
        await looking.close()
    with pytest.raises(asyncpg.RestrictViolationError, match="erased"):
        await late


async def test_a_row_that_was_written_before_an_erasure_is_waited_for_and_bare(studio):
    guest = await studio.person()
    writing = await asyncpg.connect(studio.mina.dsn)
    async with writing.transaction():
        await replace(studio, sql=writing).row("session", "early", guest, title=CANARY)
        deleting = asyncio.create_task(delete(studio, guest))
        await blocked(studio.sql)
    await writing.close()
    await deleting
    assert await is_erased(studio, guest)
    assert await canaries(studio) == []


async def test_two_deletions_at_once_are_one(studio):
    for _ in range(ROUNDS):
        guest = await studio.person(matcha=2)
        await studio.orders.create(guest, BRIEF)
        assert await together(*(delete(studio, guest) for _ in range(3))) == [None] * 3
        assert await is_erased(studio, guest)
        assert [reason for reason, _ in await studio.entries(guest)].count("expiry") == 1


async def test_an_order_at_the_same_time_is_cancelled_or_never_made(studio):
    for _ in range(ROUNDS):
        guest = await studio.person(matcha=3)
        orders = [studio.orders.create(guest, replace(BRIEF, brief=CANARY)) for _ in range(3)]
        *made, gone = await together(*orders, delete(studio, guest))
        assert gone is None
        assert await is_erased(studio, guest)
        assert all(not isinstance(each, MinaError) or isinstance(each, (NotFound, InsufficientMatcha)) for each in made)
    assert await canaries(studio) == []
    assert await studio.sql.fetchval("select count(*) from mega_generations where mg_mma_status not in ('done', 'error')") == 0


@pytest.mark.parametrize("what", ["visit", "profile", "upload"])
async def test_whatever_else_is_written_at_the_same_time_is_gone_or_refused(studio, what):
    for _ in range(ROUNDS):
        guest = await studio.person()
        works = {
            "visit": lambda guest=guest: studio.sessions.start(guest, NewSession(title=CANARY)),
            "profile": lambda guest=guest: studio.profiles.update(guest, {"display_name": CANARY}),
            "upload": lambda guest=guest: studio.picture(guest),
        }
        *_, gone = await together(works[what](), works[what](), delete(studio, guest))
        assert gone is None
        assert await is_erased(studio, guest)
        await time_goes_by(studio)
        await studio.accounts.remove_due()
        assert await objects(studio, guest.pass_id) == []
    assert await canaries(studio) == []


async def test_the_user_s_own_login_at_the_same_time_begins_anew_or_comes_first(studio):
    for _ in range(ROUNDS):
        who = login(email=f"{CANARY}@mina.example")
        await sign_in(studio, who)
        caller = await caller_of(studio, who)
        gone, *ensured = await together(delete(studio, caller), *(sign_in(studio, who) for _ in range(3)))
        assert gone is None
        assert await is_erased(studio, caller)
        live = await studio.sql.fetch("select mg_pass_id from mega_customers where mg_user_id = $1", who.user_id)
        assert len(live) <= 1
        assert {each.owner.id for each in ensured if not isinstance(each, MinaError)} <= {
            caller.pass_id,
            *(row[0] for row in live),
        }


async def test_a_login_that_takes_a_guest_s_pass_at_the_same_time_gets_it_whole_or_not_at_all(studio):
    for _ in range(ROUNDS):
        who = login()
        home = (await sign_in(studio, who)).owner.id
        guest = await studio.person(matcha=4)
        gone, _ = await together(delete(studio, guest), sign_in(studio, who, guest.pass_id))
        if gone is None:
            assert await is_erased(studio, guest)
            assert await studio.balance(Caller(home, ADDRESS)) == 0
        else:
            assert isinstance(gone, Conflict)
            assert await studio.balance(Caller(home, ADDRESS)) == 4
        assert await studio.balance(guest) == 0


async def test_a_guest_s_pass_that_is_merged_in_at_the_same_time_is_erased_with_it_or_stays_the_guest_s(studio):
    for _ in range(ROUNDS):
        who = login()
        await sign_in(studio, who)
        caller, guest = await caller_of(studio, who), await studio.person(matcha=4)
        await plant(studio, guest)
        gone, ensured = await together(delete(studio, caller), sign_in(studio, who, guest.pass_id))
        assert gone is None
        assert await is_erased(studio, caller)
        if (
            not isinstance(ensured, MinaError) and ensured.merged is None
        ):  # the login came second: the guest's Pass is the user's new one
            assert ensured.owner.id == guest.pass_id
            await delete(studio, await caller_of(studio, who))
        assert await is_erased(studio, guest)
        assert await canaries(studio) == []


async def test_a_purchase_at_the_same_time_is_written_off_or_waits_for_whoever_claims_it(studio):
    counter = Counter(studio)
    for _ in range(ROUNDS):
        guest = await studio.person()
        reference = await counter.reference(guest)
        before = sum((await counter.balances()).values())
        paid = order("MINA-5", 1, note_attributes=attributes(mina_ref=reference))
        *told, gone = await together(counter.tell(paid), counter.tell(paid), delete(studio, guest))
        assert gone is None
        assert sorted(told) == [(0, 0), (5, 0)]
        assert await is_erased(studio, guest)
        credited = dict(await studio.entries(guest)).get("purchase", 0)
        assert sum((await counter.balances()).values()) == before + 5 - credited


async def test_a_run_at_the_same_time_ends_and_leaves_nothing_behind(studio):
    for _ in range(ROUNDS):
        guest = await studio.person(matcha=2)
        picture = await studio.picture(guest)
        made = (await studio.orders.create(guest, replace(BRIEF, brief=CANARY, product_image_url=picture))).generation
        _, gone = await together(studio.mina.runner.run(made.id), delete(studio, guest))
        assert gone is None
        assert await is_erased(studio, guest)
        await time_goes_by(studio)
        await studio.accounts.remove_due()
        assert await objects(studio, guest.pass_id) == []
    assert await canaries(studio) == []


async def test_a_failure_and_a_deletion_at_the_same_time_refund_once(studio):
    for _ in range(ROUNDS):
        guest = await studio.person(matcha=1)
        made = (await studio.orders.create(guest, BRIEF)).generation.id
        await together(studio.mina.endings.fail(made, FAILED, lease=None), delete(studio, guest))
        assert await is_erased(studio, guest)
        assert [reason for reason, _ in await studio.entries(guest)].count("refund") == 1


async def test_who_follows_a_generation_is_told_its_end_or_that_it_is_gone(studio):
    guest = await studio.person(matcha=1)
    made = (await studio.orders.create(guest, BRIEF)).generation
    following = studio.progress.follow(guest.pass_id, made.id, 0)
    assert (await anext(following)).status == "queued"
    await delete(studio, guest)
    with suppress(NoSuchThing):
        assert [event.status async for event in following][-1] == "error"
