"""The table of DESIGN section 4, row by row: what a login links, claims, merges and leaves alone."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import orjson
import pytest

from mina_gql.api.graphql import schema
from mina_gql.domain.errors import (
    AccountDisabled,
    Conflict,
    GenerationFailed,
    InvalidInput,
    Unauthenticated,
    VerificationRequired,
)
from mina_gql.domain.passes import Caller, PassState, row_name
from mina_gql.domain.pipeline import FailureCode
from mina_gql.services.sessions import NewSession
from tests.identity.edge import TOKEN_SECRET, Who, caller_of, login, row_of, sign_in
from tests.studio import BRIEF, NOBODY, counted

SECRET = b"a-secret-of-48-bytes-that-is-used-in-tests-only!"
INSERT = (
    "insert into mega_customers (mg_pass_id, mg_meta, mg_user_id, mg_email, mg_shopify_customer_id) values ($1, $2, $3, $4, $5)"
)
PASSES = "select count(*) from mega_customers where mg_deleted_at is null"
FOREIGN = "select count(*) from mega_admin where mg_action = 'identity.foreign_pass'"
FAILED = GenerationFailed(FailureCode.PROVIDER_ERROR, "The picture could not be made.")
DAY = timedelta(days=1)


async def keep(studio, pass_id, meta="{}", user=None, email=None, shopify=None):
    """A Pass as a purchase, a backfill or a login may have left it."""
    await studio.sql.execute(INSERT, pass_id, meta, user, email, shopify)
    return pass_id


async def unclaimed(studio, email, matcha=0):
    """What a purchase of a stranger leaves."""
    pass_id = await keep(studio, f"pass:shopify:{uuid4().int % 10**12}", email=email)
    if matcha:
        await studio.deposit(pass_id, matcha)
    return pass_id


async def expires(studio, pass_id):
    return (await row_of(studio, pass_id))["mg_expires_at"]


async def set_expiry(studio, pass_id, when):
    await studio.sql.execute("update mega_customers set mg_expires_at = $2 where mg_pass_id = $1", pass_id, when)


async def deltas(studio, pass_id):
    return await studio.entries(Caller(pass_id, ""))


@pytest.fixture
async def studio(studio):
    """Whatever a login did, the books are right afterwards."""
    yield studio
    await studio.check_books()


# ---------------------------------------------------------------- linking in place


async def test_a_first_login_links_the_pass_in_place_and_its_id_never_changes(studio):
    """A6, A7: anonymous, then signed in, then with a Shopify customer: one id."""
    guest = await studio.person(matcha=7)
    order = await studio.orders.create(guest, BRIEF)
    who = login(email="ann@mina.example")
    ensured = await sign_in(studio, who, guest.pass_id)
    assert (ensured.owner.id, ensured.owner.state, ensured.merged) == (guest.pass_id, PassState.CLAIMED, None)
    assert ensured.owner.balance == 6
    row = await row_of(studio, guest.pass_id)
    assert (str(row["mg_user_id"]), row["mg_email"]) == (who.user_id, "ann@mina.example")
    assert (await studio.passes.link_shopify(await caller_of(studio, who), "4711")).id == guest.pass_id
    assert (await sign_in(studio, who)).owner.id == guest.pass_id
    assert (await studio.generations.own(guest.pass_id, order.generation.id)) is not None
    assert await studio.sql.fetchval(PASSES) == 1


async def test_a_login_with_nothing_to_link_makes_the_pass_of_the_user(studio):
    who = login()
    ensured = await sign_in(studio, who)
    assert (ensured.owner.id, ensured.merged) == (f"pass:user:{who.user_id}", None)
    assert (await sign_in(studio, who)).owner.id == ensured.owner.id


async def test_where_the_users_id_is_taken_by_an_erased_row_they_start_anew(studio):
    """A17: re-registration after a soft delete, with the same user id and e-mail."""
    who = login(email="again@mina.example")
    first = (await sign_in(studio, who)).owner.id
    await studio.sql.execute("update mega_customers set mg_deleted_at = now() where mg_pass_id = $1", first)
    second = (await sign_in(studio, who)).owner.id
    assert second != first
    kind, _, secret = second.rpartition(":")
    assert kind == "pass:user"
    assert secret != who.user_id
    assert (await sign_in(studio, who)).owner.id == second


# ---------------------------------------------------------------- the second device


async def test_the_second_device_s_work_appears_under_the_canonical_pass(studio):
    """A8: rows re-pointed with their first owner on record, ledger rows stay, sums equal on both, again is nothing."""
    who = login(email="bea@mina.example")
    home = (await sign_in(studio, who)).owner.id
    guest = await studio.person(matcha=10)
    visit = await studio.sessions.start(guest, NewSession(title="Phone"))
    done = (await studio.orders.create(guest, replace(BRIEF, session_id=visit.id))).generation
    await studio.mina.runner.run(done.id)
    before = await deltas(studio, guest.pass_id)

    ensured = await sign_in(studio, who, guest.pass_id)
    assert ensured.owner.id == home
    rows = await studio.sql.fetch("select mg_id, mg_record_type, mg_meta from mega_generations where mg_pass_id = $1", home)
    moved = [row for row in rows if row["mg_record_type"] != "credit_transaction"]
    assert {row["mg_record_type"] for row in moved} == {"session", "generation", "mma_event", "mma_step"}
    assert {orjson.loads(row["mg_meta"])["orig_pass_id"] for row in moved} == {guest.pass_id}
    assert ensured.merged == (len(moved), 9)

    assert await deltas(studio, guest.pass_id) == [*before, ("merge_out", -9)]
    assert await deltas(studio, home) == [("merge_in", 9)]
    alias = await row_of(studio, guest.pass_id)
    assert (alias["mg_credits"], orjson.loads(alias["mg_meta"])["merged_into"]) == (0, home)
    assert alias["mg_deleted_at"] is not None
    assert (await studio.generations.own(home, done.id)).status == "done"

    again = await sign_in(studio, who, guest.pass_id)
    assert (again.owner.id, again.merged, again.owner.balance) == (home, None, 9)
    assert len(await deltas(studio, home)) == 1


async def test_uploads_of_every_pass_that_became_one_stay_usable(studio):
    """A8, DESIGN section 8: three devices and a re-registration; every upload stays usable."""
    guest = await studio.person(matcha=5)
    pictures = [await studio.picture(guest)]
    middle, who = login(email="cy@mina.example"), login(email="cy@mina.example")
    await sign_in(studio, middle, guest.pass_id)
    pictures.append(await studio.picture(await caller_of(studio, middle)))
    await studio.sql.execute(
        "update mega_customers set mg_user_id = null where mg_pass_id = $1", guest.pass_id
    )  # a backfill forgot it
    home = (await sign_in(studio, who)).owner.id
    assert home == guest.pass_id  # claimed by its verified e-mail
    phone = await studio.person()
    pictures.append(await studio.picture(phone))
    await sign_in(studio, who, phone.pass_id)
    caller = await caller_of(studio, who)
    for picture in pictures:
        order = await studio.orders.create(caller, replace(BRIEF, product_image_url=picture))
        assert order.generation.pass_id == home


async def test_an_upload_that_was_signed_before_the_merge_is_confirmed_after_it(studio):
    guest, who = await studio.person(), login()
    upload = await studio.assets.create_upload(guest, "image/png", "p.png", 100)
    await sign_in(studio, who)
    await sign_in(studio, who, guest.pass_id)
    await studio.stage(upload.key)
    assert (await studio.assets.confirm(await caller_of(studio, who), upload.key)).key == upload.key


async def test_a_generation_in_flight_at_the_merge_is_finished_for_its_new_owner(studio):
    """Its steps and events stand with the canonical Pass, its charge is found though it stays with the alias."""
    guest, who = await studio.person(matcha=2), login()
    order = (await studio.orders.create(guest, BRIEF)).generation
    home = (await sign_in(studio, who)).owner.id
    await sign_in(studio, who, guest.pass_id)
    await studio.mina.runner.run(order.id)
    assert (await studio.generations.own(home, order.id)).status == "done"
    owners = await studio.sql.fetch(
        "select distinct mg_pass_id from mega_generations where mg_generation_id = $1 and mg_record_type <> 'credit_transaction'",
        order.generation_id,
    )
    assert [row[0] for row in owners] == [home]
    charge = f"credit_transaction:charge:{order.generation_id}"
    assert (await studio.credits.transactions_by_id([charge]))[charge].pass_id == guest.pass_id


async def test_a_generation_that_fails_after_the_merge_is_refunded_to_its_new_owner(studio):
    guest, who = await studio.person(matcha=2), login()
    order = (await studio.orders.create(guest, BRIEF)).generation
    home = (await sign_in(studio, who)).owner.id
    await sign_in(studio, who, guest.pass_id)
    assert await studio.mina.endings.fail(order.id, FAILED, lease=None)
    assert await deltas(studio, home) == [("merge_in", 1), ("refund", 1)]
    assert (await studio.balance(guest), await studio.balance(Caller(home, ""))) == (0, 2)


async def test_the_owners_settings_survive_a_merge_and_a_guests_come_along_where_there_are_none(studio):
    taste = '{"hard_blocks": ["neon"], "tag_weights": {"stone": 2}}'
    note = "update mega_customers set mg_mma_preferences = $2 where mg_pass_id = $1"
    who, guest = login(), await studio.person()
    home = (await sign_in(studio, who)).owner.id
    await studio.sql.execute(note, guest.pass_id, taste)
    kept = (await sign_in(studio, who, guest.pass_id)).owner
    assert orjson.loads(orjson.dumps(kept.preferences)) == orjson.loads(taste)

    other = await studio.person()
    await studio.sql.execute(note, other.pass_id, '{"hard_blocks": ["stone"]}')
    kept = (await sign_in(studio, who, other.pass_id)).owner
    assert kept.id == home
    assert orjson.loads(orjson.dumps(kept.preferences))["hard_blocks"] == ["neon"]


# ---------------------------------------------------------------- matcha at a merge


async def test_free_matcha_does_not_stack_and_what_was_bought_moves(studio):
    await studio.knobs(credits_grant_every_pass=True, credits_free_grant=10)
    who = login()
    home = (await sign_in(studio, who)).owner.id
    for bought, moves in ((0, 0), (4, 4)):
        guest = (await studio.passes.ensure(NOBODY)).owner.id
        if bought:
            await studio.deposit(guest, bought)
        assert (await sign_in(studio, who, guest)).merged.matcha_moved == moves
        assert sum(delta for _, delta in await deltas(studio, guest)) == 0
    assert await deltas(studio, home) == [("grant", 10), ("merge_in", 4)]


async def test_free_matcha_counts_as_spent_first(studio):
    await studio.knobs(credits_grant_every_pass=True, credits_free_grant=3)
    who = login()
    await sign_in(studio, who)
    guest = (await studio.passes.ensure(NOBODY)).owner.id
    await studio.deposit(guest, 4)
    for _ in range(2):
        await studio.orders.create(await studio.seen(guest), BRIEF)
    ensured = await sign_in(studio, who, guest)
    assert ensured.merged.matcha_moved == 4
    assert await deltas(studio, guest) == [
        ("grant", 3), ("adjustment", 4), ("charge", -1), ("charge", -1), ("merge_out", -4), ("expiry", -1)
    ]  # fmt: skip


async def test_expired_matcha_moves_nowhere(studio):
    who = login()
    home = (await sign_in(studio, who)).owner.id
    guest = await studio.person(matcha=8)
    await studio.expire(guest)
    assert (await sign_in(studio, who, guest.pass_id)).merged.matcha_moved == 0
    assert await deltas(studio, guest.pass_id) == [("adjustment", 8), ("expiry", -8)]
    assert await deltas(studio, home) == []


async def test_the_owners_own_expired_matcha_is_written_off_before_more_comes(studio):
    who = login()
    home = (await sign_in(studio, who)).owner.id
    await studio.deposit(home, 5)
    await studio.expire(Caller(home, ""))
    guest = await studio.person(matcha=2)
    assert (await sign_in(studio, who, guest.pass_id)).owner.balance == 2
    assert await deltas(studio, home) == [("adjustment", 5), ("expiry", -5), ("merge_in", 2)]


@pytest.mark.parametrize(("mine", "theirs"), [(3, 20), (20, 3)])
async def test_the_later_of_both_expiries_counts(studio, mine, theirs):
    who = login()
    home = (await sign_in(studio, who)).owner.id
    await studio.deposit(home, 1)
    guest = await studio.person(matcha=1)
    now = datetime.now(UTC)
    await set_expiry(studio, home, now + mine * DAY)
    await set_expiry(studio, guest.pass_id, now + theirs * DAY)
    await sign_in(studio, who, guest.pass_id)
    assert await expires(studio, home) == now + max(mine, theirs) * DAY


@pytest.mark.parametrize("which", ["mine", "theirs"])
async def test_matcha_that_never_expires_is_not_lost_to_the_others_past(studio, which):
    """Backfilled balances may have no expiry at all: the other side's past one says nothing of them."""
    who = login()
    home = (await sign_in(studio, who)).owner.id
    guest = (await studio.person()).pass_id
    forever, past = (home, guest) if which == "mine" else (guest, home)
    await studio.deposit(forever, 6)
    await set_expiry(studio, forever, None)
    await set_expiry(studio, past, datetime.now(UTC) - DAY)
    await sign_in(studio, who, guest)
    await studio.passes.touch(home)
    assert (await studio.passes.find(home)).balance == 6


# ---------------------------------------------------------------- claiming


async def test_a_purchase_of_nobody_is_claimed_by_the_same_verified_email(studio):
    """D12: a first login takes it over in place; its id never changes."""
    bought = await unclaimed(studio, "Dan@Mina.example", matcha=50)
    ensured = await sign_in(studio, login(email="dan@mina.example"))
    assert (ensured.owner.id, ensured.owner.balance, ensured.merged) == (bought, 50, None)


async def test_whoever_has_a_pass_gets_it_merged_in_once(studio):
    who = login(email="eve@mina.example")
    home = (await sign_in(studio, who)).owner.id
    bought = await unclaimed(studio, "eve@mina.example", matcha=50)
    first, again = await sign_in(studio, who), await sign_in(studio, who)
    assert (first.owner.id, first.merged) == (home, (0, 50))
    assert (again.owner.balance, again.merged) == (50, None)
    assert (await row_of(studio, home))["mg_shopify_customer_id"] == (await row_of(studio, bought))["mg_shopify_customer_id"]


@pytest.mark.parametrize(
    "who",
    [
        lambda: login(email="fay@mina.example", verified=False),
        lambda: login(email="fay@elsewhere.example"),
        login,
    ],
    ids=["not verified", "another", "none"],
)
async def test_no_other_login_claims_it(studio, who):
    bought = await unclaimed(studio, "fay@mina.example", matcha=50)
    for presented in (None, bought):
        assert (await sign_in(studio, who(), presented)).owner.id != bought
    row = await row_of(studio, bought)
    assert (row["mg_user_id"], row["mg_credits"], row["mg_deleted_at"]) == (None, 50, None)


async def test_two_purchases_and_a_guests_pass_become_one(studio):
    shops = [await unclaimed(studio, "gus@mina.example", matcha=matcha) for matcha in (50, 100)]
    guest = await studio.person(matcha=3)
    ensured = await sign_in(studio, login(email="gus@mina.example"), guest.pass_id)
    assert (ensured.owner.id, ensured.owner.balance, ensured.merged.matcha_moved) == (guest.pass_id, 153, 150)
    for shop in shops:
        assert (await row_of(studio, shop))["mg_deleted_at"] is not None


async def test_a_shop_s_pass_is_not_claimed_by_its_id_alone(studio):
    """A9."""
    bought = await unclaimed(studio, None, matcha=50)
    for who in (None, login(email="hal@mina.example")):
        assert await studio.passes.prove(bought, who) is None
    assert (await sign_in(studio, login(email="hal@mina.example"), bought)).owner.id != bought


# ---------------------------------------------------------------- ids that prove nothing


async def test_an_alias_proves_nothing_alone_and_its_owners_token_leads_home(studio):
    """A13."""
    who, guest = login(), await studio.person()
    home = (await sign_in(studio, who)).owner.id
    await sign_in(studio, who, guest.pass_id)
    assert (await caller_of(studio, None, guest.pass_id)).pass_id is None
    assert (await caller_of(studio, who, guest.pass_id)).pass_id == home
    assert (await caller_of(studio, login(), guest.pass_id)).pass_id is None
    fresh = (await studio.passes.ensure(await caller_of(studio, None, guest.pass_id))).owner
    assert fresh.id not in {home, guest.pass_id}
    assert (await sign_in(studio, who, guest.pass_id)).owner.id == home
    assert await studio.sql.fetchval(FOREIGN) == 0


async def test_logging_out_leaves_the_claimed_id_behind(studio):
    """A12."""
    who, guest = login(), await studio.person()
    await sign_in(studio, who, guest.pass_id)
    fresh = (await studio.passes.ensure(await caller_of(studio, None, guest.pass_id))).owner
    assert fresh.id != guest.pass_id
    assert fresh.state is PassState.BEARER
    assert (await sign_in(studio, who, fresh.id)).owner.id == guest.pass_id  # and back, with what was done meanwhile


async def test_somebody_elses_claimed_id_is_ignored_and_noted_once(studio):
    """A11: by its keyed hash, with the one who presented it."""
    victim, thief = login(email="ida@mina.example"), login(email="jon@mina.example")
    theirs = (await sign_in(studio, victim)).owner.id
    await studio.deposit(theirs, 9)
    before = await row_of(studio, theirs)
    got = (await sign_in(studio, thief, theirs)).owner
    assert (got.id, got.balance) == (f"pass:user:{thief.user_id}", 0)
    assert await row_of(studio, theirs) == before
    noted = await studio.sql.fetch("select * from mega_admin where mg_action = 'identity.foreign_pass'")
    assert [row["mg_actor_pass_id"] for row in noted] == [got.id]
    assert theirs not in str(noted)
    await sign_in(studio, victim, theirs)
    assert await studio.sql.fetchval(FOREIGN) == 1


# ---------------------------------------------------------------- tokens


@pytest.mark.parametrize("spoil", [lambda token: token[:-4] + "AAAA", lambda _: "a.b.c", lambda _: "nonsense"])
async def test_a_token_that_does_not_hold_is_never_taken_for_none(edge, spoil):
    """A14: not even beside a good Pass, for nothing at all."""
    guest = await edge.studio.person(matcha=3)
    broken = Who(guest.pass_id, spoil(edge.token()))
    for document in ("{ me { id } }", "mutation { ensurePass { pass { id } } }", "{ pricing { create } }"):
        answer = await edge.ask(broken, document)
        assert answer.get("data") is None
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await edge.studio.sql.fetchval(PASSES) == 1


async def test_an_expired_token_is_told_so(edge):
    answer = await edge.ask(Who(token=edge.token(hours=-1)), "mutation { ensurePass { pass { id } } }")
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await edge.studio.sql.fetchval(PASSES) == 0


@pytest.mark.parametrize("said", ["null", "undefined", ""])
async def test_no_token_in_other_words_is_no_token(edge, said):
    guest = await edge.studio.person()
    assert (await edge.arrive(Who(guest.pass_id, said)))["id"] == guest.pass_id


async def test_an_anonymous_sign_in_of_supabase_is_no_login(edge):
    """`is_anonymous`: the Pass in the header counts, and nothing is linked."""
    claims = jwt.decode(edge.token(email="kim@mina.example"), options={"verify_signature": False})
    token = jwt.encode({**claims, "is_anonymous": True}, TOKEN_SECRET, algorithm="HS256")
    guest = await edge.studio.person()
    assert await edge.arrive(Who(guest.pass_id, token)) == {"id": guest.pass_id, "state": "BEARER", "credits": {"balance": 0}}
    assert (await edge.arrive(Who(None, token)))["state"] == "BEARER"


# ---------------------------------------------------------------- verification


async def test_what_a_login_verified_is_kept_and_shown(edge):
    """A15: a google login sets google; a later one by e-mail adds to it and takes nothing back."""
    sub, read = str(uuid4()), "{ me { verification { any email google apple method at } } }"
    await edge.arrive(Who(token=edge.token(sub, "lea@mina.example", provider="google")))
    facts = (await edge.ask(Who(token=edge.token(sub, "lea@mina.example")), read))["data"]["me"]["verification"]
    assert {name: facts[name] for name in ("any", "email", "google", "apple", "method")} == {
        "any": True, "email": True, "google": True, "apple": False, "method": "google"
    }  # fmt: skip
    await edge.arrive(Who(token=edge.token(sub, "lea@mina.example")))
    later = (await edge.ask(Who(token=edge.token(sub)), read))["data"]["me"]["verification"]
    assert (later["google"], later["method"], later["at"]) == (True, "email", facts["at"])


async def test_an_unverified_email_verifies_nothing_and_replaces_no_verified_one(studio):
    who = login(email="mia@mina.example")
    home = (await sign_in(studio, who)).owner
    other = (await sign_in(studio, replace(who, email="other@mina.example", email_verified=False, method=None))).owner
    assert (other.id, other.email, other.verified_email) == (home.id, "mia@mina.example", True)
    fresh = (await sign_in(studio, login(email="new@mina.example", verified=False))).owner
    assert (fresh.email, fresh.verified_any, fresh.verified_email, fresh.verification_at) == (
        "new@mina.example",
        False,
        False,
        None,
    )


def test_the_keynumber_is_nowhere_in_the_schema():
    assert "keynumber" not in str(schema.build()).lower().replace("_", "")


# ---------------------------------------------------------------- switched off


async def test_a_login_to_a_disabled_pass_is_told_and_may_do_nothing(studio):
    """A17: signing in does not switch it on again, nor does a guest's Pass that is merged in."""
    who = login()
    home = (await sign_in(studio, who)).owner.id
    await studio.deposit(home, 5)
    await studio.disable(Caller(home, ""))
    guest = await studio.person(matcha=2)
    ensured = await sign_in(studio, who, guest.pass_id)
    assert (ensured.owner.id, ensured.owner.disabled) == (home, True)
    caller = await caller_of(studio, who)
    for refused in (
        studio.orders.create(caller, BRIEF),
        studio.assets.create_upload(caller, "image/png", "p.png", 100),
        studio.passes.link_shopify(caller, "77"),
        studio.checkout.url(caller, "MINA-50", 1),
    ):
        with pytest.raises(AccountDisabled):
            await refused


async def test_linking_a_disabled_guest_leaves_it_disabled(studio):
    guest = await studio.person(matcha=5)
    await studio.disable(guest)
    assert (await sign_in(studio, login(), guest.pass_id)).owner.disabled


@pytest.mark.parametrize("kind", ["guest", "purchase"])
async def test_a_disabled_pass_does_not_escape_into_another(studio, kind):
    """Its matcha and its pictures stay where they were switched off."""
    who = login(email="nia@mina.example")
    home = (await sign_in(studio, who)).owner.id
    off = (await studio.person(matcha=5)).pass_id if kind == "guest" else await unclaimed(studio, "nia@mina.example", matcha=5)
    await studio.disable(Caller(off, ""))
    ensured = await sign_in(studio, who, off)
    assert (ensured.owner.id, ensured.owner.balance, ensured.merged) == (home, 0, None)
    row = await row_of(studio, off)
    assert (row["mg_disabled"], row["mg_credits"], row["mg_deleted_at"]) == (True, 5, None)


async def test_a_disabled_pass_follows_nothing(edge):
    """A17: over the wire, with a code that a client can read."""
    guest = await edge.studio.person(matcha=5)
    await edge.studio.disable(guest)
    answers = await edge.follow(Who(guest.pass_id), "subscription { creditsChanged { id } }")
    assert answers[0]["errors"][0]["extensions"]["code"] not in {"INTERNAL_SERVER_ERROR", None}


# ---------------------------------------------------------------- Shopify customers


async def test_linking_a_shopify_customer_needs_a_login_with_a_verified_email(studio):
    """A19."""
    guest = await studio.person()
    unverified = login(email="ola@mina.example", verified=False)
    await sign_in(studio, unverified)
    with pytest.raises(VerificationRequired):
        await studio.passes.link_shopify(guest, "77")
    with pytest.raises(VerificationRequired):
        await studio.passes.link_shopify(await caller_of(studio, unverified), "77")
    with pytest.raises(Unauthenticated):
        await studio.passes.link_shopify(NOBODY, "77")


async def test_a_guests_pass_cannot_be_linked_beside_a_login_that_has_not_arrived(studio):
    """Without a user the row would be nobody's from then on: neither its id nor an e-mail would prove it again."""
    guest = await studio.person(matcha=9)
    caller = await caller_of(studio, login(email="pam@mina.example"), guest.pass_id)
    with pytest.raises(Conflict):
        await studio.passes.link_shopify(caller, "77")
    assert (await studio.passes.prove(guest.pass_id, None)).balance == 9


@pytest.mark.parametrize("given", ["", "abc", "-1", "٣", "1" * 21, "1 or 1"])
async def test_a_shopify_customer_id_is_a_number(studio, given):
    who = login(email="quy@mina.example")
    await sign_in(studio, who)
    with pytest.raises(InvalidInput):
        await studio.passes.link_shopify(await caller_of(studio, who), given)


async def test_a_shopify_customer_belongs_to_one_pass_and_a_pass_has_one(studio):
    people = [login(email=f"{name}@mina.example") for name in ("rob", "sue")]
    for who in people:
        await sign_in(studio, who)
    rob, sue = [await caller_of(studio, who) for who in people]
    await studio.passes.link_shopify(rob, "gid://shopify/Customer/77")
    assert (await studio.passes.link_shopify(rob, "77")).id == rob.pass_id
    for caller, taken in ((sue, "77"), (rob, "78")):
        with pytest.raises(Conflict):
            await studio.passes.link_shopify(caller, taken)


# ---------------------------------------------------------------- the free grant


async def test_the_free_grant_comes_once_to_every_verified_user_whatever_they_do(studio):
    """Elsewhere than in the embedded default: not to guests, not to unverified users, not again after a re-registration."""
    await studio.knobs(credits_free_grant=10)
    assert (await studio.passes.ensure(NOBODY)).owner.balance == 0
    assert (await sign_in(studio, login(email="tom@mina.example", verified=False))).owner.balance == 0
    who = login(email="uma@mina.example")
    guest = await studio.person()
    first = (await sign_in(studio, who, guest.pass_id)).owner
    assert (await sign_in(studio, who)).owner.balance == first.balance == 10
    name = hashlib.sha256(who.user_id.encode()).hexdigest()
    rows = await studio.sql.fetch("select mg_id from mega_generations where mg_reason = 'grant'")
    assert [row[0] for row in rows] == [f"credit_transaction:grant:user:{name}"]
    await studio.sql.execute("update mega_customers set mg_deleted_at = now() where mg_pass_id = $1", first.id)
    assert (await sign_in(studio, who)).owner.balance == 0


async def test_merge_rows_name_both_by_their_keyed_hash(studio):
    """A Pass ID never stands in another row's id (DESIGN section 4)."""
    who, guest = login(), await studio.person(matcha=1)
    home = (await sign_in(studio, who)).owner.id
    await sign_in(studio, who, guest.pass_id)
    pair = f"{row_name(guest.pass_id, SECRET)}:{row_name(home, SECRET)}"
    rows = await studio.sql.fetch(
        "select mg_id, mg_ref_id, mg_delta from mega_generations where mg_ref_type = 'merge' order by 1"
    )
    assert [tuple(row) for row in rows] == [
        (f"credit_transaction:merge_in:{pair}", pair, 1),
        (f"credit_transaction:merge_out:{pair}", pair, -1),
    ]


# ---------------------------------------------------------------- no oracle


async def presented(studio):
    """Ids that prove nothing, by why."""
    who, guest = login(), await studio.person()
    claimed = (await sign_in(studio, who)).owner.id
    await sign_in(studio, who, guest.pass_id)
    return {
        "unknown": f"pass:anon:{uuid4()}",
        "claimed": claimed,
        "unclaimed": await unclaimed(studio, "vic@mina.example"),
        "alias": guest.pass_id,
        "not an id": "nonsense",
    }


async def test_ids_that_prove_nothing_cost_the_same_statements(edge):
    """Reads and writes, with a token and without; the answers are the same too but for the fresh ids."""
    studio = edge.studio
    ids = await presented(studio)
    documents = [
        "{ me { id } }",
        "{ quote(action: CREATE) { cost } }",
        "mutation { ensurePass { pass { state } merged { rowsMoved } } }",
    ]
    for document in documents:
        shapes = {}
        for why, pass_id in ids.items():
            before = await written(studio)
            with counted(studio.mina.database) as reads:
                answer = await edge.ask(Who(pass_id), document)
            shapes[why] = (
                answer,
                reads.queries,
                {name: count - before.get(name, 0) for name, count in (await written(studio)).items()},
            )
        assert all(shape == shapes["unknown"] for shape in shapes.values()), shapes


async def written(studio):
    """How many rows each table has."""
    return {
        table: await studio.sql.fetchval(f"select count(*) from {table}")
        for table in ("mega_customers", "mega_generations", "mega_admin")
    }


async def test_what_was_opened_before_a_login_shows_nothing_of_the_person(edge):
    """A stream outlives the proof it was opened with: what it names of a Pass is null once the Pass is somebody's."""
    guest = await edge.studio.person(matcha=5)
    made = (await edge.studio.orders.create(guest, BRIEF)).generation.id
    opened = await edge._context(Who(guest.pass_id))
    await sign_in(edge.studio, login(email="nia@mina.example"), guest.pass_id)
    document, _ = edge.engine.prepare("query($id: ID!) { generation(id: $id) { pass { email } } }", None, {"id": made})
    result = await edge.engine.execute(document, {"id": made}, None, opened)
    assert (result.data, result.errors) == ({"generation": {"pass": None}}, None)
