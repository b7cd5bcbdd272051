"""Estimates are arithmetic on usual lengths: the rest of what runs, what comes after it, and the wait in the queue (FEATURES L9)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.domain import estimates
from mina_gql.domain.credits import BillableAction
from mina_gql.domain.estimates import BegunStep, Estimate, Maker, Standing, Usual, estimate, typical
from mina_gql.domain.pipeline import GenerationKind, GenerationStatus

V = "acme"
MAKERS = {
    "vision": [Maker("openai", V)],
    "writer": [Maker("openai", V)],
    "still": [Maker("seedream", V)],
    "video": [Maker("kling", V)],
}
LEARNED = {
    ("scan_product", V): 3.0,
    ("scan_logo", V): 7.0,
    ("scan_inspiration", V): 2.0,
    ("scan_input_still", V): 4.0,
    ("gpt_reader", V): 5.0,
    ("gpt_feedback_still", V): 6.0,
    ("motion_suggestion", V): 1.0,
    ("gpt_reader_motion", V): 2.0,
    ("seedream_generate", V): 30.0,
    ("kling_generate", V): 100.0,
    ("postscan", V): 2.5,
}
USUAL = Usual(MAKERS, LEARNED)
STILL_SECONDS, VIDEO_SECONDS = 7 + 5 + 30 + 2.5, 4 + 2 + 100
QUEUED = Standing(GenerationKind.STILL, GenerationStatus.QUEUED)


def standing(status: str, *begun: BegunStep, kind: str = "still", **facts: object) -> Standing:
    return Standing(GenerationKind(kind), GenerationStatus(status), begun=begun, **facts)


def eta(status: str, *begun: BegunStep, kind: str = "still", usual: Usual = USUAL, **facts: object) -> int:
    found = estimate(standing(status, *begun, kind=kind, **facts), usual)
    assert found.queue_position is None
    return found.eta_seconds


@pytest.mark.parametrize(
    ("action", "seconds"),
    [
        (BillableAction.CREATE, 45),  # the longest look 7, 5, 30, 2.5
        (BillableAction.TWEAK, 39),  # 6, and the twins' 30 and 2.5
        (BillableAction.ANIMATE, 106),  # 4, the longer of two writers 2, 100
    ],
)
def test_an_action_takes_the_longest_step_of_each_of_its_stages(action: BillableAction, seconds: int) -> None:
    assert typical(action, USUAL) == seconds


def test_before_anything_was_made_the_defaults_tell() -> None:
    """Offline in seconds; a clip elsewhere about the three minutes of seed 003."""
    offline = Usual({role: [Maker(makers[0].provider, "offline")] for role, makers in MAKERS.items()})
    assert 3 <= typical(BillableAction.CREATE, offline) <= 5
    assert typical(BillableAction.ANIMATE, offline) < 15
    elsewhere = Usual(MAKERS)
    assert 20 < typical(BillableAction.CREATE, elsewhere) < 40
    assert 180 <= typical(BillableAction.ANIMATE, elsewhere) < 200
    assert typical(BillableAction.CREATE, Usual()) == typical(BillableAction.CREATE, elsewhere), "nobody set up is no error"


def test_a_tweak_is_judged_by_its_twin_until_it_is_known_itself() -> None:
    known = Usual(MAKERS, {**LEARNED, ("seedream_generate_feedback", V): 12.0, ("postscan_feedback", V): 1.0})
    assert typical(BillableAction.TWEAK, known) == 6 + 12 + 1


def test_what_runs_counts_with_its_rest_and_what_comes_with_its_whole_length() -> None:
    assert eta("generating", BegunStep("gpt_reader", V, None), BegunStep("seedream_generate", V, 12.0)) == 30 - 12 + 3
    assert eta("prompting", BegunStep("gpt_reader", V, 1.0)) == 4 + 30 + 3
    assert eta("postscan", BegunStep("postscan", V, 0.5)) == 2


def test_of_looks_at_the_same_time_the_longest_rest_counts() -> None:
    looking = BegunStep("scan_product", V, 1.0), BegunStep("scan_logo", V, 1.0), BegunStep("like_history", None, None)
    assert eta("scanning", *looking) == 7 - 1 + 5 + 30 + 3
    late = BegunStep("scan_product", V, 1.0), BegunStep("scan_logo", V, None), BegunStep("scan_inspiration", V, 60.0)
    assert eta("scanning", *late) == 3 - 1 + 5 + 30 + 3


def test_what_takes_longer_than_usual_is_never_below_one_second() -> None:
    assert eta("generating", BegunStep("seedream_generate", V, 900.0)) == 3, "the look at the end is still to come"
    assert eta("postscan", BegunStep("postscan", V, 900.0)) == 1
    assert eta("postscan", BegunStep("postscan", V, None)) == 1


def test_a_status_whose_steps_have_not_begun_counts_whole() -> None:
    assert eta("generating") == 30 + 3


def test_nothing_to_look_at_takes_no_time() -> None:
    assert estimate(replace(QUEUED, looks=False), USUAL).eta_seconds == 5 + 30 + 3
    clip = Standing(GenerationKind.VIDEO, GenerationStatus.QUEUED, looks=False)
    assert estimate(clip, USUAL).eta_seconds == 2 + 100


def test_one_of_two_writers_is_waited_for_and_not_both() -> None:
    assert eta("prompting", BegunStep("motion_suggestion", V, None), kind="video") == 100
    assert eta("prompting", BegunStep("motion_suggestion", V, 0.25), kind="video") == 101


def test_a_fallback_is_judged_by_its_own_runs() -> None:
    usual = Usual(
        {**MAKERS, "still": [Maker("seedream", V), Maker("other", "spare")]}, {**LEARNED, ("other_generate", "spare"): 300.0}
    )
    assert eta("generating", BegunStep("other_generate", "spare", 100.0), usual=usual) == 200 + 3
    assert typical(BillableAction.CREATE, usual) == 45
    assert ("other_generate_feedback", "spare") in estimates.step_keys(usual.makers)


def test_a_queued_one_waits_for_those_before_it_shared_among_the_slots() -> None:
    alone = estimate(QUEUED, USUAL)
    assert alone == Estimate(0, 45)
    busy = estimate(replace(QUEUED, stills_ahead=6, clips_ahead=2, still_slots=4, clip_slots=4), USUAL)
    assert busy == Estimate(8, round(45 + (6 * STILL_SECONDS + 2 * VIDEO_SECONDS) / 4))


def test_video_tweaks_have_stages_of_their_own() -> None:
    assert eta("generating", BegunStep("kling_generate_feedback", V, 40.0), kind="video", tweaks=True) == 60


STATUSES = st.sampled_from([status for status in GenerationStatus if status not in {"done", "error"}])
STEPS = st.builds(
    BegunStep,
    st.sampled_from(["scan_product", "like_history", "gpt_reader", "seedream_generate", "kling_generate_feedback", "x"]),
    st.sampled_from([V, "offline", None]),
    st.none() | st.floats(0, 1e5),
)
STANDINGS = st.builds(
    Standing,
    st.sampled_from(GenerationKind),
    STATUSES,
    st.booleans(),
    st.booleans(),
    st.lists(STEPS, max_size=6),
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.integers(1, 64),
)


@given(STANDINGS)
def test_any_standing_has_a_whole_number_of_seconds_of_at_least_one(standing: Standing) -> None:
    for usual in (USUAL, Usual()):
        found = estimate(standing, usual)
        assert isinstance(found.eta_seconds, int)
        assert found.eta_seconds >= 1
        assert (found.queue_position is None) == (standing.status is not GenerationStatus.QUEUED)


@given(STANDINGS, st.floats(0, 100))
def test_time_that_passes_only_shortens_it(standing: Standing, seconds: float) -> None:
    later = [
        step if step.running_for is None else step._replace(running_for=step.running_for + seconds) for step in standing.begun
    ]
    assert estimate(replace(standing, begun=later), USUAL).eta_seconds <= estimate(standing, USUAL).eta_seconds


@given(STANDINGS, st.integers(1, 50))
def test_more_before_it_never_shortens_the_wait(standing: Standing, more: int) -> None:
    behind = replace(standing, stills_ahead=standing.stills_ahead + more)
    assert estimate(behind, USUAL).eta_seconds >= estimate(standing, USUAL).eta_seconds
