"""Signals: an event and the snapshot it makes, in one transaction; the window of likes; taste at a merge (FEATURES H, M)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from mina_gql.domain import taste
from mina_gql.domain.errors import AccountDisabled, InvalidInput, NotFound, Unauthenticated
from mina_gql.domain.generations import MotionOrder
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import EventType
from mina_gql.domain.taste import HARD_BLOCK, MAX_SETTINGS, Signal, Snapshot
from mina_gql.mega import customers
from mina_gql.mega.database import decode
from mina_gql.mega.generations import events
from mina_gql.services.sessions import NewSession
from tests.identity.edge import login, sign_in
from tests.studio import BRIEF, NOBODY, Studio, counted

EMPTY = {"hard_blocks": [], "tag_weights": {}, "updated_at": None, "source": "mma"}


async def made(studio: Studio, caller: Caller, name: str, prompt: str = "Velvet.", **columns: Any) -> str:
    """A finished picture; its global id."""
    row = {
        "generation_id": name,
        "mma_mode": "still",
        "mma_status": "done",
        "prompt": prompt,
        "output_url": f"http://x/{name}.png",
    }
    return await studio.row("generation", name, caller, **row | columns)


async def noted(studio: Studio, caller: Caller, *kinds: str) -> list[dict[str, Any]]:
    """The events of a Pass, oldest first, of these types or all."""
    rows = await studio.sql.fetch(
        "select * from mega_generations where mg_pass_id = $1 and mg_record_type = 'mma_event' order by mg_created_at, mg_id",
        caller.pass_id,
    )
    found = [dict(row) | orjson.loads(row["mg_meta"]) for row in rows]
    return [row for row in found if not kinds or row["event_type"] in kinds]


async def rebuilt(studio: Studio, caller: Caller) -> dict[str, Any]:
    """The snapshot made from the rows of events alone, as anybody could who reads them."""
    signals = [
        Signal(row["mg_id"], EventType(row["event_type"]), row["mg_created_at"], row["mg_generation_id"], row["payload"])
        for row in await noted(studio, caller, *taste.SIGNALS)
    ]
    return taste.rebuild(signals)._asdict()


async def snapshot(studio: Studio, caller: Caller) -> dict[str, Any]:
    text = await studio.sql.fetchval("select mg_mma_preferences from mega_customers where mg_pass_id = $1", caller.pass_id)
    return orjson.loads(text)


async def updated(studio: Studio, caller: Caller) -> datetime | None:
    return await studio.sql.fetchval(
        "select mg_mma_preferences_updated_at from mega_customers where mg_pass_id = $1", caller.pass_id
    )


async def back_in_time(studio: Studio, caller: Caller, name: str, kind: str, days: float, **payload: Any) -> str:
    """An event as it would stand there had it come so many days ago."""
    at = datetime.now(UTC) - timedelta(days=days)
    meta = orjson.dumps({"event_type": kind, "payload": payload}).decode()
    n = (await studio.counts()).get("mma_event", 0)
    return await studio.row("mma_event", f"{n}", caller, generation_id=name, meta=meta, created_at=at)


# ---------------------------------------------------------------- likes and dislikes


async def test_a_like_is_an_event_with_its_tags_and_the_snapshot_moves_with_it(studio):
    """FEATURES H4, H6, M1."""
    caller = await studio.person()
    id_ = await made(studio, caller, "a", "Velvet on travertine.")
    told = await studio.signals.like(caller, id_, context="studio_right_panel")
    (event,) = await noted(studio, caller)
    assert (event["event_type"], event["mg_generation_id"], event["mg_id"]) == ("like", "a", told.event.id)
    assert event["payload"] == {"value": True, "context": "studio_right_panel", "tags": ["velvet", "travertine"]}
    assert (told.generation.id, told.owner.id) == (id_, caller.pass_id)
    kept = await snapshot(studio, caller)
    assert kept == await rebuilt(studio, caller) == decode(told.owner.preferences)
    assert list(kept) == ["source", "updated_at", "hard_blocks", "tag_weights"]  # jsonb orders by length; nothing else is there
    assert kept["tag_weights"] == {"velvet": 1.0, "travertine": 1.0}
    assert await updated(studio, caller) is not None


async def test_a_like_taken_back_leaves_the_snapshot_as_it_was_and_the_column_moves_on(studio):
    caller = await studio.person()
    first, second = await made(studio, caller, "a", "Silk."), await made(studio, caller, "b", "Velvet.")
    await studio.signals.like(caller, first)
    before, at = await snapshot(studio, caller), await updated(studio, caller)
    await studio.signals.like(caller, second)
    assert (await snapshot(studio, caller))["tag_weights"]["velvet"] == 1.0
    await studio.signals.like(caller, second, value=False)
    assert await snapshot(studio, caller) == before
    assert await updated(studio, caller) > at


async def test_saying_it_again_adds_nothing_and_gives_what_stands(studio):
    """FEATURES M1, M2: the last counts, idempotent; a dislike takes the place of a like."""
    caller, say = await studio.person(), studio.signals
    id_ = await made(studio, caller, "a")
    assert (await say.like(caller, id_, value=False)).event is None, "nothing to take back"
    assert (await say.dislike(caller, id_, value=False)).event is None
    assert await noted(studio, caller) == []
    like = (await say.like(caller, id_)).event.id
    assert (await say.like(caller, "a")).event.id == like, "the bare id is the same picture"
    assert (await say.dislike(caller, id_, value=False)).event.id == like, "a like is no dislike to be taken back"
    dislike = (await say.dislike(caller, id_)).event.id
    assert (await say.dislike(caller, id_)).event.id == dislike
    assert (await say.like(caller, id_, value=False)).event.id == dislike
    assert await studio.taste.liked(["a"]) == {"a": False}
    assert (await snapshot(studio, caller))["tag_weights"] == {"velvet": -1.0}
    taken = (await say.dislike(caller, id_, value=False)).event.id
    assert (await say.dislike(caller, id_, value=False)).event.id == taken
    assert (await snapshot(studio, caller))["tag_weights"] == {}
    assert [(row["event_type"], row["payload"]["value"]) for row in await noted(studio, caller)] == [
        ("like", True),
        ("dislike", True),
        ("dislike", False),
    ]


async def test_the_tags_of_an_event_are_those_of_that_time(studio):
    """Rebuilding needs events alone: what becomes of the picture changes nothing."""
    caller = await studio.person()
    await studio.signals.like(caller, await made(studio, caller, "a", "Velvet."))
    before = await snapshot(studio, caller)
    await studio.sql.execute("update mega_generations set mg_deleted_at = now() where mg_id = 'generation:a'")
    assert await rebuilt(studio, caller) == before


async def test_pictures_from_before_mma_can_be_liked(studio):
    caller = await studio.person()
    old = await made(studio, caller, "old", mma_mode=None, mma_status=None, status="succeeded", type="image")
    assert (await studio.signals.like(caller, old)).event.type == "like"
    assert (await studio.taste.history(caller.pass_id, vision_intelligence=True)).prompts == ["Velvet."]


# ---------------------------------------------------------------- what is refused

SAYING = {
    "like": lambda say, caller, id_: say.like(caller, id_),
    "dislike": lambda say, caller, id_: say.dislike(caller, id_),
    "download": lambda say, caller, id_: say.record_download(caller, id_),
    "feedback": lambda say, caller, id_: say.send_feedback(caller, id_, "Nice."),
}
SETTING = {
    "set": lambda say, caller, _: say.set_preference(caller, "silk", 1, None),
    "clear": lambda say, caller, _: say.clear_preference(caller, "silk"),
    "reset": lambda say, caller, _: say.reset_preferences(caller),
}


async def test_only_what_is_one_s_own_and_there_can_be_judged(studio):
    caller, other = await studio.person(), await studio.person()
    theirs, gone = await made(studio, other, "theirs"), await made(studio, caller, "gone", deleted_at=datetime.now(UTC))
    for say in SAYING.values():
        for id_ in (theirs, gone, "generation:never", "", "\x00", f"pass:{caller.pass_id}"):
            with pytest.raises(NotFound):
                await say(studio.signals, caller, id_)
    assert await noted(studio, caller) == await noted(studio, other) == []


async def test_what_is_not_done_cannot_be_judged_yet_and_it_says_what_to_do(studio):
    caller = await studio.person()
    for status, advice in {"queued": "Wait", "generating": "Wait", "error": "Try it again"}.items():
        id_ = await made(studio, caller, status, mma_status=status)
        for say in SAYING.values():
            with pytest.raises(InvalidInput, match=advice):
                await say(studio.signals, caller, id_)


async def test_nobody_and_a_disabled_pass_say_nothing(studio):
    caller = await studio.person()
    id_ = await made(studio, caller, "a")
    off = await studio.disable(caller)
    for say in (SAYING | SETTING).values():
        with pytest.raises(Unauthenticated):
            await say(studio.signals, NOBODY, id_)
        with pytest.raises(AccountDisabled):
            await say(studio.signals, off, id_)
    assert await noted(studio, caller) == []


async def test_a_pass_that_is_gone_meanwhile_says_nothing(studio):
    caller = await studio.person()
    id_ = await made(studio, caller, "a")
    await studio.sql.execute("update mega_customers set mg_deleted_at = now() where mg_pass_id = $1", caller.pass_id)
    for say in (SAYING | SETTING).values():
        with pytest.raises(NotFound, match="ensurePass"):
            await say(studio.signals, caller, id_)
    assert await noted(studio, caller) == []


# ---------------------------------------------------------------- context and visits


@pytest.mark.parametrize("what", SAYING | SETTING)
async def test_the_visit_of_the_request_is_noted(studio, what):
    caller = await studio.person()
    id_ = await made(studio, caller, "a")
    await studio.signals.set_preference(caller, "silk", 5, None)
    visit = await studio.sessions.start(caller, NewSession())
    await (SAYING | SETTING)[what](studio.signals, replace(caller, session_id=visit.session_id), id_)
    rows = await studio.sql.fetch(
        "select mg_session_id from mega_generations where mg_record_type in ('mma_event', 'feedback') and mg_session_id is not null"
    )
    assert {row[0] for row in rows} == {visit.session_id}
    assert len(rows) == (2 if what == "feedback" else 1)


async def test_a_visit_of_somebody_else_is_no_visit(studio):
    caller, other = await studio.person(), await studio.person()
    visit = await studio.sessions.start(other, NewSession())
    with pytest.raises(NotFound, match="startSession"):
        await studio.signals.like(replace(caller, session_id=visit.session_id), await made(studio, caller, "a"))


async def test_a_context_is_plain_text_of_at_most_two_hundred_characters(studio):
    caller = await studio.person()
    id_ = await made(studio, caller, "a")
    await studio.signals.record_download(caller, id_, context="\x00 " + "x" * 300)
    await studio.signals.record_download(caller, id_, context=" ")
    first, second = await noted(studio, caller)
    assert first["payload"]["context"] == "x" * 200
    assert "context" not in second["payload"]


# ---------------------------------------------------------------- downloads and feedback


async def test_each_download_is_an_event_and_counts_once_for_taste(studio):
    """FEATURES M3, H6."""
    caller = await studio.person()
    id_ = await made(studio, caller, "a", "Velvet.")
    ids = [(await studio.signals.record_download(caller, id_)).event.id for _ in range(3)]
    assert [row["mg_id"] for row in await noted(studio, caller, "download")] == ids
    assert (await snapshot(studio, caller))["tag_weights"] == {"velvet": 0.3}
    assert await studio.taste.liked(["a"]) == {}


@pytest.mark.parametrize("mode", ["still", "video"])
async def test_feedback_is_an_event_and_a_row_and_makes_and_costs_nothing(studio, mode):
    """FEATURES M4, M7."""
    caller = await studio.person(matcha=9)
    before = await studio.counts()
    id_ = await made(studio, caller, "a", mma_mode=mode, output_url="http://x/a")
    told = await studio.signals.send_feedback(caller, id_, "  Nice motion, but too fast. ", context="animation_right_panel")
    (event,) = await noted(studio, caller)
    assert event["payload"] == {"context": "animation_right_panel", "text": "Nice motion, but too fast."}
    assert (told.event.type, told.event.generation_id) == ("feedback", "a")
    (row,) = await studio.sql.fetch("select * from mega_generations where mg_record_type = 'feedback'")
    assert row["mg_id"] == event["mg_id"].replace("mma_event:", "feedback:")
    assert (row["mg_pass_id"], row["mg_generation_id"], row["mg_comment"]) == (caller.pass_id, "a", "Nice motion, but too fast.")
    assert (row["mg_image_url"], row["mg_video_url"]) == ((None, "http://x/a") if mode == "video" else ("http://x/a", None))
    assert row["mg_result_type"] == ("motion" if mode == "video" else "image")
    after = await studio.counts()
    assert {kind: n - before.get(kind, 0) for kind, n in after.items() if n != before.get(kind, 0)} == {
        "generation": 1,  # the one made above
        "mma_event": 1,
        "feedback": 1,
    }
    assert await studio.balance(caller) == 9
    assert await snapshot(studio, caller) == {}


@pytest.mark.parametrize(("text", "told"), [("", "few words"), (" \n\x00", "few words"), ("x" * 4_001, "4,000")])
async def test_feedback_has_words_and_not_too_many(studio, text, told):
    caller = await studio.person()
    id_ = await made(studio, caller, "a")
    with pytest.raises(InvalidInput, match=told):
        await studio.signals.send_feedback(caller, id_, text)
    await studio.signals.send_feedback(caller, id_, "x" * 4_000)


# ---------------------------------------------------------------- settings


async def test_a_setting_is_an_event_and_a_weight_until_it_is_cleared(studio):
    """FEATURES H5, H7, M5."""
    caller, say = await studio.person(), studio.signals
    await say.like(caller, await made(studio, caller, "a", "Velvet."))
    learned = await snapshot(studio, caller)
    owner = await say.set_preference(caller, " Velvet ", -3.5, None)
    assert decode(owner.preferences)["tag_weights"] == {"velvet": -3.5}
    await say.set_preference(caller, "motion.light_flicker", None, True)
    await say.set_preference(caller, "motion.light_flicker", None, True)
    kept = await snapshot(studio, caller)
    assert (kept["hard_blocks"], kept["tag_weights"]["motion.light_flicker"]) == (["motion.light_flicker"], HARD_BLOCK)
    assert await studio.taste.blocks(caller.pass_id) == ["motion.light_flicker"]
    await say.set_preference(caller, "motion.light_flicker", None, False)
    await say.set_preference(caller, "never.blocked", None, False)
    await say.clear_preference(caller, "VELVET")
    await say.clear_preference(caller, "velvet")
    assert await snapshot(studio, caller) == learned == await rebuilt(studio, caller)
    assert [row["payload"] for row in await noted(studio, caller, "preference_set")] == [
        {"action": "set", "tag": "velvet", "weight": -3.5},
        {"action": "set", "tag": "motion.light_flicker", "weight": HARD_BLOCK, "hard_block": True},
        {"action": "clear", "tag": "motion.light_flicker"},
        {"action": "clear", "tag": "velvet"},
    ]


async def test_a_reset_forgets_and_a_like_after_it_teaches_again(studio):
    """FEATURES H7; likes keep their mark in the archive."""
    caller, say = await studio.person(), studio.signals
    await say.reset_preferences(caller)
    assert await noted(studio, caller) == [], "nothing to forget"
    id_ = await made(studio, caller, "a", "Velvet.")
    await say.like(caller, id_)
    await say.set_preference(caller, "silk", 2, None)
    owner = await say.reset_preferences(caller)
    assert decode(owner.preferences) == EMPTY == await rebuilt(studio, caller)
    assert await studio.taste.liked(["a"]) == {"a": True}
    assert (await studio.taste.history(caller.pass_id, vision_intelligence=True)).prompts == []
    await say.like(caller, id_)
    assert (await snapshot(studio, caller))["tag_weights"] == {"velvet": 1.0}
    assert (await studio.taste.history(caller.pass_id, vision_intelligence=True)).prompts == ["Velvet."]
    await say.reset_preferences(caller)
    await say.like(caller, id_, value=False)
    assert await studio.taste.liked(["a"]) == {"a": False}, "a like from before a reset can still be taken back"
    assert await snapshot(studio, caller) == EMPTY


async def test_so_many_tags_can_be_set_and_no_more(studio):
    caller = await studio.person()
    many = {f"tag {n}": 1.0 for n in range(MAX_SETTINGS)}
    meta = {"event_type": "preference_set", "payload": {"action": "import", "hard_blocks": [*many]}}
    await studio.row("mma_event", "many", caller, meta=orjson.dumps(meta).decode())
    with pytest.raises(InvalidInput, match="Clear one first"):
        await studio.signals.set_preference(caller, "one more", 1, None)
    await studio.signals.set_preference(caller, "tag 7", 1, None)
    await studio.signals.clear_preference(caller, "tag 8")
    await studio.signals.set_preference(caller, "one more", 1, None)
    assert await snapshot(studio, caller) == await rebuilt(studio, caller)


# ---------------------------------------------------------------- one transaction, whatever happens at the same time


async def test_event_and_snapshot_are_written_together_or_not_at_all(studio, monkeypatch):
    """FEATURES M5."""
    caller = await studio.person()
    id_ = await made(studio, caller, "a")
    await studio.signals.set_preference(caller, "silk", 5, None)
    before, rows = await snapshot(studio, caller), await studio.counts()

    async def fail(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(customers, "set_preferences", fail)
    monkeypatch.setattr("mina_gql.services.signals.feedback.insert", fail)
    for say in (SAYING | SETTING).values():
        with pytest.raises(RuntimeError, match="on purpose"):
            await say(studio.signals, caller, id_)
    assert (await snapshot(studio, caller), await studio.counts()) == (before, rows)


async def test_likes_and_unlikes_at_once_leave_the_snapshot_that_their_events_make(studio):
    """FEATURES H6: fifty of them at the same picture."""
    caller = await studio.person()
    id_ = await made(studio, caller, "a", "Velvet on travertine.")
    await asyncio.gather(*(studio.signals.like(caller, id_, value=n % 2 == 0) for n in range(50)))
    said = [row["payload"]["value"] for row in await noted(studio, caller, "like")]
    assert said == [n % 2 == 0 for n in range(len(said))], "a like and an unlike take turns: neither is said twice"
    assert await snapshot(studio, caller) == await rebuilt(studio, caller)
    assert await studio.taste.liked(["a"]) == {"a": said[-1]}


async def test_the_same_like_twenty_times_at_once_is_one_event(studio):
    caller = await studio.person()
    id_ = await made(studio, caller, "a")
    told = await asyncio.gather(*(studio.signals.like(caller, id_) for _ in range(20)))
    assert len({each.event.id for each in told}) == len(await noted(studio, caller)) == 1


async def test_signals_of_every_kind_at_once_lose_none(studio):
    caller, say = await studio.person(), studio.signals
    ids = [await made(studio, caller, f"{n}", f"Velvet {'abcdefgh'[n] * 5}.") for n in range(8)]
    work = [say.like(caller, id_) for id_ in ids[:4]] + [say.dislike(caller, id_) for id_ in ids[4:6]]
    work += [say.record_download(caller, id_) for id_ in ids] + [say.send_feedback(caller, id_, "Nice.") for id_ in ids]
    work += [say.set_preference(caller, f"silk {n}", n, None) for n in range(5)]
    await asyncio.gather(*work)
    kept = await snapshot(studio, caller)
    assert kept == await rebuilt(studio, caller)
    assert len(await noted(studio, caller)) == len(work)
    assert kept["tag_weights"]["velvet"] == pytest.approx(4 - 2 + 0.3 * 6, abs=0.01)


async def test_the_signals_of_a_pass_and_the_likes_of_a_page_are_found_by_an_index(studio):
    caller = await studio.person()
    await studio.sql.execute("insert into mega_customers (mg_pass_id) select 'pass:anon:' || n from generate_series(1, 300) n")
    await studio.sql.execute(
        """insert into mega_generations (mg_id, mg_record_type, mg_pass_id, mg_generation_id, mg_meta)
        select 'mma_event:' || n, 'mma_event', 'pass:anon:' || (n % 300 + 1), n::text, '{"event_type": "like"}'
        from generate_series(1, 9000) n"""
    )
    await studio.sql.execute("analyze mega_generations")
    for query, values, column in (
        (events.SIGNALS, {"pass_ids": [caller.pass_id]}, "mg_pass_id"),
        (events.LIKES, {"generation_ids": [str(n) for n in range(50)]}, "mg_generation_id"),
        (events.LIKED, {"pass_id": caller.pass_id, "window": 5}, "mg_pass_id"),
    ):
        plan = [row[0] for row in await studio.sql.fetch(f"explain {query.text}", *query.arguments(values))]
        assert any("Index Cond" in line and column in line for line in plan), plan
        assert not any("Seq Scan on mega_generations" in line for line in plan), plan


# ---------------------------------------------------------------- merging


async def test_after_a_merge_taste_is_rebuilt_from_all_that_was_ever_said(studio):
    """DESIGN section 4; FEATURES M8."""
    first, second = await studio.person(), await studio.person()
    await studio.signals.like(first, await made(studio, first, "a", "Velvet."))
    await studio.signals.set_preference(first, "glitter", None, True)
    await studio.signals.set_preference(first, "silk", 9, None)
    await studio.signals.dislike(second, await made(studio, second, "b", "Neon."))
    await studio.signals.set_preference(second, "silk", -9, None)
    who = login(email="someone@mina.example")
    assert (await sign_in(studio, who, second.pass_id)).owner.id == second.pass_id
    merged = await sign_in(studio, who, first.pass_id)
    assert (merged.owner.id, merged.merged is None) == (second.pass_id, False)
    kept = await snapshot(studio, second)
    assert kept == await rebuilt(studio, second) == decode(merged.owner.preferences)
    assert kept["hard_blocks"] == ["glitter"]
    assert kept["tag_weights"] == {"velvet": pytest.approx(1, abs=0.01), "neon": -1.0, "silk": -9.0, "glitter": HARD_BLOCK}
    assert await studio.taste.liked(["a", "b"]) == {"a": True, "b": False}
    assert (await studio.signals.like(second, "a")).event is not None
    assert len(await noted(studio, second, "like")) == 1, "liked on the other device already"


async def test_a_merge_of_passes_that_never_said_anything_keeps_a_snapshot_from_before(studio):
    first, second = await studio.person(), await studio.person()
    old = {"hard_blocks": ["glitter"], "tag_weights": {"glitter": -999}, "updated_at": "2025-12-19T10:00:00Z", "source": "mma"}
    await studio.sql.execute(
        "update mega_customers set mg_mma_preferences = $2 where mg_pass_id = $1", first.pass_id, orjson.dumps(old).decode()
    )
    who = login(email="someone@mina.example")
    await sign_in(studio, who, second.pass_id)
    await sign_in(studio, who, first.pass_id)
    assert await snapshot(studio, second) == old


async def test_signals_during_a_merge_end_up_with_whoever_is_left(studio):
    first, second = await studio.person(), await studio.person()
    ids = [await made(studio, first, f"{n}") for n in range(12)]
    who = login(email="someone@mina.example")
    await sign_in(studio, who, second.pass_id)
    likes = (studio.signals.like(first, id_) for id_ in ids)
    *said, _ = await asyncio.gather(*likes, sign_in(studio, who, first.pass_id), return_exceptions=True)
    assert all(isinstance(each, NotFound) for each in said if isinstance(each, BaseException))
    assert await noted(studio, first) == []
    assert await snapshot(studio, second) in (await rebuilt(studio, second), {})
    assert len(await noted(studio, second)) >= len([each for each in said if not isinstance(each, BaseException)])


# ---------------------------------------------------------------- the window of like_history


async def window(studio: Studio, caller: Caller, *, vision: bool = True) -> tuple[list[str], list[str]]:
    found = await studio.taste.history(caller.pass_id, vision_intelligence=vision)
    return found.prompts, [url.rpartition("/")[2] for url in found.pictures]


async def test_the_window_is_exactly_five_with_pictures_and_prompts_or_twenty_pictures(studio):
    """FEATURES H2."""
    caller = await studio.person()
    for n in range(24):
        await made(studio, caller, f"{n:02}", f"prompt {n:02}")
        await back_in_time(studio, caller, f"{n:02}", "like" if n % 2 else "download", days=n)
    newest = [f"{n:02}" for n in range(24)]
    assert await window(studio, caller) == ([f"prompt {n}" for n in newest[:5]], [f"{n}.png" for n in newest[:5]])
    assert await window(studio, caller, vision=False) == ([], [f"{n}.png" for n in newest[:20]])


async def test_what_drops_out_of_the_window_makes_room_for_the_next(studio):
    """FEATURES H3: unliked, disliked, deleted and failed ones do not count."""
    caller = await studio.person()
    for n in range(12):
        await made(studio, caller, f"{n:02}", f"p{n:02}", mma_status="error" if n == 3 else "done")
        await back_in_time(studio, caller, f"{n:02}", "like", days=100 + n)
    await studio.signals.like(caller, "00", value=False)
    await studio.signals.dislike(caller, "01")
    await studio.sql.execute("update mega_generations set mg_deleted_at = now() where mg_id = 'generation:02'")
    assert (await window(studio, caller))[0] == ["p04", "p05", "p06", "p07", "p08"]
    await studio.signals.record_download(caller, "11")
    assert (await window(studio, caller))[0] == ["p11", "p04", "p05", "p06", "p07"], "a download brings it to the front"


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (["download"], True),
        (["download", "dislike"], False),
        (["download", "dislike", "undislike"], True),
        (["download", "like", "unlike"], False),
        (["like", "dislike", "undislike"], False),
        (["dislike", "like"], True),
        (["feedback"], False),
    ],
)
async def test_the_latest_word_decides_about_the_window(studio, said, counts):
    caller, say = await studio.person(), studio.signals
    id_ = await made(studio, caller, "a")
    words = {
        "like": lambda: say.like(caller, id_),
        "unlike": lambda: say.like(caller, id_, value=False),
        "dislike": lambda: say.dislike(caller, id_),
        "undislike": lambda: say.dislike(caller, id_, value=False),
        "download": lambda: say.record_download(caller, id_),
        "feedback": lambda: say.send_feedback(caller, id_, "Nice."),
    }
    for word in said:
        await words[word]()
    assert await window(studio, caller) == ((["Velvet."], ["a.png"]) if counts else ([], []))


async def test_of_a_clip_the_window_shows_the_still_it_began_with(studio):
    caller = await studio.person()
    vars_ = orjson.dumps({"assets": {"input_still_url": "http://x/still.png"}}).decode()
    clip = await made(studio, caller, "clip", mma_mode="video", output_url="http://x/clip.mp4", mma_vars=vars_)
    await studio.signals.like(caller, clip)
    assert (await window(studio, caller))[1] == ["still.png"]


async def test_the_history_carries_the_snapshot(studio):
    """FEATURES H1, H5."""
    caller = await studio.person()
    await studio.signals.like(caller, await made(studio, caller, "a", "Velvet."))
    await studio.signals.set_preference(caller, "silk", 4, None)
    await studio.signals.set_preference(caller, "neon", -4, None)
    await studio.signals.set_preference(caller, "glitter", None, True)
    history = await studio.taste.history(caller.pass_id, vision_intelligence=True)
    assert history.style_history_csv == "silk,velvet,never:glitter"
    assert history.hard_blocks == await studio.taste.blocks(caller.pass_id) == ["glitter"]
    assert history.tag_weights == {"silk": 4.0, "velvet": 1.0, "neon": -4.0, "glitter": HARD_BLOCK}
    assert await studio.taste.blocks("pass:anon:nobody") == []


async def test_a_hard_block_is_a_constraint_in_every_later_prompt_motion_included(studio):
    """FEATURES H5, L8; and what is liked of a picture that was really made are words of its look."""
    caller = await studio.person(matcha=10)
    await studio.signals.set_preference(caller, "motion.light_flicker", None, True)
    still = (await studio.orders.create(caller, replace(BRIEF, style="moody"))).generation
    await studio.mina.runner.run(still.id)
    liked = await studio.signals.like(caller, still.id)
    assert liked.generation.prompt.endswith("Avoid: motion.light_flicker.")
    assert {"style.moody", "bottle", "wet", "stone", "morning light"} <= set(decode(liked.event.payload)["tags"])
    clip = (await studio.orders.animate(caller, MotionOrder(still.id, motion_prompt="Slow orbit"))).generation
    await studio.mina.runner.run(clip.id)
    moved = await studio.signals.like(caller, clip.id)
    assert moved.generation.prompt.endswith("Avoid: motion.light_flicker.")
    assert not [tag for tag in decode(moved.event.payload)["tags"] if "flicker" in tag]
    assert await snapshot(studio, caller) == await rebuilt(studio, caller)


# ---------------------------------------------------------------- likes and reasons of many


async def test_the_likes_of_many_are_one_query_and_the_latest_word_counts(studio):
    caller = await studio.person()
    for name in ("a", "b", "c", "d"):
        await made(studio, caller, name)
    for name in ("a", "b", "c"):
        await studio.signals.like(caller, name)
    await studio.signals.like(caller, "b", value=False)
    await studio.signals.dislike(caller, "c")
    await studio.signals.record_download(caller, "d")
    with counted(studio.mina.database) as reads:
        assert await studio.taste.liked(["a", "b", "c", "d", "never"]) == {"a": True, "b": False, "c": False}
    assert len(reads) == 1


async def test_reasons_are_the_events_that_moved_a_weight_newest_first(studio):
    caller, other = await studio.person(), await studio.person()
    await studio.signals.like(other, await made(studio, other, "theirs", "Velvet."))
    like = (await studio.signals.like(caller, await made(studio, caller, "a", "Velvet."))).event.id
    download = (await studio.signals.record_download(caller, await made(studio, caller, "b", "Velvet."))).event.id
    await studio.signals.set_preference(caller, "silk", 1, None)
    with counted(studio.mina.database) as reads:
        found = await studio.taste.reasons([caller.pass_id, other.pass_id])
    assert len(reads) == 1
    assert [event.id for event in found[caller.pass_id].because("velvet")] == [download, like]
    assert [event.type for event in found[caller.pass_id].because("silk")] == ["preference_set"]
    assert found[caller.pass_id].because("never") == []
    assert len(found[other.pass_id].because("velvet")) == 1


def test_an_empty_snapshot_is_what_nothing_makes():
    assert Snapshot(**EMPTY) == taste.rebuild([])


# ---------------------------------------------------------------- taste from before


async def test_a_snapshot_from_before_becomes_an_event_once_and_is_never_lost(studio):
    """FEATURES DB11, H6: what another backend had learned is what rebuilding gives."""
    migration = (Path(__file__).parents[2] / "alembic/versions/0002_studio.sql").read_text()
    caller, busy = await studio.person(), await studio.person()
    old = {"hard_blocks": ["motion.light_flicker"], "tag_weights": {"style.minimal": 1.8, "motion.light_flicker": -999}}
    for each in (caller, busy):
        await studio.sql.execute(
            "update mega_customers set mg_mma_preferences = $2, mg_mma_preferences_updated_at = '2025-12-19T10:00:00Z' where mg_pass_id = $1",
            each.pass_id,
            orjson.dumps(old | {"source": "mma"}).decode(),
        )
    await studio.signals.like(busy, await made(studio, busy, "b", "Neon."))
    for _ in range(2):
        async with studio.sql.transaction():
            await studio.sql.execute(migration)
    (event,) = await noted(studio, caller)
    assert (event["event_type"], event["payload"]) == ("preference_set", {"action": "import", **old})
    assert (await rebuilt(studio, caller)) == old | {"updated_at": "2025-12-19T10:00:00.000Z", "source": "mma"}
    await studio.signals.like(caller, await made(studio, caller, "a", "Velvet."))
    kept = await snapshot(studio, caller)
    assert (kept["hard_blocks"], kept["tag_weights"]["velvet"]) == (["motion.light_flicker"], 1.0)
    assert len(await noted(studio, busy)) == 1, "a snapshot that signals made is no snapshot from before"
