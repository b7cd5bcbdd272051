"""Deleting an account: nothing personal is left, the books are right, objects go, whatever else happens.

DESIGN sections 3, 4 and 5; what a person asks for with `deleteMyAccount`. What races with it: `test_account_races`.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
import pytest

from mina_gql.domain import shopify
from mina_gql.domain.errors import AccountDisabled, Conflict, InvalidInput, NotFound, Unauthenticated
from mina_gql.domain.passes import Caller, PassState
from mina_gql.domain.ports import StorageError
from mina_gql.mega import buyers
from mina_gql.mega.database import DatabaseAway
from mina_gql.services.sessions import NewSession
from tests.identity.edge import caller_of, login, row_of, sign_in
from tests.services.account_ann import (
    BARE,
    BOSS,
    CANARY,
    KEY,
    Ann,
    canaries,
    delete,
    due,
    everything,
    make_ann,
    objects,
    plant,
    time_goes_by,
)
from tests.services.shopify_shop import Counter, attributes, order, refund
from tests.studio import ADDRESS, BRIEF, NOBODY, PNG, Studio


@pytest.fixture
async def studio(studio: Studio) -> AsyncIterator[Studio]:
    """Whatever was deleted, the books are right afterwards."""
    yield studio
    await studio.check_books()


@pytest.fixture
async def ann(studio: Studio) -> Ann:
    return await make_ann(studio)


# ---------------------------------------------------------------- what is left


async def test_nothing_that_a_person_said_is_left_anywhere(studio, ann):
    assert len(await canaries(studio)) > 20
    await delete(studio, ann.caller)
    assert await canaries(studio) == []


async def test_of_the_pass_its_id_stays_and_nothing_else(studio, ann):
    await delete(studio, ann.caller)
    fresh = dict(await row_of(studio, (await studio.person()).pass_id))
    for pass_id in ann.passes:
        row = dict(await row_of(studio, pass_id))
        assert row.pop("mg_deleted_at") is not None
        assert row["mg_created_at"] <= row.pop("mg_updated_at")
        told = {name: value for name, value in row.items() if value != fresh[name]}
        meta = orjson.loads(told.pop("mg_meta"))
        assert set(told) <= {"mg_pass_id", "mg_created_at", "mg_last_active", "mg_source_system"}
        assert row["mg_last_active"] is None
        assert set(meta) <= {"erased", "merged_into", "objects_due", "objects_removed"}
        assert meta["erased"] is True


async def test_its_rows_are_bare_and_in_no_read(studio, ann):
    shown = await studio.sql.fetch("select mg_id from mega_generations where mg_record_type = 'generation'")
    await delete(studio, ann.caller)
    assert await studio.sql.fetchval(BARE, ann.passes) == 0
    ids = [row[0] for row in shown]
    assert await studio.generations.by_id(ids) == {}
    assert await studio.passes.by_id(ann.passes) == {}
    assert await studio.passes.prove(None, ann.who) is None
    facts = await studio.sql.fetch(
        "select mg_meta, mg_mma_vars, mg_payload from mega_generations where mg_record_type = 'generation'"
    )
    assert {(row["mg_mma_vars"], row["mg_payload"]) for row in facts} == {("{}", None)}
    assert sorted(orjson.loads(row["mg_meta"]).get("cost", 0) for row in facts) == [0, 0, 0, 1, 1, 2, 2, 2]


async def test_the_ledger_stays_and_comes_to_nothing(studio, ann):
    """DESIGN section 5: its balance is written off, so that the sum is 0 for the Pass and every alias."""
    money = "select mg_id, mg_pass_id, mg_delta, mg_reason, mg_ref_id from mega_generations where mg_record_type = 'credit_transaction' order by 1"
    before = await studio.sql.fetch(money)
    balance = await studio.balance(ann.caller)
    assert balance > 0
    await delete(studio, ann.caller)
    after = await studio.sql.fetch(money)
    assert [row for row in after if row in before] == before
    (written_off,) = [row for row in after if row not in before]
    assert (written_off["mg_reason"], written_off["mg_delta"], written_off["mg_pass_id"]) == (
        "expiry",
        -balance,
        ann.caller.pass_id,
    )
    sums = await studio.sql.fetch(
        "select sum(mg_delta) from mega_generations where mg_record_type = 'credit_transaction' group by mg_pass_id"
    )
    assert {row[0] for row in sums} == {0}
    assert await studio.credits.mismatches() == []


async def test_who_helped_stays_on_record_and_whom_and_why_does_not(studio, ann):
    await delete(studio, ann.caller)
    helped = await studio.sql.fetchrow("select * from mega_admin where mg_action = 'credits.adjust'")
    assert (helped["mg_email"], helped["mg_ip"], helped["mg_actor_pass_id"]) == (BOSS.email, BOSS.address, ann.caller.pass_id)
    assert orjson.loads(helped["mg_detail"]).keys() == {"asked", "before", "after", "shortfall"}
    assert orjson.loads(helped["mg_detail"])["asked"] == {"delta": 5}
    refused = await studio.sql.fetchrow("select * from mega_admin where mg_action = 'refused.adjustCredits'")
    assert [refused[name] for name in ("mg_user_id", "mg_email", "mg_ip", "mg_user_agent")] == [None] * 4


async def test_an_admin_who_leaves_leaves_their_acts_behind(studio):
    who = login(email=BOSS.email, admin=True)
    await sign_in(studio, who)
    somebody = await studio.person()
    await studio.credits.adjust(BOSS._replace(user_id=who.user_id), somebody.pass_id, 5, "a gift", "a-key")
    await delete(studio, await caller_of(studio, who))
    act = await studio.sql.fetchrow("select * from mega_admin where mg_action = 'credits.adjust'")
    assert (str(act["mg_user_id"]), act["mg_email"], act["mg_ip"]) == (who.user_id, None, None)
    assert orjson.loads(act["mg_detail"])["asked"]["reason"] == "a gift"


async def test_nobody_else_loses_anything(studio, ann):
    other = await studio.person(matcha=3)
    await studio.orders.create(other, BRIEF)
    await plant(studio, other)
    await studio.picture(other)
    rows = {
        table: [row for row in rows if other.pass_id in dict(row).values()] for table, rows in (await everything(studio)).items()
    }
    files = await objects(studio, other.pass_id)
    await delete(studio, ann.caller)
    after = await everything(studio)
    for table, kept in rows.items():
        assert [row for row in after[table] if other.pass_id in dict(row).values()] == kept
    assert await objects(studio, other.pass_id) == files != []


# ---------------------------------------------------------------- afterwards


async def test_the_old_id_proves_nothing_and_a_login_begins_anew(studio, ann):
    await studio.knobs(credits_free_grant=10)
    await delete(studio, ann.caller)
    for pass_id in ann.passes:
        assert await studio.seen(pass_id) is NOBODY
    fresh = (await sign_in(studio, ann.who, ann.caller.pass_id)).owner
    assert fresh.id not in ann.passes
    assert fresh.id.startswith("pass:user:")
    assert (fresh.state, fresh.balance, fresh.email) == (PassState.CLAIMED, 10, ann.who.email)
    assert (await sign_in(studio, ann.who)).owner.id == fresh.id
    await delete(studio, await caller_of(studio, ann.who))
    assert (await sign_in(studio, ann.who)).owner.balance == 0  # free matcha is given to a user once


async def test_an_anonymous_account_is_deleted_by_who_holds_its_id(studio):
    guest = await studio.person(matcha=2)
    await delete(studio, guest)
    assert await studio.seen(guest.pass_id) is NOBODY
    assert (await studio.passes.ensure(Caller(None, ADDRESS, presented=guest.pass_id))).owner.id != guest.pass_id


async def test_what_is_bought_later_does_not_land_on_the_dead(studio, ann):
    """By reference, customer, e-mail or the order's own first lines: it goes to a new, unclaimed Pass."""
    counter = Counter(studio)
    reference = shopify.deposit_ref(ann.caller.pass_id, KEY)
    bought = order("MINA-50", 1, note_attributes=attributes(mina_ref=reference))
    async with studio.mina.database.begin() as session:
        await buyers.keep_deposit_ref(session, ann.caller.pass_id, shopify.fingerprint(reference))
    assert await counter.tell(bought) == (50, 0)
    await delete(studio, ann.caller)
    later = order("MINA-5", 1, customer={"id": 77}, email=ann.who.email, note_attributes=attributes(mina_ref=reference))
    assert await counter.tell(later) == (5, 0)
    balances = await counter.balances()
    assert list(balances.values()) == [5]
    assert not set(balances) & set(ann.passes)
    assert await counter.tell(refund(bought), "refunds/create") == (0, 0)  # there is nobody to take it from


@pytest.mark.parametrize("late", ["reference", "tag", "touch", "visit", "profile"])
async def test_what_was_under_way_writes_nothing_onto_the_dead(studio, ann, late):
    await delete(studio, ann.caller)
    before = await everything(studio)
    async with studio.mina.database.begin() as session:
        if late == "reference":
            await buyers.keep_deposit_ref(session, ann.caller.pass_id, "f" * 64)
        if late == "tag":
            await buyers.settle_tag(session, ann.caller.pass_id, "77", "done")
    if late == "touch":
        await studio.passes.touch(ann.caller.pass_id)
    if late == "visit":
        with pytest.raises(NotFound):
            await studio.sessions.start(ann.caller, NewSession(title=CANARY))
    if late == "profile":
        with pytest.raises(Conflict):
            await studio.profiles.update(ann.caller, {"display_name": CANARY})
    assert await everything(studio) == before


async def test_who_follows_the_balance_is_told_the_end(studio):
    guest = await studio.person(matcha=2)
    following = studio.credits.follow(guest.pass_id)
    assert (await anext(following)).balance == 2
    await delete(studio, guest)
    assert [row async for row in following] == []


# ---------------------------------------------------------------- objects


async def test_every_object_of_the_pass_and_its_aliases_is_removed(studio, ann):
    await studio.picture(ann.caller)
    waiting = await studio.assets.create_upload(ann.caller, "image/png", "p.png", len(PNG))
    await studio.stage(waiting.key)
    assert len(await objects(studio, *ann.passes)) >= 4  # two uploads, one that waits, a picture that was made
    await delete(studio, ann.caller)
    assert await objects(studio, *ann.passes) == []


async def test_what_comes_late_is_removed_too_and_then_the_note_is_gone(studio, ann):
    """A signed upload or a run may still write after the first removal."""
    waiting = await studio.assets.create_upload(ann.caller, "image/png", "p.png", len(PNG))
    await delete(studio, ann.caller)
    await studio.stage(waiting.key)
    assert await studio.accounts.remove_due() == 0  # not yet: one listing of the store a Pass, not one a round
    assert await due(studio) == [ann.caller.pass_id]
    await time_goes_by(studio)
    assert await studio.accounts.remove_due() == 1
    assert (await objects(studio, *ann.passes), await due(studio)) == ([], [])
    assert await studio.accounts.remove_due() == 0
    assert orjson.loads((await row_of(studio, ann.caller.pass_id))["mg_meta"]) == {"erased": True}


@pytest.mark.parametrize("fault", [StorageError("away"), TimeoutError()], ids=["away", "slow"])
async def test_a_store_that_is_away_neither_stops_the_deletion_nor_loses_what_is_to_be_removed(studio, ann, monkeypatch, fault):
    async def away(_: str) -> int:
        raise fault

    files = await objects(studio, *ann.passes)
    with monkeypatch.context() as broken:
        broken.setattr(studio.mina.store, "remove_all", away)
        await delete(studio, ann.caller)
        assert await studio.accounts.remove_due() == 0
    assert await objects(studio, *ann.passes) == files != []
    assert await studio.accounts.remove_due() == len(files)
    assert await objects(studio, *ann.passes) == []


async def test_a_database_that_goes_away_right_after_the_commit_takes_nothing_back(studio, monkeypatch):
    async def away(**_: Any) -> int:
        raise DatabaseAway

    guest = await studio.person()
    monkeypatch.setattr(studio.mina.services.accounts, "remove_due", away)
    await delete(studio, guest)
    assert await studio.seen(guest.pass_id) is NOBODY


async def test_a_crash_right_after_the_commit_loses_nothing(studio, ann, monkeypatch):
    class Killed(BaseException):
        """What a SIGKILL looks like from inside: nothing more is done."""

    async def killed(**_: Any) -> int:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(studio.mina.services.accounts, "remove_due", killed)
        with pytest.raises(Killed):
            await delete(studio, ann.caller)
    assert await canaries(studio) == []
    assert await studio.accounts.remove_due() > 0
    assert await objects(studio, *ann.passes) == []


async def test_the_worker_s_housekeeping_removes_what_is_due(studio):
    chores = [chore.__qualname__ for chore in studio.mina.worker._reconcile._chores]
    assert "AccountService.remove_due" in chores


# ---------------------------------------------------------------- what was under way


async def test_what_is_unfinished_is_cancelled_with_its_refund_first(studio):
    guest = await studio.person(matcha=3)
    waiting = (await studio.orders.create(guest, BRIEF)).generation
    await delete(studio, guest)
    row = await studio.sql.fetchrow(
        "select mg_mma_status, mg_error, mg_deleted_at from mega_generations where mg_id = $1", waiting.id
    )
    assert (row["mg_mma_status"], row["mg_error"]) == ("error", "CANCELLED")
    assert row["mg_deleted_at"] is not None
    assert await studio.entries(guest) == [("adjustment", 3), ("charge", -1), ("refund", 1), ("expiry", -3)]
    await studio.mina.runner.run(waiting.id)  # its job still comes: there is nothing to do
    assert (await studio.counts()).get("mma_step", 0) == 0


async def test_a_cancelled_paid_call_is_still_known_to_who_tells_the_vendor(studio):
    guest = await studio.person(matcha=1)
    paid = (await studio.orders.create(guest, BRIEF)).generation
    step = {
        "generation_id": paid.generation_id,
        "parent_id": paid.id,
        "step_no": 0,
        "step_type": "seedream_generate",
        "mma_mode": "still",
    }
    started = datetime.now(UTC).isoformat()
    timing = orjson.dumps({"input": {"prompt": CANARY}, "timing": {"started_at": started}}).decode()
    meta = '{"index": 0, "sent_at": "now", "prediction_id": "p-1"}'
    await studio.row("mma_step", f"{paid.generation_id}:0", guest, status="running", payload=timing, meta=meta, **step)
    await delete(studio, guest)
    left = await studio.sql.fetchrow("select mg_meta, mg_payload from mega_generations where mg_record_type = 'mma_step'")
    assert tuple(left) == ('{"prediction_id": "p-1"}', None)


async def test_a_generation_that_was_taken_out_of_the_archive_is_erased_too(studio, ann):
    gone = await studio.row("generation", "gone", ann.caller, mma_status="done", prompt=CANARY, meta='{"cost": 1}')
    await studio.sql.execute("update mega_generations set mg_deleted_at = '2026-01-01Z' where mg_id = $1", gone)
    await delete(studio, ann.caller)
    assert await canaries(studio) == []
    when = await studio.sql.fetchval("select mg_deleted_at::date::text from mega_generations where mg_id = $1", gone)
    assert when == "2026-01-01"


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("word", ["", "delete", "DELETE ", "yes"])
async def test_without_the_word_nothing_happens(studio, ann, word):
    before = await everything(studio)
    with pytest.raises(InvalidInput) as refused:
        await studio.accounts.delete(ann.caller, word)
    assert refused.value.field == ["confirm"]
    assert await everything(studio) == before


async def test_who_proves_no_pass_or_is_switched_off_deletes_nothing(studio):
    """A Pass that was switched off would be back with the next login, as new."""
    with pytest.raises(Unauthenticated):
        await delete(studio, NOBODY)
    guest = await studio.disable(await studio.person())
    with pytest.raises(AccountDisabled):
        await delete(studio, guest)
    assert (await row_of(studio, guest.pass_id))["mg_deleted_at"] is None


async def test_the_bearer_of_an_id_that_was_signed_in_to_deletes_nothing(studio):
    guest = await studio.person(matcha=1)
    waiting = (await studio.orders.create(guest, BRIEF)).generation
    who = login()
    await sign_in(studio, who, guest.pass_id)
    with pytest.raises(Conflict):
        await delete(studio, guest)
    assert (await studio.generations.own(guest.pass_id, waiting.id)).status == "queued"
    another = await studio.person()
    await sign_in(studio, who, another.pass_id)
    with pytest.raises(Conflict):
        await delete(studio, another)


async def test_twice_changes_nothing(studio, ann):
    await delete(studio, ann.caller)
    before = await everything(studio)
    await delete(studio, ann.caller)
    assert await everything(studio) == before


# ---------------------------------------------------------------- the guards of the database


async def test_nothing_is_ever_added_to_an_erased_pass(studio):
    guest = await studio.person()
    await delete(studio, guest)
    with pytest.raises(asyncpg.RestrictViolationError, match="erased"):
        await studio.row("session", "late", guest, title=CANARY)
    await studio.row("session", "fine", await studio.person(), title="somebody else's")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await studio.row("session", "nobody", Caller("pass:anon:nobody", ADDRESS))


async def test_a_pass_with_matcha_or_unfinished_work_is_not_erased(studio):
    rich, busy = await studio.person(matcha=1), await studio.person()
    await studio.row("generation", "busy", busy, mma_status="queued")
    for caller, why in ((rich, "written off"), (busy, "ended")):
        with pytest.raises(asyncpg.RestrictViolationError, match=why):
            await studio.sql.execute("select ops.erase_pass($1)", caller.pass_id)
        assert (await row_of(studio, caller.pass_id))["mg_deleted_at"] is None
    assert await studio.sql.fetchval("select ops.erase_pass('pass:anon:nobody')") is None


async def test_only_the_owner_of_the_tables_may_erase(studio):
    everybody = "select has_function_privilege('public', 'ops.erase_pass(text)', 'execute')"
    assert await studio.sql.fetchval(everybody) is False


async def test_the_door_is_shut_again_behind_an_erasure(studio):
    guest, other = await studio.person(), await studio.person()
    said = await studio.row("feedback", "said", other, comment="mine")
    with pytest.raises(asyncpg.RestrictViolationError, match="insert-only"):
        async with studio.sql.transaction():
            await studio.sql.execute("select ops.erase_pass($1)", guest.pass_id)
            await studio.sql.execute("update mega_generations set mg_comment = null where mg_id = $1", said)
