"""Drafts that make the same again: what is drafted is accepted as it is, and what has changed is said (FEATURES N3, N4)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mina_gql.domain.config import Role, resolve_settings, role_of
from mina_gql.domain.config_seed import SEED
from mina_gql.domain.generations import MotionOrder, StillOrder, still_vars
from mina_gql.domain.pipeline import BRIEF_CHARS, MOVEMENT_STYLES, RATIOS, STYLES, GenerationKind
from mina_gql.domain.recreation import (
    NO_CLIP_TWEAKS,
    NO_PARENT,
    NO_STILL,
    NOTHING_KNOWN,
    OTHER_MAKER,
    OTHER_RULES,
    PROMPT_FOR_BRIEF,
    Draft,
    Made,
    Now,
    Parent,
    draft,
    pictures_of,
)
from tests.domain.recreation_shapes import order_of

STILL, CLIP = GenerationKind.STILL, GenerationKind.VIDEO
REGISTRY = SEED["mma.provider.registry"]
PRODUCT, LOGO, MOOD, INPUT, END = (f"https://files.example/{name}.png" for name in ("product", "logo", "mood", "input", "end"))
VARS: dict[str, Any] = {
    "inputs": {"brief": "A cup on stone.", "style": "moody", "ratio": "3:4", "movement_style": None},
    "assets": {"product_image_url": PRODUCT, "logo_image_url": LOGO, "inspiration_image_urls": [MOOD], "input_still_url": None},
    "settings": {"seedream": {"size": "2K", "enhance_prompt": True}},
    "history": {"vision_intelligence": False},
    "feedback": {},
}
CLIP_VARS: dict[str, Any] = {
    "inputs": {"brief": "Slow push-in.", "style": "None", "ratio": "9:16", "movement_style": "orbit", "type_for_me": True},
    "assets": {"product_image_url": None, "inspiration_image_urls": [], "input_still_url": INPUT, "end_still_url": END},
    "settings": {"kling": {"mode": "pro", "durationSec": 10}},
    "feedback": {},
}


def now(kind: GenerationKind = STILL, **changed: Any) -> Now:
    """Nothing has changed, but for what is given."""
    role = role_of(REGISTRY, kind)
    return replace(
        Now(
            role=role,
            defaults=dict(SEED[f"mma.provider.{role.provider}.defaults"]),
            models=frozenset({role.model}),
            contexts={"mma.ctx.gpt_reader": 1},
            pictures=frozenset({PRODUCT, LOGO, MOOD, INPUT, END}),
        ),
        **changed,
    )


def still(vars_: Mapping[str, Any] = VARS, **changed: Any) -> Made:
    return replace(Made(STILL, vars_, "a cup", "bytedance/seedream-4", contexts={"mma.ctx.gpt_reader": 1}), **changed)


def clip(vars_: Mapping[str, Any] = CLIP_VARS, **changed: Any) -> Made:
    return replace(Made(CLIP, vars_, "push in", "kwaivgi/kling-v2.1"), **changed)


def changed(vars_: Mapping[str, Any], part: str, **values: Any) -> dict[str, Any]:
    return {**vars_, part: {**vars_.get(part, {}), **values}}


PLAIN = now(defaults={})


def test_a_still_is_made_again_by_create_with_the_same_inputs():
    assert draft(still(), now()) == Draft(
        kind=STILL,
        create={
            "brief": "A cup on stone.",
            "style": "moody",
            "ratio": "3:4",
            "assets": {"productImageUrl": PRODUCT, "logoImageUrl": LOGO, "inspirationImageUrls": [MOOD]},
            "settings": {"seedream": {"size": "2K", "enhance_prompt": True}},
            "visionIntelligence": False,
        },
        tweak=None,
        animate=None,
        changes=(),
    )


def test_a_tweak_is_made_again_by_tweak():
    vars_ = changed(VARS, "feedback", text="Warmer.")
    made = draft(still(vars_, parent=Parent("generation:p", INPUT)), now())
    assert made == Draft(STILL, None, {"generationId": "generation:p", "feedback": "Warmer."}, None, ())


def test_a_tweak_of_what_is_gone_cannot_be_drafted_and_says_so():
    assert draft(still(changed(VARS, "feedback", text="Warmer.")), now()) == Draft(STILL, None, None, None, (NO_PARENT,))


def test_a_clip_is_animated_again_from_what_was_animated():
    """FEATURES N4: a clip leads to the animation studio."""
    same = {
        "endStillUrl": END,
        "motionPrompt": "Slow push-in.",
        "movementStyle": "orbit",
        "typeForMe": True,
        "ratio": "9:16",
        "settings": {"kling": {"mode": "pro", "durationSec": 10}},
    }
    quiet = now(CLIP, defaults={})
    by_parent = draft(clip(parent=Parent("generation:p", INPUT)), quiet)
    assert by_parent == Draft(CLIP, None, None, {"generationId": "generation:p", "inputStillUrl": None, **same}, ())
    by_picture = draft(clip(), quiet)
    assert by_picture.animate == {"generationId": None, "inputStillUrl": INPUT, **same}
    another = draft(clip(parent=Parent("generation:p", PRODUCT)), quiet)
    assert another == by_picture, "the parent shows another picture than the one that was animated"


def test_a_clip_whose_still_is_gone_cannot_be_drafted_and_says_so():
    assert draft(clip(), now(CLIP, defaults={}, pictures=frozenset({END}))) == Draft(CLIP, None, None, None, (NO_STILL,))


def test_a_tweaked_clip_needs_the_knob():
    made = clip(changed(CLIP_VARS, "feedback", text="Slower."), parent=Parent("generation:p", "https://files.example/p.mp4"))
    assert draft(made, now(CLIP)) == Draft(CLIP, None, None, None, (NO_CLIP_TWEAKS,))
    assert draft(made, now(CLIP, video_tweak=True)).tweak == {"generationId": "generation:p", "feedback": "Slower."}


@pytest.mark.parametrize(
    ("gone", "left", "said"),
    [
        (PRODUCT, {"productImageUrl": None, "logoImageUrl": LOGO, "inspirationImageUrls": [MOOD]}, "product picture"),
        (LOGO, {"productImageUrl": PRODUCT, "logoImageUrl": None, "inspirationImageUrls": [MOOD]}, "logo"),
        (MOOD, {"productImageUrl": PRODUCT, "logoImageUrl": LOGO, "inspirationImageUrls": []}, "inspiration picture"),
    ],
)
def test_pictures_that_are_gone_are_left_out_and_said(gone, left, said):
    made = draft(still(), now(pictures=now().pictures - {gone}))
    assert made.create is not None
    assert made.create["assets"] == left
    assert made.changes == (f"The {said} is gone: choose another one.",)


def test_an_end_still_that_is_gone_is_left_out():
    made = draft(clip(), now(CLIP, defaults={}, pictures=frozenset({INPUT})))
    assert made.animate is not None
    assert made.animate["endStillUrl"] is None
    assert made.changes == ("The end still is gone: choose another one.",)


def test_defaults_that_changed_are_said_and_do_not_change_the_draft():
    made = draft(still(), now(defaults={"size": "4K", "enhance_prompt": True, "guidance": 3}))
    assert made.create is not None
    assert made.create["settings"] == {"seedream": {"size": "2K", "enhance_prompt": True}}
    assert made.changes == (
        "“size” is 4K by default; this draft keeps 2K.",
        "“guidance” is 3 by default now; this was made without it.",
    )


def test_settings_that_are_not_taken_any_more_are_left_out_and_said():
    vars_ = {**VARS, "settings": {"seedream": {"size": "8K", "lens": "50mm", "max_images": 1}}}
    made = draft(still(vars_), now(defaults={"lens": "50mm"}))
    assert made.create is not None
    assert made.create["settings"] == {"seedream": {"max_images": 1}}
    assert made.changes == ("“size” cannot be 8K any more.",), "the lens is what the default gives anyway"


def test_settings_of_another_provider_go_to_the_one_of_now():
    role = replace(role_of(REGISTRY, "still"), provider="fluxus")
    made = draft(still(), now(role=role, defaults={}))
    assert made.create is not None
    assert made.create["settings"] == {"fluxus": {"size": "2K", "enhance_prompt": True}}


def test_another_model_and_newer_contexts_are_said():
    assert draft(still(), now(models=frozenset({"new/model"}))).changes == (OTHER_MAKER[STILL],)
    assert draft(clip(), now(CLIP, defaults={}, models=frozenset())).changes == (OTHER_MAKER[CLIP],)
    assert draft(still(), now(contexts={"mma.ctx.gpt_reader": 2})).changes == (OTHER_RULES,)
    assert draft(still(contexts={"mma.ctx.gpt_reader": 3}), now()).changes == ()
    assert draft(still(model=None), now(models=frozenset())).changes == ()


def test_choices_that_are_not_offered_any_more_are_left_out_and_said():
    made = draft(still(changed(VARS, "inputs", style="baroque", ratio="5:4")), now())
    assert made.create is not None
    assert (made.create["style"], made.create["ratio"]) == (None, None)
    assert made.changes == ("The style baroque is not offered any more.", "The ratio 5:4 is not offered any more.")


def test_a_row_from_before_mma_is_made_again_from_its_prompt():
    made = draft(Made(STILL, {}, "word " * BRIEF_CHARS), now(defaults={}))
    assert made.create is not None
    assert len(made.create["brief"]) == BRIEF_CHARS
    assert made.changes == (PROMPT_FOR_BRIEF,)
    assert draft(Made(STILL, {}), now(defaults={})) == Draft(STILL, None, None, None, (NOTHING_KNOWN,))


def test_the_pictures_of_a_map():
    assert pictures_of(VARS) == {PRODUCT, LOGO, MOOD}
    assert pictures_of(CLIP_VARS) == {INPUT, END}
    assert pictures_of({}) == frozenset()


# ---------------------------------------------------------------- whatever was recorded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 50) | st.text(max_size=6), lambda inner: st.lists(inner, max_size=2)
)
SETTINGS = st.dictionaries(
    st.sampled_from(["size", "max_images", "guidance", "mode", "durationSec", "lens"]),
    st.sampled_from(["2K", "9K", 1, 3, "pro", 5, None]) | JSON,
)
URLS = st.sampled_from([None, "", PRODUCT, LOGO, INPUT, "https://elsewhere.example/x.png"])
MAPS = st.fixed_dictionaries(
    {},
    optional={
        "inputs": st.fixed_dictionaries(
            {},
            optional={
                "brief": st.text(max_size=20),
                "style": st.sampled_from([None, "", "None", "baroque", *STYLES]),
                "ratio": st.sampled_from([None, "", "5:4", *RATIOS]),
                "movement_style": st.sampled_from([None, "None", "wobble", *MOVEMENT_STYLES]),
                "type_for_me": st.booleans(),
            },
        ),
        "assets": st.fixed_dictionaries(
            {},
            optional={
                "product_image_url": URLS,
                "logo_image_url": URLS,
                "inspiration_image_urls": st.lists(URLS, max_size=6),
                "input_still_url": URLS,
                "end_still_url": URLS,
            },
        ),
        "settings": st.dictionaries(st.sampled_from(["seedream", "kling", "gone"]), SETTINGS, max_size=2),
        "history": st.fixed_dictionaries({"vision_intelligence": st.booleans()}),
    },
)


@given(MAPS, st.sampled_from([STILL, CLIP]), st.none() | st.text(max_size=30), SETTINGS)
def test_what_is_drafted_is_accepted_as_it_is(vars_, kind, prompt, defaults):
    there = now(kind, defaults=defaults)
    made = draft(Made(kind, vars_, prompt), there)
    input_ = made.create if kind is STILL else made.animate
    assert (made.tweak, made.animate if kind is STILL else made.create) == (None, None)
    if input_ is None:
        assert made.changes
        return
    order = order_of(kind, input_)
    order.checked()
    assert set(pictures_of_order(order)) <= there.pictures
    resolved = resolve_settings(there.role, defaults, {}, input_["settings"])
    assert resolved[there.role.provider].items() >= dict((input_["settings"] or {}).get(there.role.provider, {})).items()


def pictures_of_order(order: StillOrder | MotionOrder) -> list[str]:
    if isinstance(order, StillOrder):
        return [url for url in (order.product_image_url, order.logo_image_url, *order.inspiration_image_urls) if url]
    return [url for url in (order.input_still_url, order.end_still_url) if url]


@given(
    st.sampled_from([None, *STYLES]),
    st.sampled_from(RATIOS),
    st.booleans(),
    st.sampled_from([{}, {"size": "4K"}, {"guidance": 2, "quality": "low"}]),
)
def test_an_order_made_recorded_and_drafted_is_the_same_order(style, ratio, seeing, chosen):
    role: Role = role_of(REGISTRY, "still")
    order = StillOrder("A cup.", style, ratio, PRODUCT, None, (MOOD,), {"seedream": chosen}, vision_intelligence=seeing).checked()
    assets = {
        "product_image_url": PRODUCT,
        "logo_image_url": None,
        "inspiration_image_urls": [MOOD],
        "input_still_url": None,
        "end_still_url": None,
    }
    settings = resolve_settings(role, now().defaults, {}, order.settings)
    recorded = still_vars(order, assets, settings)
    again = draft(still(recorded), now()).create
    assert again is not None
    order_again = order_of(STILL, again)
    assert isinstance(order_again, StillOrder)
    assert replace(order_again.checked(), settings=None) == replace(order, settings=None)
    for defaults in (now().defaults, {"size": "1K"}):
        assert resolve_settings(role, defaults, {"seedream": {"size": "1K"}}, order_again.settings) == settings
