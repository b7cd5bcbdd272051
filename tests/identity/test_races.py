"""Logins that race with each other and with everything else: one of them wins, nothing is lost, nobody waits for ever."""

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from mina_gql.domain import shopify
from mina_gql.domain.errors import Conflict, GenerationFailed, IdempotencyKeyReused, InsufficientMatcha, MinaError, NotFound
from mina_gql.domain.passes import Caller, PassState
from mina_gql.domain.pipeline import FailureCode
from mina_gql.mega import buyers
from mina_gql.mega.admin import Actor
from mina_gql.mega.generations import runs
from tests.identity.edge import caller_of, login, row_of, sign_in
from tests.studio import BRIEF

SECRET = b"a-secret-of-48-bytes-that-is-used-in-tests-only!"
ADMIN = Actor(str(uuid4()), "boss@mina.example", "127.0.0.1", "tests", "/graphql", "adjustCredits", 200)
FAILED = GenerationFailed(FailureCode.PROVIDER_ERROR, "The picture could not be made.")
LIVE = "select mg_pass_id from mega_customers where mg_deleted_at is null order by 1"
SUM = "select coalesce(sum(mg_credits), 0)::int from mega_customers"
ROUNDS = 12


@pytest.fixture
async def studio(studio):
    """Whatever raced, the books are right afterwards."""
    yield studio
    await studio.check_books()


async def together(*works):
    """All at once: results and refusals; whatever else was raised is raised here, deadlocks among it."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, MinaError):
            raise result
    return results


async def blocked(studio):
    """Wait until somebody waits for a lock."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with asyncio.timeout(30):
        while not await studio.sql.fetchval(waiting):  # noqa: ASYNC110 -- PostgreSQL tells nobody when somebody begins to wait
            await asyncio.sleep(0)


# ---------------------------------------------------------------- logins


@pytest.mark.parametrize("with_guest", [False, True])
async def test_ten_first_logins_of_one_user_make_one_pass(studio, with_guest):
    await studio.knobs(credits_free_grant=10)
    who = login(email="ann@mina.example")
    guest = (await studio.person()).pass_id if with_guest else None
    ensured = await together(*(sign_in(studio, who, guest) for _ in range(10)))
    assert len({each.owner.id for each in ensured}) == 1
    assert [row[0] for row in await studio.sql.fetch(LIVE)] == [guest or f"pass:user:{who.user_id}"]
    assert await studio.sql.fetchval(SUM) == 10


@pytest.mark.parametrize("round_", range(3))
async def test_of_two_users_with_one_guests_pass_exactly_one_gets_it(studio, round_):
    guest = await studio.person(matcha=7)
    people = [login(email=f"{name}@mina.example") for name in ("ben", "cat")]
    ensured = await together(*(sign_in(studio, who, guest.pass_id) for who in people))
    assert sorted(each.owner.balance for each in ensured) == [0, 7]
    assert [each.owner.id == guest.pass_id for each in ensured].count(True) == 1
    noted = "select count(*) from mega_admin where mg_action = 'identity.foreign_pass'"
    assert await studio.sql.fetchval(noted) == 1


@pytest.mark.parametrize("at_home", [False, True], ids=["new users", "users with a Pass"])
async def test_of_two_users_with_one_verified_email_exactly_one_claims_the_purchase(studio, at_home):
    people = [login(email="shared@mina.example") for _ in range(2)]
    if at_home:
        await together(*(sign_in(studio, who) for who in people))
    await studio.sql.execute(
        "insert into mega_customers (mg_pass_id, mg_email) values ('pass:shopify:77', 'shared@mina.example')"
    )
    await studio.deposit("pass:shopify:77", 50)
    ensured = await together(*(sign_in(studio, who) for who in people))
    assert sorted(each.owner.balance for each in ensured) == [0, 50]


async def test_users_who_claim_each_others_guests_crosswise_do_not_wait_for_ever(studio):
    """Locks are taken in id order, whatever the order of the ids in the request."""
    people = [login(email=f"user{number}@mina.example") for number in range(4)]
    for who in people:
        await sign_in(studio, who)
    for _ in range(ROUNDS):
        guests = [(await studio.person(matcha=1)).pass_id for _ in range(2)]
        await together(*(sign_in(studio, who, guests[number % 2]) for number, who in enumerate(people)))
    assert await studio.sql.fetchval(SUM) == 2 * ROUNDS


async def test_of_two_users_who_link_one_shopify_customer_exactly_one_does(studio):
    people = [login(email=f"user{number}@mina.example") for number in range(2)]
    for who in people:
        await sign_in(studio, who)
    for number in range(ROUNDS):
        await studio.sql.execute("update mega_customers set mg_shopify_customer_id = null")
        done = await together(*[studio.passes.link_shopify(await caller_of(studio, who), str(number)) for who in people])
        assert sorted(isinstance(each, Conflict) for each in done) == [False, True]


# ---------------------------------------------------------------- merges against the rest


async def test_a_merge_and_an_order_at_once_give_a_picture_to_the_new_owner_or_none(studio):
    who = login()
    home = (await sign_in(studio, who)).owner.id
    for _ in range(ROUNDS):
        guest = await studio.person(matcha=1)
        before = await studio.sql.fetchval(SUM)
        order, _ = await together(studio.orders.create(guest, BRIEF), sign_in(studio, who, guest.pass_id))
        assert await studio.balance(guest) == 0
        if isinstance(order, (NotFound, InsufficientMatcha)):
            assert await studio.sql.fetchval(SUM) == before
        else:
            assert await studio.sql.fetchval(SUM) == before - 1
    owners = await studio.sql.fetch(
        "select distinct mg_pass_id from mega_generations where mg_record_type <> 'credit_transaction'"
    )
    assert [row[0] for row in owners] in ([], [home])


async def test_a_merge_and_a_refund_at_once_refund_exactly_once(studio):
    who = login()
    home = (await sign_in(studio, who)).owner.id
    for number in range(1, ROUNDS + 1):
        guest = await studio.person(matcha=3)
        order = (await studio.orders.create(guest, BRIEF)).generation.id
        ended = await together(
            sign_in(studio, who, guest.pass_id),
            *(studio.mina.endings.fail(order, FAILED, lease=None) for _ in range(2)),
        )
        assert sorted(ended[1:]) == [False, True]
        assert (await studio.balance(guest), await studio.balance(Caller(home, ""))) == (0, 3 * number)


async def test_a_merge_and_a_purchase_at_once_lose_no_matcha(studio):
    who = login()
    home = (await sign_in(studio, who)).owner.id
    for number in range(1, ROUNDS + 1):
        guest = await studio.person()
        reference = shopify.deposit_ref(guest.pass_id, SECRET)
        async with studio.mina.database.begin() as session:
            await buyers.keep_deposit_ref(session, guest.pass_id, shopify.fingerprint(reference))
        paid = {
            "id": number,
            "created_at": datetime.now(UTC).isoformat(),
            "financial_status": "paid",
            "note_attributes": [{"name": "mina_ref", "value": reference}],
            "line_items": [{"id": number * 10, "sku": "MINA-5", "quantity": 1}],
        }
        await together(sign_in(studio, who, guest.pass_id), *(studio.mina.orders.receive("orders/paid", paid) for _ in range(2)))
        assert (await studio.balance(guest), await studio.balance(Caller(home, ""))) == (0, 5 * number)


async def test_a_merge_waits_for_a_run_that_holds_its_generation_and_not_the_other_way_round(studio):
    """A run locks the generation, then its steps. Were they re-pointed in another order, each would wait for the other."""
    who, guest = login(), await studio.person(matcha=1)
    home = (await sign_in(studio, who)).owner.id
    order = (await studio.orders.create(guest, BRIEF)).generation
    await studio.sql.execute(
        "insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_parent_id, mg_step_no, mg_step_type, "
        "mg_status, mg_payload) values ($1, 'mma_step', $2, $3, $4, 0, 'scan_product', 'running', '{}')",
        f"mma_step:{order.generation_id}:0", guest.pass_id, order.generation_id, order.id,
    )  # fmt: skip
    for way in ("indexscan", "bitmapscan"):  # the merge reads the table as it lies on the disk …
        await studio.sql.execute(f'alter database "{urlsplit(studio.mina.dsn).path[1:]}" set enable_{way} = off')
    await studio.mina.database._engine.dispose()
    async with studio.mina.database.begin() as session:
        assert await runs.claim(session, order.id, "lease") is not None  # … where this version lies behind the step
    async with studio.mina.database.begin() as session:
        assert await runs.hold(session, order.id, "lease")
        merging = asyncio.create_task(sign_in(studio, who, guest.pass_id))
        await blocked(studio)
        connection = await session.connection()
        await connection.exec_driver_sql(
            "update mega_generations set mg_status = 'succeeded' where mg_id = $1", (f"mma_step:{order.generation_id}:0",)
        )
    assert (await merging).owner.id == home
    owners = await studio.sql.fetch("select distinct mg_pass_id from mega_generations where mg_generation_id is not null")
    assert {row[0] for row in owners} == {home, guest.pass_id}  # the charge stays


async def test_a_merge_during_a_whole_run_harms_neither(studio):
    who = login()
    home = (await sign_in(studio, who)).owner.id
    guest = await studio.person(matcha=2)
    order = (await studio.orders.create(guest, BRIEF)).generation
    await together(studio.mina.runner.run(order.id), sign_in(studio, who, guest.pass_id))
    assert (await studio.generations.own(home, order.id)).status == "done"
    steps = await studio.sql.fetch("select mg_pass_id from mega_generations where mg_record_type = 'mma_step'")
    assert {row[0] for row in steps} == {home}


async def test_a_guest_who_is_merged_away_while_they_arrive_ends_with_a_live_pass(studio):
    who = login()
    await sign_in(studio, who)
    for _ in range(ROUNDS):
        guest = await studio.person()
        ensured, _ = await together(studio.passes.ensure(guest), sign_in(studio, who, guest.pass_id))
        if not isinstance(ensured, Conflict):
            assert (await row_of(studio, ensured.owner.id)) is not None
            assert ensured.owner.state is PassState.BEARER


# ---------------------------------------------------------------- one key


async def test_one_idempotency_key_on_two_passes_at_once_is_one_adjustment(studio):
    people = [(await studio.person()).pass_id for _ in range(2)]
    for number in range(ROUNDS):
        done = await together(*(studio.credits.adjust(ADMIN, pass_id, 1, "a gift", f"key-{number}") for pass_id in people))
        assert sorted(isinstance(each, IdempotencyKeyReused) for each in done) == [False, True]
    assert await studio.sql.fetchval(SUM) == ROUNDS
