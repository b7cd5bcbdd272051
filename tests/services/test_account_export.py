"""Everything of one's own, in one document (FEATURES N6, B5): complete, nobody else's, and without internals."""

from dataclasses import replace

import orjson
import pytest

from mina_gql.domain.errors import Conflict, GenerationFailed, Unauthenticated
from mina_gql.domain.pipeline import EventType
from mina_gql.mega.generations import events
from mina_gql.services import accounts
from mina_gql.services.sessions import NewSession
from tests.identity.edge import caller_of, login, sign_in
from tests.studio import BRIEF, NOBODY

INTERNAL = (
    "mg_",
    "lease",
    "input_hash",
    "attempts",
    "orig_pass_id",
    "deposit_ref",
    "minted",
    "owner_tags",
    "ctx_id",
    'payload":{"input',
)


async def document(studio, caller):
    """The export as it goes over the wire."""
    return orjson.loads(orjson.dumps(await studio.accounts.export(caller)))


@pytest.fixture
async def ann(studio):
    """Somebody signed in, with one of everything; a guest's Pass was merged into theirs."""
    who = login(email="ann@mina.example")
    await sign_in(studio, who)
    guest = await studio.person(matcha=9)
    visit = await studio.sessions.start(guest, NewSession(title="Evening", platform="web", meta={"screen": [390, 844]}))
    picture = await studio.picture(guest)
    order = replace(BRIEF, session_id=visit.id, product_image_url=picture)
    made = (await studio.orders.create(guest, order)).generation
    await studio.mina.runner.run(made.id)
    failed = (await studio.orders.create(guest, BRIEF)).generation
    await studio.mina.endings.fail(failed.id, GenerationFailed("MODERATED", "Not this one, sorry."), lease=None)
    await studio.row("feedback", "said", guest, comment="lovely light", generation_id=made.generation_id)
    await sign_in(studio, who, guest.pass_id)
    caller = await caller_of(studio, who)
    async with studio.mina.database.begin() as session:
        await events.insert(
            session, caller.pass_id, EventType.LIKE, generation_id=made.generation_id, payload={"context": "archive"}
        )
    await studio.profiles.update(caller, {"display_name": "Ann", "timezone": "Asia/Dubai"})
    return caller


async def test_the_document_has_everything_of_the_person(studio, ann):
    told = await document(studio, ann)
    lists = {"sessions", "generations", "events", "feedback", "truncated"}
    assert set(told) == {"exportedAt", "profile", "preferences", "credits", *lists}
    profile = told["profile"]
    assert (profile["email"], profile["displayName"], profile["timezone"]) == ("ann@mina.example", "Ann", "Asia/Dubai")
    assert profile["userId"] == ann.login.user_id
    assert profile["verification"]["email"] is True
    assert told["preferences"] == {}
    (session,) = told["sessions"]
    assert (session["title"], session["platform"], session["meta"]) == ("Evening", "web", {"screen": [390, 844]})
    failed, made = told["generations"]
    assert (made["status"], made["cost"], made["kind"]) == ("done", 1, "still")
    assert made["outputUrl"].startswith("http")
    assert made["vars"]["inputs"]["brief"] == BRIEF.brief
    assert made["vars"]["userMessages"]["scan_lines"]
    assert made["vars"]["assets"]["product_image_url"]
    assert made["sessionId"] == session["sessionId"]
    assert (failed["error"], failed["failure"]["message"]) == ("MODERATED", "Not this one, sorry.")
    assert {event["type"] for event in told["events"]} == {"create", "like"}
    assert next(event["payload"] for event in told["events"] if event["type"] == "like") == {"context": "archive"}
    assert [said["comment"] for said in told["feedback"]] == ["lovely light"]
    assert told["truncated"] == []


async def test_the_ledger_is_whole_with_that_of_the_passes_that_were_merged_in(studio, ann):
    """DESIGN section 4: ledger rows stay with the alias, and are the person's all the same."""
    credits = (await document(studio, ann))["credits"]
    reasons = [entry["reason"] for entry in credits["transactions"]]
    assert sorted(reasons) == ["adjustment", "charge", "charge", "merge_in", "merge_out", "refund"]
    assert sum(entry["delta"] for entry in credits["transactions"]) == credits["balance"] == 8
    count = await studio.sql.fetchval("select count(*) from mega_generations where mg_record_type = 'credit_transaction'")
    assert len(reasons) == count


async def test_nothing_internal_and_no_key_to_the_pass_is_in_it(studio, ann):
    text = orjson.dumps(await studio.accounts.export(ann)).decode()
    assert [name for name in INTERNAL if name in text] == []
    stranger = await studio.person()
    for pass_id in (ann.pass_id, stranger.pass_id):
        assert pass_id not in text
    passes = await studio.sql.fetch("select mg_pass_id from mega_customers where mg_pass_id like 'pass:anon:%'")
    assert all(row[0] not in text for row in passes)


async def test_nobody_else_s_rows_are_in_it_and_what_was_deleted_is_not(studio, ann):
    stranger = await studio.person(matcha=1)
    await studio.sessions.start(stranger, NewSession(title="Somebody else's"))
    await studio.row("feedback", "gone", ann, comment="taken back")
    await studio.sql.execute(
        "update mega_generations set mg_deleted_at = now() where mg_record_type = 'session' and mg_pass_id = $1", ann.pass_id
    )
    told = await document(studio, ann)
    assert told["sessions"] == []
    assert "Somebody else's" not in orjson.dumps(told).decode()
    (only,) = (await document(studio, stranger))["sessions"]
    assert only["title"] == "Somebody else's"


async def test_long_lists_are_read_page_by_page_without_a_gap(studio, monkeypatch):
    monkeypatch.setattr(accounts, "PAGE_ROWS", 7)
    caller = await studio.person()
    for number in range(30):
        await studio.row("feedback", str(number), caller, comment=str(number))
    told = await document(studio, caller)
    assert [said["comment"] for said in told["feedback"]] == [str(number) for number in reversed(range(30))]


@pytest.mark.parametrize(("limit", "value"), [("EXPORT_ROWS", 10), ("EXPORT_BYTES", 1_500)])
async def test_an_account_that_is_too_large_is_cut_and_says_where(studio, monkeypatch, limit, value):
    monkeypatch.setattr(accounts, limit, value)
    caller = await studio.person(matcha=3)
    for number in range(30):
        await studio.row("feedback", str(number), caller, comment=str(number))
    told = await document(studio, caller)
    assert told["truncated"] == ["feedback"]
    assert 0 < len(told["feedback"]) < 30
    assert len(told["credits"]["transactions"]) == 1
    assert told["feedback"][0]["comment"] == "29"


async def test_matcha_that_has_expired_is_written_off_before_it_is_told(studio):
    caller = await studio.person(matcha=4)
    await studio.expire(caller)
    credits = (await document(studio, caller))["credits"]
    assert credits["balance"] == sum(entry["delta"] for entry in credits["transactions"]) == 0
    await studio.check_books()


async def test_an_empty_account_and_one_that_is_switched_off_may_be_had(studio):
    caller = await studio.person()
    told = await document(studio, caller)
    assert (told["generations"], told["events"], told["feedback"], told["sessions"]) == ([], [], [], [])
    assert (await document(studio, await studio.disable(caller)))["profile"]["disabled"] is True


async def test_who_proves_no_pass_gets_nothing(studio):
    with pytest.raises(Unauthenticated):
        await studio.accounts.export(NOBODY)
    gone = await studio.person()
    await sign_in(studio, who := login())
    await sign_in(studio, who, gone.pass_id)
    with pytest.raises(Conflict):
        await studio.accounts.export(gone)
