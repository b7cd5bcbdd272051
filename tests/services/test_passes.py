"""Passes: minting, resuming, being seen, the free grant, and what a disabled Pass may still do."""

import asyncio
from datetime import timedelta

import pytest

from mina_gql.domain.errors import AccountDisabled, Unauthenticated
from mina_gql.domain.passes import Caller, PassState
from mina_gql.mega.customers import SEEN_EVERY_SECONDS
from mina_gql.services.passes import required
from mina_gql.services.sessions import NewSession
from tests.studio import ADDRESS, BRIEF, NOBODY, Studio

MINTED = "select count(*) from mega_customers"


async def last_active(studio: Studio, caller: Caller):
    return await studio.sql.fetchval("select mg_last_active from mega_customers where mg_pass_id = $1", caller.pass_id)


# ---------------------------------------------------------------- who is who


async def test_whoever_proves_nothing_gets_a_fresh_pass_each_time(studio):
    one, two = (await studio.passes.ensure(NOBODY)).owner, (await studio.passes.ensure(NOBODY)).owner
    assert one.id != two.id
    assert one.state is two.state is PassState.BEARER
    assert (one.balance, one.expires_at) == (0, None)
    assert await studio.sql.fetchval(MINTED) == 2


async def test_the_id_of_a_minted_pass_resumes_it(studio):
    first = (await studio.passes.ensure(NOBODY)).owner
    caller = await studio.seen(first.id)
    assert (await studio.passes.ensure(caller)).owner.id == first.id
    assert await studio.sql.fetchval(MINTED) == 1


@pytest.mark.parametrize(
    "row",
    [
        "mg_user_id = gen_random_uuid()",
        "mg_shopify_customer_id = '77'",
        "mg_email = 'a@b.example'",
        "mg_meta = '{}'",
        "mg_meta = '{\"minted\": false}'",
        'mg_meta = \'{"minted": "true"}\'',
        "mg_deleted_at = now()",
        'mg_meta = \'{"minted": true, "merged_into": "x"}\', mg_deleted_at = now()',
    ],
)
async def test_only_a_bearer_row_is_proven_by_its_id(studio, row):
    caller = await studio.person()
    await studio.sql.execute(f"update mega_customers set {row} where mg_pass_id = $1", caller.pass_id)
    assert await studio.passes.prove(caller.pass_id, None) is None


@pytest.mark.parametrize(
    "presented", [None, "pass:anon:3f1c2a9e-0000-4000-8000-000000000000", "nonsense", "a\x00b", "pass:anon:\ufffd"]
)
async def test_ids_made_up_by_clients_prove_nothing_and_are_never_adopted(studio, presented):
    assert await studio.passes.prove(presented, None) is None
    minted = (await studio.passes.ensure(await studio.seen(presented))).owner
    assert minted.id != presented


@pytest.mark.parametrize(
    "pass_id", ["pass:anon:9b2f7f5e-4b3c-4f63-8a58-0d6ad1c8d7aa", "pass:user:1", "pass_01ARZ3NDEKTSV4RRFFQ69G5FAV"]
)
async def test_every_shape_of_id_is_read(studio, pass_id):
    await studio.sql.execute("insert into mega_customers (mg_pass_id, mg_meta) values ($1, '{\"minted\": true}')", pass_id)
    assert (await studio.passes.prove(pass_id, None)).id == pass_id


async def test_a_pass_that_vanished_between_proof_and_use_is_replaced(studio):
    caller = await studio.person()
    await studio.sql.execute("update mega_customers set mg_deleted_at = now() where mg_pass_id = $1", caller.pass_id)
    assert (await studio.passes.ensure(caller)).owner.id != caller.pass_id


# ---------------------------------------------------------------- being seen


async def test_a_visit_moves_last_active_but_not_twice_in_five_minutes(studio):
    caller = await studio.person()
    minted = await last_active(studio, caller)
    await studio.passes.touch(caller.pass_id)
    assert await last_active(studio, caller) == minted

    long_ago = minted - timedelta(seconds=SEEN_EVERY_SECONDS + 1)
    await studio.sql.execute("update mega_customers set mg_last_active = $1 where mg_pass_id = $2", long_ago, caller.pass_id)
    assert (await studio.passes.find(caller.pass_id)).seen_long_ago
    await asyncio.gather(*(studio.passes.ensure(caller) for _ in range(5)))
    assert await last_active(studio, caller) > minted
    assert not (await studio.passes.find(caller.pass_id)).seen_long_ago


# ---------------------------------------------------------------- the free grant


async def test_without_the_knob_nothing_is_granted(studio):
    assert await studio.entries(await studio.person()) == []


async def test_the_free_grant_comes_once_with_the_pass_and_lives_thirty_days(studio):
    await studio.knobs(credits_grant_every_pass=True, credits_free_grant=10)
    minted = (await studio.passes.ensure(NOBODY)).owner
    caller = Caller(minted.id, ADDRESS)
    for _ in range(3):
        await studio.passes.ensure(caller)
    assert minted.balance == 10
    assert await studio.entries(caller) == [("grant", 10)]
    lives = await studio.sql.fetchval("select mg_expires_at - mg_created_at from mega_customers where mg_pass_id = $1", minted.id)
    assert timedelta(days=30) <= lives < timedelta(days=30, minutes=1)
    await studio.check_books()


async def test_the_grant_s_row_names_the_pass_by_its_keyed_hash(studio):
    await studio.knobs(credits_grant_every_pass=True, credits_free_grant=10)
    minted = (await studio.passes.ensure(NOBODY)).owner
    row = await studio.sql.fetchrow("select mg_id, mg_ref_id, mg_ref_type, mg_source from mega_generations")
    assert row["mg_id"] == f"credit_transaction:grant:{row['mg_ref_id']}"
    assert (row["mg_ref_type"], row["mg_source"]) == ("grant", "mina")
    assert minted.id.rpartition(":")[2] not in str(row)


async def test_how_long_the_grant_lives_is_a_knob(studio):
    await studio.knobs(credits_grant_every_pass=True, credits_free_grant=4, credits_days_valid=3)
    minted = (await studio.passes.ensure(NOBODY)).owner
    lives = await studio.sql.fetchval("select mg_expires_at - mg_created_at from mega_customers where mg_pass_id = $1", minted.id)
    assert lives.days == 3


# ---------------------------------------------------------------- expiry


async def test_expired_matcha_reads_as_nothing_at_once_and_is_written_off_at_the_next_touch(studio):
    caller = await studio.person(matcha=7)
    await studio.expire(caller)
    assert (await studio.passes.find(caller.pass_id)).balance == 0
    assert await studio.balance(caller) == 7

    await studio.passes.touch(caller.pass_id)
    assert await studio.entries(caller) == [("adjustment", 7), ("expiry", -7)]
    assert await studio.balance(caller) == 0
    await studio.check_books()


async def test_touches_at_once_write_it_off_once(studio):
    caller = await studio.person(matcha=7)
    await studio.expire(caller)
    await asyncio.gather(*(studio.passes.ensure(caller) for _ in range(10)))
    assert await studio.entries(caller) == [("adjustment", 7), ("expiry", -7)]
    await studio.check_books()


async def test_matcha_that_comes_after_the_expiry_is_not_written_off(studio):
    caller = await studio.person(matcha=7)
    await studio.expire(caller)
    await studio.deposit(caller.pass_id, 5)
    await studio.passes.touch(caller.pass_id)
    assert await studio.entries(caller) == [("adjustment", 7), ("expiry", -7), ("adjustment", 5)]
    assert (await studio.passes.find(caller.pass_id)).balance == 5
    await studio.check_books()


# ---------------------------------------------------------------- disabled


async def test_a_disabled_pass_may_only_look(studio):
    caller = await studio.person(matcha=5)
    session = await studio.sessions.start(caller, NewSession())
    upload = await studio.assets.create_upload(caller, "image/png", "p.png", 100)
    caller = await studio.disable(caller)
    assert caller.pass_id is not None

    for refused in (
        studio.orders.create(caller, BRIEF),
        studio.assets.create_upload(caller, "image/png", "p.png", 100),
        studio.assets.confirm(caller, upload.key),
        studio.sessions.start(caller, NewSession()),
        studio.sessions.end(caller, session.id),
    ):
        with pytest.raises(AccountDisabled):
            await refused
    owner = (await studio.passes.ensure(caller)).owner
    assert (owner.id, owner.disabled, owner.balance) == (caller.pass_id, True, 5)
    assert (await studio.counts()).get("generation") is None


async def test_a_pass_that_was_disabled_while_it_ordered_is_not_charged(studio):
    """The edge proved it before: the locked row decides."""
    proven = await studio.person(matcha=5)
    await studio.disable(proven)
    with pytest.raises(AccountDisabled):
        await studio.orders.create(proven, BRIEF)
    assert await studio.balance(proven) == 5


def test_doing_something_needs_a_pass():
    with pytest.raises(Unauthenticated):
        required(NOBODY)
