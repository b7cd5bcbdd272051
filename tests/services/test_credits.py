"""Matcha: at every instant the ledger adds up to the balance, which is never below 0 (DESIGN section 5)."""

import asyncio
import random
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from mina_gql.domain.credits import BillableAction
from mina_gql.domain.errors import GenerationFailed, IdempotencyKeyReused, InsufficientMatcha
from mina_gql.domain.passes import Caller, Login
from mina_gql.domain.pipeline import FailureCode
from mina_gql.mega import customers
from mina_gql.mega.pages import PageRequest
from tests.studio import BRIEF, Studio

FAILED = GenerationFailed(FailureCode.PROVIDER_ERROR, "The picture could not be made.")


async def accepted(studio: Studio, caller: Caller, key: str | None = None) -> str | None:
    """Order a still; the generation's mg_id, or None when there was too little matcha."""
    try:
        return (await studio.orders.create(caller, replace(BRIEF, idempotency_key=key))).generation.id
    except InsufficientMatcha:
        return None


# ---------------------------------------------------------------- charging


async def test_twenty_orders_at_once_on_three_matcha_give_three_pictures(studio):
    caller = await studio.person(matcha=3)
    made = await asyncio.gather(*(accepted(studio, caller) for _ in range(20)))
    assert sum(generation is not None for generation in made) == 3
    assert await studio.entries(caller) == [("adjustment", 3)] + [("charge", -1)] * 3
    counts = await studio.counts()
    assert (counts["generation"], counts["mma_event"], counts["job"]) == (3, 3, 3)
    assert await studio.balance(caller) == 0
    await studio.check_books()


async def test_what_is_too_dear_says_what_is_missing_and_writes_nothing(studio):
    caller = await studio.person()
    before = await studio.counts()
    with pytest.raises(InsufficientMatcha) as refused:
        await studio.orders.create(caller, BRIEF)
    assert (refused.value.required, refused.value.balance) == (1, 0)
    assert await studio.counts() == before


async def test_expired_matcha_buys_nothing(studio):
    caller = await studio.person(matcha=9)
    await studio.expire(caller)
    with pytest.raises(InsufficientMatcha) as refused:
        await studio.orders.create(caller, BRIEF)
    assert refused.value.balance == 0
    await studio.check_books()


async def test_the_charge_names_reason_source_and_what_it_was_for(studio):
    caller = await studio.person(matcha=1)
    order = await studio.orders.create(caller, BRIEF)
    bare = order.generation.generation_id
    entry = (await studio.credits.transactions(caller.pass_id, PageRequest(1))).rows[0]
    assert entry[:8] == (f"credit_transaction:charge:{bare}", caller.pass_id, -1, "charge", "mma", "generation", bare, bare)
    assert order.owner.balance == 0


async def test_what_is_free_leaves_no_ledger_row(studio):
    await studio.knobs(price_create=0)
    caller = await studio.person()
    assert await accepted(studio, caller) is not None
    assert await studio.entries(caller) == []


# ---------------------------------------------------------------- all or nothing

BREAKING = {
    "the balance": ("mega_customers", "update", "new.mg_credits <> old.mg_credits"),
    "the ledger row": ("mega_generations", "insert", "new.mg_record_type = 'credit_transaction'"),
    "the event": ("mega_generations", "insert", "new.mg_record_type = 'mma_event'"),
    "the job": ("ops.pgqueuer", "insert", "true"),
}


async def break_write(studio: Studio, what: str) -> None:
    table, verb, when = BREAKING[what]
    await studio.sql.execute(
        f"""create function public.broken() returns trigger language plpgsql as
        $$ begin raise exception 'broken on purpose'; end $$;
        create trigger broken before {verb} on {table} for each row when ({when}) execute function public.broken()"""
    )


@pytest.mark.parametrize("what", BREAKING)
async def test_an_order_that_breaks_at_any_write_leaves_nothing_behind(studio, what):
    caller = await studio.person(matcha=3)
    before = await studio.counts()
    await break_write(studio, what)
    with pytest.raises((DBAPIError, asyncpg.PostgresError), match="broken on purpose"):
        await studio.orders.create(caller, BRIEF)
    assert await studio.counts() == before
    assert await studio.balance(caller) == 3
    await studio.check_books()


@pytest.mark.parametrize("what", ["the balance", "the ledger row"])
async def test_a_failure_whose_refund_breaks_has_not_ended_the_generation(studio, what):
    caller = await studio.person(matcha=3)
    generation = await accepted(studio, caller)
    await break_write(studio, what)
    with pytest.raises(DBAPIError, match="broken on purpose"):
        await studio.mina.endings.fail(generation, FAILED, lease=None)
    assert await studio.sql.fetchval("select mg_mma_status from mega_generations where mg_id = $1", generation) == "queued"
    assert await studio.balance(caller) == 2
    await studio.check_books()


# ---------------------------------------------------------------- refunds


async def test_a_generation_that_fails_is_refunded_once_however_often_it_fails(studio):
    caller = await studio.person(matcha=3)
    generation = await accepted(studio, caller)
    ended = await asyncio.gather(*(studio.mina.endings.fail(generation, FAILED, lease=None) for _ in range(5)))
    assert sorted(ended) == [False] * 4 + [True]
    assert await studio.entries(caller) == [("adjustment", 3), ("charge", -1), ("refund", 1)]
    row = await studio.generations.own(caller.pass_id, generation)
    assert (row.status, row.error) == ("error", "PROVIDER_ERROR")
    await studio.check_books()


async def test_a_refund_of_matcha_that_has_expired_meanwhile_expires_with_it(studio):
    caller = await studio.person(matcha=3)
    generation = await accepted(studio, caller)
    await studio.expire(caller)
    await studio.mina.endings.fail(generation, FAILED, lease=None)
    assert await studio.entries(caller) == [("adjustment", 3), ("charge", -1), ("expiry", -2), ("refund", 1), ("expiry", -1)]
    assert await studio.balance(caller) == 0
    await studio.check_books()


async def test_a_refund_does_not_move_the_expiry(studio):
    caller = await studio.person(matcha=3)
    generation = await accepted(studio, caller)
    before = (await studio.passes.find(caller.pass_id)).expires_at
    await studio.mina.endings.fail(generation, FAILED, lease=None)
    assert (await studio.passes.find(caller.pass_id)).expires_at == before


# ---------------------------------------------------------------- prices


async def test_a_price_holds_for_what_was_ordered_at_it(studio):
    caller = await studio.person(matcha=10)
    await studio.knobs(price_create=2)
    dear = await accepted(studio, caller)
    await studio.knobs(price_create=3)
    dearer = await accepted(studio, caller)
    for generation in (dear, dearer):
        await studio.mina.endings.fail(generation, FAILED, lease=None)
    costs = [(await studio.generations.own(caller.pass_id, generation)).cost for generation in (dear, dearer)]
    assert costs == [2, 3]
    assert [entry for entry in await studio.entries(caller) if entry[0] != "adjustment"] == [
        ("charge", -2),
        ("charge", -3),
        ("refund", 2),
        ("refund", 3),
    ]
    await studio.check_books()


async def test_a_quote_is_what_the_next_order_would_cost(studio):
    caller = await studio.person(matcha=4)
    owner = await studio.passes.find(caller.pass_id)
    quotes = {action: await studio.credits.quote(owner, action) for action in BillableAction}
    assert {action: quote.cost for action, quote in quotes.items()} == {"create": 1, "tweak": 1, "animate": 5}
    animate = quotes[BillableAction.ANIMATE]
    assert (animate.balance, animate.affordable, animate.short_by) == (4, False, 1)
    assert (quotes[BillableAction.CREATE].affordable, quotes[BillableAction.CREATE].short_by) == (True, 0)
    await studio.knobs(price_create=4)
    assert (await studio.credits.quote(owner, BillableAction.CREATE)).cost == 4


# ---------------------------------------------------------------- idempotency


async def test_the_same_key_at_once_is_one_order_and_one_charge(studio):
    caller = await studio.person(matcha=30)
    order = replace(BRIEF, idempotency_key="once")
    made = await asyncio.gather(*(studio.orders.create(caller, order) for _ in range(20)))
    assert len({each.generation.id for each in made}) == 1
    assert sorted(each.replayed for each in made) == [False] + [True] * 19
    assert await studio.entries(caller) == [("adjustment", 30), ("charge", -1)]
    assert (await studio.counts())["job"] == 1


async def test_a_replay_needs_no_matcha(studio):
    caller = await studio.person(matcha=1)
    first = await accepted(studio, caller, "once")
    assert await accepted(studio, caller, "once") == first
    assert await accepted(studio, caller, "twice") is None


@pytest.mark.parametrize(
    "other",
    [
        {"brief": "Another brief."},
        {"style": "luxury"},
        {"ratio": "9:16"},
        {"settings": {"seedream": {"size": "4K"}}},
        {"vision_intelligence": False},
    ],
)
async def test_the_same_key_with_another_input_is_refused(studio, other):
    caller = await studio.person(matcha=5)
    order = replace(BRIEF, idempotency_key="once")
    await studio.orders.create(caller, order)
    with pytest.raises(IdempotencyKeyReused):
        await studio.orders.create(caller, replace(order, **other))
    assert await studio.balance(caller) == 4


async def test_the_same_words_written_otherwise_are_the_same_input(studio):
    caller = await studio.person(matcha=5)
    first = await studio.orders.create(caller, replace(BRIEF, brief="Cafe\u0301 ", idempotency_key="k", style="None"))
    again = await studio.orders.create(caller, replace(BRIEF, brief="Caf\u00e9", idempotency_key="k", ratio="1:1"))
    assert (again.generation.id, again.replayed) == (first.generation.id, True)


async def test_somebody_else_s_key_is_another_key(studio):
    one, two = await studio.person(matcha=1), await studio.person(matcha=1)
    assert await accepted(studio, one, "k") != await accepted(studio, two, "k")
    assert await studio.balance(two) == 0


# ---------------------------------------------------------------- all of it, at once


@pytest.mark.parametrize("seed", range(3))
async def test_the_books_are_right_at_every_instant_of_a_busy_hour(studio, seed):
    chance = random.Random(seed)
    callers = [await studio.person(matcha=4) for _ in range(2)]
    made: list[str] = []
    done = asyncio.Event()

    async def act() -> None:
        for _ in range(25):
            caller = chance.choice(callers)
            match chance.choice(["create", "create", "create", "fail", "fail", "expire", "touch", "deposit"]):
                case "create":
                    if generation := await accepted(studio, caller, chance.choice([None, None, str(chance.randrange(5))])):
                        made.append(generation)
                case "fail" if made:
                    await studio.mina.endings.fail(chance.choice(made), FAILED, lease=None)
                case "expire":
                    async with studio.mina.database.pool.acquire() as connection:
                        await connection.execute(
                            "update mega_customers set mg_expires_at = clock_timestamp() where mg_pass_id = $1", caller.pass_id
                        )
                case "touch":
                    await studio.passes.touch(caller.pass_id)
                case "deposit":
                    await studio.deposit(caller.pass_id, chance.randint(1, 3))

    async def audit() -> int:
        rounds = 0
        while not done.is_set():
            await studio.check_books()
            rounds += 1
        return rounds

    auditor = asyncio.create_task(audit())
    await asyncio.gather(*(act() for _ in range(4)))
    done.set()
    assert await auditor > 0
    assert made
    await studio.check_books()


# ---------------------------------------------------------------- following


async def test_who_held_the_id_follows_no_further_once_somebody_has_signed_in_with_it(studio):
    guest = await studio.person(matcha=5)
    following = studio.credits.follow(guest.pass_id)
    assert (await anext(following)).balance == 5
    login = Login(str(uuid4()), "nia@mina.example", True, False, False, "email", False, 4e9)
    await studio.passes.ensure(replace(guest, login=login, presented=guest.pass_id))
    await studio.deposit(guest.pass_id, 1)
    await studio.credits.changed(guest.pass_id)
    assert [row.email async for row in following] == []


async def test_an_error_of_the_database_names_nobody(studio):
    """Its text ends in the log."""
    caller = await studio.person()
    with pytest.raises(DBAPIError) as wrong:
        async with studio.mina.database.begin() as session:
            await customers.set_balance(session, caller.pass_id, 2**31)
    assert caller.pass_id not in str(wrong.value)
