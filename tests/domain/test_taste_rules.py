"""The rules of taste: what signals add up to, and which words of a picture are its tags (FEATURES H3 to H7)."""

import math
import random
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.pipeline import EventType
from mina_gql.domain.tags import TAG_CHARS, WORDS, tag_name, tags_of
from mina_gql.domain.taste import HALF_LIFE, HARD_BLOCK, LEARNED_TAGS, STRENGTHS, Signal, Snapshot, Taste, heard, rebuild, setting

START = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING = Snapshot([], {}, None, "mma")
TAGS = ("silk", "stone", "neon", "soft light", "style.moody")
LIKE, DISLIKE, DOWNLOAD = EventType.LIKE, EventType.DISLIKE, EventType.DOWNLOAD


class Diary:
    """Signals as they come, each a minute after the one before unless told otherwise."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        self.now = START

    def note(
        self, kind: EventType, generation: str | None = None, *, after: timedelta = timedelta(minutes=1), **payload
    ) -> Signal:
        self.now += after
        self.signals.append(Signal(f"mma_event:{len(self.signals):04}", kind, self.now, generation, payload))
        return self.signals[-1]

    def say(self, kind: EventType, generation: str, *tags: str, value: bool = True, **more) -> Signal:
        return self.note(kind, generation, value=value, tags=list(tags), **more)

    def prefer(self, action: str, **payload) -> Signal:
        return self.note(EventType.PREFERENCE_SET, action=action, **payload)

    @property
    def snapshot(self) -> Snapshot:
        return rebuild(self.signals)

    def weight(self, tag: str) -> float:
        return self.snapshot.tag_weights.get(tag, 0.0)


# ---------------------------------------------------------------- any sequence

tag_lists = st.lists(st.sampled_from(TAGS), max_size=3, unique=True)
generations = st.sampled_from(["a", "b", "c"])
waits = st.integers(0, 400 * 24 * 3600).map(lambda seconds: timedelta(seconds=seconds))
words_ = st.tuples(st.sampled_from([LIKE, DISLIKE]), generations, st.builds(dict, value=st.booleans(), tags=tag_lists))
downloads = st.tuples(st.just(DOWNLOAD), generations, st.builds(dict, tags=tag_lists))
settings_ = st.one_of(
    st.builds(dict, action=st.just("set"), tag=st.sampled_from(TAGS), weight=st.floats(-10, 10).map(lambda each: round(each, 3))),
    st.builds(dict, action=st.just("set"), tag=st.sampled_from(TAGS), weight=st.just(HARD_BLOCK), hard_block=st.just(True)),
    st.builds(dict, action=st.just("clear"), tag=st.sampled_from(TAGS)),
    st.just({"action": "reset"}),
    st.builds(
        dict,
        action=st.just("import"),
        hard_blocks=tag_lists,
        tag_weights=st.dictionaries(st.sampled_from(TAGS), st.sampled_from([1.5, -2.0, HARD_BLOCK]), max_size=3),
    ),
)
preferences = st.tuples(st.just(EventType.PREFERENCE_SET), st.none(), settings_)


@st.composite
def diaries(draw) -> Diary:
    diary = Diary()
    for kind, generation, payload in draw(st.lists(st.one_of(words_, downloads, preferences), max_size=14)):
        diary.note(kind, generation, after=draw(waits), **payload)
    return diary


def by_hand(signals: list[Signal]) -> Snapshot:
    """The same rules told another way: everything is looked up anew, nothing is carried along."""
    resets = [n for n, signal in enumerate(signals) if signal.payload.get("action") == "reset"]
    since = signals[resets[-1] + 1 :] if resets else signals
    said = [signal for signal in since if signal.type in {LIKE, DISLIKE}]
    verdicts = {signal.generation_id: signal for signal in said}
    counting = [signal for signal in verdicts.values() if signal.payload["value"]]
    for generation in {signal.generation_id for signal in since if signal.type is DOWNLOAD}:
        latest = [signal for signal in since if signal.type is DOWNLOAD and signal.generation_id == generation][-1]
        verdict = verdicts.get(generation)
        if verdict is None or not verdict.payload["value"] or verdict.type is LIKE:
            counting.append(latest)
    moves = [(signal.at, tag, STRENGTHS[signal.type]) for signal in counting for tag in signal.payload["tags"]]
    set_: dict[str, tuple[datetime, float]] = {}
    for signal in since:
        said_ = signal.payload
        if said_.get("action") == "import":
            counting.append(signal)
            moves += [(signal.at, tag, weight) for tag, weight in said_["tag_weights"].items() if weight != HARD_BLOCK]
            blocked = [*said_["hard_blocks"], *(tag for tag, weight in said_["tag_weights"].items() if weight == HARD_BLOCK)]
            set_ |= dict.fromkeys(blocked, (signal.at, HARD_BLOCK))
        elif said_.get("action") == "set":
            set_[said_["tag"]] = (signal.at, said_["weight"])
        elif said_.get("action") == "clear":
            set_.pop(said_["tag"], None)
    newest = max((signal.at for signal in counting), default=START)
    weights = {}
    for tag in TAGS:
        parts = [strength * math.exp2(-((newest - at).total_seconds() / 86_400) / 90) for at, of, strength in moves if of == tag]
        weight = round(max(-10.0, min(10.0, math.fsum(parts))), 3)
        if weight:
            weights[tag] = weight
    weights |= {tag: weight for tag, (_, weight) in set_.items()}
    times = [signal.at for signal in counting] + [at for at, _ in set_.values()]
    updated = max(times).strftime("%Y-%m-%dT%H:%M:%S.") + f"{max(times).microsecond // 1000:03}Z" if times else None
    return Snapshot(sorted(tag for tag, weight in weights.items() if weight == HARD_BLOCK), weights, updated, "mma")


@given(diaries())
def test_the_snapshot_is_what_the_rules_say(diary):
    found, wanted = diary.snapshot, by_hand(diary.signals)
    assert found.tag_weights == pytest.approx(wanted.tag_weights, abs=0.0011)
    assert found._replace(tag_weights={}) == wanted._replace(tag_weights={})


@given(diaries(), st.randoms())
def test_one_by_one_or_rebuilt_whatever_the_order_they_lie_in_the_snapshot_is_the_same(diary: Diary, chance: random.Random):
    """FEATURES H6: rebuild(events) == snapshot, at every moment."""
    taste = Taste()
    for number, signal in enumerate(diary.signals, start=1):
        taste.hear(signal)
        lying = diary.signals[:number]
        chance.shuffle(lying)
        assert taste.snapshot() == rebuild(lying)


@given(diaries())
def test_a_snapshot_has_exactly_its_four_parts_and_lives_as_json(diary):
    """FEATURES H4."""
    snapshot = diary.snapshot
    kept = orjson.loads(orjson.dumps(snapshot._asdict()))
    assert list(kept) == ["hard_blocks", "tag_weights", "updated_at", "source"]
    assert Snapshot(**kept) == snapshot
    assert snapshot.hard_blocks == sorted(tag for tag, weight in snapshot.tag_weights.items() if weight == HARD_BLOCK)
    assert all(weight == HARD_BLOCK or -10 <= weight <= 10 for weight in snapshot.tag_weights.values())
    assert list(snapshot.tag_weights.values()) == sorted(snapshot.tag_weights.values(), reverse=True)


@given(diaries(), tag_lists, waits, waits)
def test_a_like_taken_back_leaves_the_snapshot_from_before_exactly(diary, tags, before, after):
    snapshot = diary.snapshot
    diary.say(LIKE, "fresh", *tags, after=before)
    diary.say(LIKE, "fresh", value=False, after=after)
    assert diary.snapshot == snapshot


@given(diaries(), tag_lists, waits)
def test_a_dislike_taken_back_leaves_the_snapshot_from_before_exactly(diary, tags, after):
    snapshot = diary.snapshot
    diary.say(DISLIKE, "fresh", *tags, after=after)
    diary.say(DISLIKE, "fresh", value=False)
    assert diary.snapshot == snapshot


@given(diaries(), st.floats(-10, 10), waits)
def test_a_setting_that_is_cleared_leaves_the_snapshot_from_before_exactly(diary, weight, after):
    """FEATURES H7."""
    snapshot = diary.snapshot
    diary.prefer("set", tag="never set before", weight=weight, after=after)
    diary.prefer("clear", tag="never set before", after=after)
    assert diary.snapshot == snapshot


@given(diaries(), diaries())
def test_a_reset_forgets_everything_before_it_and_nothing_after(earlier, later):
    """FEATURES H7."""
    earlier.prefer("reset")
    for signal in later.signals:
        moved = earlier.now - START + signal.at
        earlier.signals.append(Signal(f"then_{signal.id}", signal.type, moved, signal.generation_id, signal.payload))
    wanted, found = later.snapshot, rebuild(earlier.signals)
    assert found._replace(updated_at=None) == wanted._replace(updated_at=None)


@given(diaries())
def test_every_weight_has_reasons_newest_first_and_nothing_else_has(diary):
    taste = heard(diary.signals)
    for tag in taste.snapshot().tag_weights:
        reasons = taste.because(tag)
        assert reasons
        assert [reason.at for reason in reasons] == sorted((reason.at for reason in reasons), reverse=True)
    assert taste.because("never heard of") == []


# ---------------------------------------------------------------- each rule


def test_a_like_raises_a_download_raises_a_bit_and_a_dislike_lowers():
    """FEATURES H6."""
    diary = Diary()
    no_time = timedelta(0)
    diary.say(LIKE, "a", "silk", after=no_time)
    assert diary.weight("silk") == 1.0
    diary.say(DOWNLOAD, "b", "silk", after=no_time)
    assert diary.weight("silk") == 1.3
    diary.say(DISLIKE, "c", "silk", "neon", after=no_time)
    assert (diary.weight("silk"), diary.weight("neon")) == (0.3, -1.0)


def test_the_latest_word_about_a_picture_counts_and_a_dislike_silences_its_download():
    diary = Diary()
    diary.say(DOWNLOAD, "a", "silk")
    diary.say(LIKE, "a", "silk")
    assert diary.weight("silk") == 1.3
    diary.say(DISLIKE, "a", "silk")
    assert diary.weight("silk") == -1.0
    diary.say(DISLIKE, "a", "silk", value=False)
    assert diary.weight("silk") == 0.3


def test_a_picture_downloaded_again_and_again_counts_once():
    diary = Diary()
    for _ in range(5):
        diary.say(DOWNLOAD, "a", "silk")
    assert diary.weight("silk") == 0.3


def test_time_fades_with_its_half_life_counted_from_the_newest_signal_that_counts():
    diary = Diary()
    diary.say(LIKE, "a", "silk")
    diary.say(LIKE, "b", "stone", after=HALF_LIFE)
    assert diary.snapshot.tag_weights == {"stone": 1.0, "silk": 0.5}
    diary.say(LIKE, "b", value=False, after=HALF_LIFE)
    assert diary.snapshot.tag_weights == {"silk": 1.0}
    diary.prefer("set", tag="neon", weight=2, after=HALF_LIFE)
    assert diary.weight("silk") == 1.0, "a setting is no signal of how long ago a like was"


def test_weights_end_at_ten():
    diary = Diary()
    for n in range(30):
        diary.say(LIKE, str(n), "silk", after=timedelta(0))
        diary.say(DISLIKE, f"-{n}", "neon", after=timedelta(0))
    assert diary.snapshot.tag_weights == {"silk": 10.0, "neon": -10.0}


def test_a_setting_stands_against_what_is_learned_until_it_is_cleared():
    diary = Diary()
    diary.say(LIKE, "a", "neon")
    diary.prefer("set", tag="neon", weight=HARD_BLOCK, hard_block=True)
    diary.say(LIKE, "b", "neon", after=timedelta(0))
    assert (diary.snapshot.hard_blocks, diary.weight("neon")) == (["neon"], HARD_BLOCK)
    diary.prefer("set", tag="neon", weight=0)
    assert (diary.snapshot.hard_blocks, diary.snapshot.tag_weights) == ([], {"neon": 0.0})
    diary.prefer("clear", tag="neon")
    assert diary.weight("neon") == 2.0


def test_what_was_learned_before_there_were_signals_is_a_signal_too():
    diary = Diary()
    old = {"style.minimal": 1.8, "motion.light_flicker": -999, "style.noir": -40}
    diary.prefer("import", hard_blocks=["motion.light_flicker", "motion.light_flare"], tag_weights=old)
    diary.say(LIKE, "a", "style.minimal", after=timedelta(0))
    assert diary.snapshot.hard_blocks == ["motion.light_flare", "motion.light_flicker"]
    assert (diary.weight("style.minimal"), diary.weight("style.noir")) == (2.8, -10.0)


def test_only_the_strongest_learned_tags_are_kept_and_every_setting():
    diary = Diary()
    for n in range(LEARNED_TAGS + 10):
        diary.say(LIKE, str(n), f"tag {n:03}", after=timedelta(days=1))
        diary.prefer("set", tag=f"set {n:03}", weight=0.5)
    weights = diary.snapshot.tag_weights
    assert [tag for tag in weights if tag.startswith("tag")] == [f"tag {n:03}" for n in range(LEARNED_TAGS + 9, 9, -1)]
    assert len([tag for tag in weights if tag.startswith("set")]) == LEARNED_TAGS + 10


def test_the_reason_for_a_setting_is_the_setting_and_for_what_is_learned_what_still_counts():
    diary = Diary()
    first = diary.say(LIKE, "a", "silk")
    diary.say(LIKE, "b", "silk")
    diary.say(LIKE, "b", value=False)
    second = diary.say(DOWNLOAD, "c", "silk")
    assert heard(diary.signals).because("silk") == [second, first]
    chosen = diary.prefer("set", tag="silk", weight=4)
    assert heard(diary.signals).because("silk") == [chosen]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"tags": None},
        {"tags": "silk"},
        {"tags": [1, None, {}]},
        {"value": "false", "tags": ["silk"]},
        {"value": 1, "tags": ["silk"]},
        {"action": "set", "tag": 7, "weight": "much"},
        {"action": "set", "tag": "silk", "weight": True},
        {"action": "set", "tag": "silk"},
        {"action": "clear"},
        {"action": "dance"},
        {"action": "import", "tag_weights": [1], "hard_blocks": "silk"},
    ],
)
@pytest.mark.parametrize("kind", [LIKE, DOWNLOAD, EventType.PREFERENCE_SET])
def test_events_from_before_say_nothing_where_they_lack_words(kind, payload):
    """FEATURES M7: backfilled rows are readable."""
    snapshot = rebuild([Signal("mma_event:1", kind, START, "a", {"tags": []} | payload if kind is DOWNLOAD else payload)])
    if not (kind is DOWNLOAD and payload.get("tags") == ["silk"]):
        assert (snapshot.hard_blocks, snapshot.tag_weights) == ([], {})


def test_a_word_about_no_picture_counts_for_none():
    assert rebuild([Signal("mma_event:1", LIKE, START, None, {"tags": ["silk"]})]) == NOTHING


@pytest.mark.parametrize(
    ("weight", "hard_block", "wanted"),
    [(2.5, None, 2.5), (-10, None, -10.0), (10, False, 10.0), (-0.0, None, 0.0), (None, True, HARD_BLOCK), (None, False, None)],
)
def test_a_setting_is_a_weight_or_a_block_or_lifts_one(weight, hard_block, wanted):
    found = setting(weight, hard_block)
    assert found == wanted
    assert found is None or math.copysign(1, found) == math.copysign(1, wanted)


@pytest.mark.parametrize(
    ("weight", "hard_block"),
    [(None, None), (10.001, None), (-999, None), (math.nan, None), (math.inf, None), (1, True)],
)
def test_a_setting_that_cannot_be_says_what_can(weight, hard_block):
    with pytest.raises(InvalidInput, match=r"-10 to 10|one of the two"):
        setting(weight, hard_block)


# ---------------------------------------------------------------- tags

CAPTION = (
    "A finished still of 1024 × 1024 pixels (square), mainly dark brown (40%), ivory (30%). The subject stands in the lower "
    "left, on a plain ivory background. The picture is bright, warm in tone, with medium contrast."
)
PROMPT = (
    "Editorial product photograph of “A bottle on wet stone, morning light.”. Moody: low-key and dramatic. Keep the product true "
    "to its picture (a blue cup). To this person's taste: silk. Less of: neon. Composed for a square frame. Avoid: glitter."
)


def test_tags_are_the_words_that_tell_of_the_look_and_the_style():
    found = tags_of({"inputs": {"style": "moody"}, "scans": {"output_still_crt": CAPTION}}, PROMPT)
    assert found == ["style.moody", "ivory", "bottle", "wet", "stone", "morning light", "low-key", "dramatic", "dark brown"]
    assert tags_of({"inputs": {"style": "None", "movement_style": "slow_push_in"}}, "") == ["motion.slow_push_in"]


def test_what_a_clip_s_prompt_says_is_about_motion():
    vars_ = {"mode": "video", "inputs": {"movement_style": "orbit"}, "scans": {"input_still_crt": "Velvet."}}
    assert tags_of(vars_, "Slow orbit. Steam drifts. Keep lighting stable.") == [
        "motion.orbit", "motion.slow orbit", "motion.steam", "motion.drifts", "velvet"
    ]  # fmt: skip


def test_what_should_not_be_there_is_no_tag():
    for prompt in (
        "Velvet without harsh glitter or clutter.",
        "Velvet, no glitter",
        "Velvet. Avoid: glitter",
        "Velvet; never glitter",
    ):
        assert tags_of({}, prompt) == ["velvet"]


def test_what_the_product_s_own_picture_shows_is_no_taste():
    scans = {"product_crt": "An amber bottle.", "logo_crt": "A golden mark."}
    assert tags_of({"scans": scans}, "An amber bottle with a golden mark on linen.") == ["linen"]
    assert tags_of({"scans": scans}, "Amber bottle") == ["amber", "bottle"], "better than nothing at all"


@pytest.mark.parametrize(
    "text",
    [
        "https://r2.example/outputs/abc.png",
        "www.example.com",
        "pass:anon:7f4c6c1e-1d9f-4a47-9f0e-0d4a1a1f2b3c",
        "generation:8d7a9f",
        "mail@example.com",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "4k 85mm f/1.8 1024x768",
    ],
)
def test_ids_addresses_and_numbers_are_no_tags(text):
    assert tags_of({}, f"linen {text} velvet ({text}) “{text}”.") == ["linen", "velvet"]


def test_tags_of_other_tongues_stand_as_they_are():
    assert tags_of({}, "رخام أبيض، ضوء الصباح") == ["رخام", "أبيض", "ضوء", "الصباح"]


@given(st.text(max_size=300), st.lists(st.one_of(st.none(), st.text(max_size=200)), max_size=3), st.text(max_size=80))
@example("Linen’s fold’s end", [], "Minimal")
@example("soft " + "abcdefgh-" * 9 + "i " + "x" * 24 + " light", [], "m" * 70)
def test_tags_are_few_always_the_same_and_always_names(prompt, captions, style):
    vars_ = {
        "mode": "video",
        "inputs": {"style": style},
        "scans": {"output_still_crt": prompt[::-1], "inspiration_crt": captions},
    }
    found = tags_of(vars_, prompt)
    assert found == tags_of(vars_, prompt)
    assert len(found) == len(set(found)) <= WORDS + 1
    assert [tag_name(tag, ["tag"]) for tag in found] == found


@pytest.mark.parametrize("vars_", [{}, {"inputs": None, "scans": []}, {"scans": {"inspiration_crt": "x", "output_still_crt": 3}}])
def test_a_picture_from_before_has_the_tags_of_its_prompt(vars_):
    assert tags_of(vars_, "Linen") == ["linen"]
    assert tags_of(vars_, None) == []


@given(st.text(max_size=80))
@example("  Soft   LIGHT ")
@example("style.Minimal")
@example("ﬁne İstanbul ẞ")
def test_a_tag_is_kept_in_one_form_or_refused(given_):
    try:
        tag = tag_name(given_, ["input", "tag"])
    except InvalidInput as refused:
        assert refused.field == ["input", "tag"]
    else:
        assert tag_name(tag, []) == tag == " ".join(tag.split())
        assert 0 < len(tag) <= TAG_CHARS
        assert not set(tag) & set(":/@<>,;\x00\n")


@pytest.mark.parametrize(
    "given_", ["", "  ", "...", "a,b", "https://x.example", "<b>", "{{system}}", "x" * 61, "a\x00b", "pass:anon:1"]
)
def test_what_is_no_name_is_refused(given_):
    with pytest.raises(InvalidInput, match="letters and digits"):
        tag_name(given_, ["tag"])
