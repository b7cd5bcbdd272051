"""Animate: a still set in motion (FEATURES group L; seed 003, section 8)."""

from typing import Any

import pytest

from mina_gql.domain.errors import AssetNotOurs, AssetRejected, ImageRequired, InvalidInput, NotFound
from mina_gql.domain.generations import nearest_ratio
from mina_gql.services.generations.suggesting import SuggestionOrder
from tests.services.pipeline_workshop import Workshop, workshop_fixture  # noqa: F401 -- the fixture `workshop`


async def test_a_still_made_here_is_animated_with_what_is_known_of_it(workshop: Workshop) -> None:
    """FEATURES L2, L5, L6, L7: the caption is the parent's, the row complete, the price five."""
    caller = await workshop.person(10)
    still = await workshop.made(caller)
    ordered = await workshop.animate(caller, generation_id=still.generation["mg_id"], motion_prompt="Slow push-in")
    clip = await workshop.run(ordered)
    assert [step["mg_step_type"] for step in clip.steps] == ["gpt_reader_motion", "kling_generate"]
    row, vars_ = clip.generation, clip.generation["mg_mma_vars"]
    assert vars_["scans"]["input_still_crt"] == still.generation["mg_mma_vars"]["scans"]["output_still_crt"]
    assert vars_["assets"]["input_still_url"] == still.generation["mg_output_url"]
    assert (row["mg_type"], row["mg_mma_mode"], row["mg_status"]) == ("motion", "video", "succeeded")
    assert row["mg_parent_id"] == still.generation["mg_id"]
    assert row["mg_output_url"].endswith(".mp4")
    assert (vars_["outputs"]["content_type"], vars_["outputs"]["seconds"]) == ("video/mp4", 0.5)
    assert set(vars_["settings"]) == {"kling"}
    assert await workshop.balance(caller) == 10 - 1 - 5


async def test_the_address_of_an_own_output_counts_as_the_generation(workshop: Workshop) -> None:
    """Seed 003, 8.3 gives the still's address: lineage and caption are found all the same."""
    caller = await workshop.person(10)
    still = await workshop.made(caller)
    clip = await workshop.run(await workshop.animate(caller, input_still_url=still.generation["mg_output_url"]))
    assert clip.generation["mg_parent_id"] == still.generation["mg_id"]
    assert clip.of_type("scan_input_still") == []


async def test_a_picture_of_ones_own_is_looked_at_first(workshop: Workshop) -> None:
    """FEATURES L3, L5: with an end frame, which reaches the model."""
    caller = await workshop.person(10)
    start, end = await workshop.upload(caller), await workshop.upload(caller)
    clip = await workshop.run(await workshop.animate(caller, input_still_url=start, end_still_url=end))
    assert [step["mg_step_type"] for step in clip.steps] == ["scan_input_still", "gpt_reader_motion", "kling_generate"]
    asked = workshop.models.camera.paid[-1]
    assert (asked.urls, set(asked.pictures)) == ({"start": start, "end": end}, {"start", "end"})
    assert clip.generation["mg_parent_id"] is None


async def test_type_for_me_lets_the_writer_suggest(workshop: Workshop) -> None:
    """FEATURES L5: `motion_suggestion` instead of `gpt_reader_motion`."""
    caller = await workshop.person(10)
    url = await workshop.upload(caller)
    clip = await workshop.run(await workshop.animate(caller, input_still_url=url, type_for_me=True, movement_style="orbit"))
    assert [step["mg_step_type"] for step in clip.steps] == ["scan_input_still", "motion_suggestion", "kling_generate"]
    parts = clip.steps[1]["mg_payload"]["input"]["parts"]
    assert parts["movement_style"] == "orbit"
    assert parts["input_still_crt"] == clip.generation["mg_mma_vars"]["scans"]["input_still_crt"]


async def test_hard_blocks_apply_to_motion(workshop: Workshop) -> None:
    """FEATURES H5, L8."""
    caller = await workshop.person(10)
    await workshop.looking.execute(
        "update mega_customers set mg_mma_preferences = $2 where mg_pass_id = $1",
        caller.pass_id,
        {"hard_blocks": ["flicker"], "tag_weights": {"flicker": -999}},
    )
    url = await workshop.upload(caller)
    for type_for_me in (False, True):
        clip = await workshop.run(await workshop.animate(caller, input_still_url=url, type_for_me=type_for_me))
        assert clip.steps[1]["mg_payload"]["input"]["parts"]["hard_blocks"] == ["flicker"]
        assert "flicker" in workshop.models.pen.asked[-1].prompt


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ({}, ImageRequired),
        ({"generation_id": "", "input_still_url": ""}, ImageRequired),
        ({"generation_id": "STILL", "input_still_url": "OWN"}, InvalidInput),
        ({"generation_id": "nothing"}, NotFound),
        ({"generation_id": "OTHERS"}, NotFound),
        ({"generation_id": "CLIP"}, InvalidInput),
        ({"generation_id": "QUEUED"}, InvalidInput),
        ({"input_still_url": "https://elsewhere.example/a.png"}, AssetNotOurs),
        ({"input_still_url": "OTHERS_URL"}, AssetNotOurs),
        ({"input_still_url": "OWN", "end_still_url": "OTHERS_URL"}, AssetNotOurs),
        ({"input_still_url": "OWN", "movement_style": "upside_down"}, InvalidInput),
        ({"input_still_url": "OWN", "ratio": "5:1"}, InvalidInput),
        ({"input_still_url": "OWN", "settings": {"kling": {"durationSec": 7}}}, InvalidInput),
        ({"input_still_url": "OWN", "settings": {"kling": {"speed": 7}}}, InvalidInput),
        ({"input_still_url": "OWN", "settings": {"seedream": {"size": "1K"}}}, InvalidInput),
        ({"input_still_url": "OWN", "motion_prompt": "x" * 4001}, InvalidInput),
    ],
)
async def test_what_cannot_be_animated_is_said_and_costs_nothing(
    workshop: Workshop, order: dict[str, Any], error: type[Exception]
) -> None:
    """FEATURES L3 (“I need an image”), L10."""
    caller, other = await workshop.person(20), await workshop.person(20)
    still = await workshop.made(caller)
    named = {
        "STILL": still.generation["mg_id"],
        "OTHERS": (await workshop.made(other)).generation["mg_id"],
        "OTHERS_URL": await workshop.upload(other),
        "OWN": await workshop.upload(caller),
        "QUEUED": await workshop.create(caller),
    }
    if "CLIP" in order.values():
        clip = await workshop.run(await workshop.animate(caller, input_still_url=named["OWN"]))
        named["CLIP"] = clip.generation["mg_id"]
    before = await workshop.counts()
    with pytest.raises(error):
        await workshop.animate(caller, **{name: named.get(str(value), value) for name, value in order.items()})
    assert await workshop.counts() == before


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ((100, 100), "1:1"),
        ((1920, 1080), "16:9"),
        ((1080, 1920), "9:16"),
        ((800, 600), "4:3"),
        ((683, 1024), "2:3"),
        ((10, 1), "16:9"),
    ],
)
def test_the_ratio_is_the_nearest_to_the_picture(size: tuple[int, int], ratio: str) -> None:
    """FEATURES L4."""
    assert nearest_ratio(*size) == ratio


async def test_without_a_ratio_the_clip_takes_the_pictures_and_a_given_one_wins(workshop: Workshop) -> None:
    """FEATURES L4: AUTO, none, and one of the studio's."""
    caller = await workshop.person(20)
    url = await workshop.upload(caller)  # 8 x 8
    for given, ratio in ((None, "1:1"), ("AUTO", "1:1"), ("9:16", "9:16")):
        clip = await workshop.animate(caller, input_still_url=url, ratio=given)
        row = await workshop.looking.fetchrow("select mg_mma_vars from mega_generations where mg_id = $1", clip)
        assert row["mg_mma_vars"]["inputs"]["ratio"] == ratio


async def test_frames_a_second_are_stored_and_not_sent(workshop: Workshop) -> None:
    """FEATURES L10."""
    caller = await workshop.person(10)
    url = await workshop.upload(caller)
    settings = {"kling": {"fps": 24, "durationSec": 10}}
    clip = await workshop.run(await workshop.animate(caller, input_still_url=url, settings=settings))
    assert clip.generation["mg_mma_vars"]["settings"]["kling"] == {"mode": "standard", "durationSec": 10, "fps": 24}
    assert workshop.models.camera.paid[-1].settings == {"mode": "standard", "durationSec": 10}


async def test_a_clip_is_no_picture_to_make_something_from(workshop: Workshop) -> None:
    caller = await workshop.person(20)
    clip = await workshop.run(await workshop.animate(caller, input_still_url=await workshop.upload(caller)))
    url = clip.generation["mg_output_url"]
    with pytest.raises(AssetRejected, match="a clip"):
        await workshop.animate(caller, input_still_url=url)
    with pytest.raises(AssetRejected, match="a clip"):
        await workshop.create(caller, product_image_url=url)


async def test_what_comes_out_and_is_no_clip_ends_with_its_refund(workshop: Workshop) -> None:
    caller = await workshop.person(10)
    workshop.models.camera.output = lambda seed: b"\x00\x00\x00\x18ftypmp42" + seed.encode()
    clip = await workshop.run(await workshop.animate(caller, input_still_url=await workshop.upload(caller)))
    assert (clip.status, clip.generation["mg_error"]) == ("error", "BAD_MODEL_OUTPUT")
    assert await workshop.balance(caller) == 10


# ---------------------------------------------------------------- type for me


async def test_a_suggestion_is_plain_and_leaves_no_trace_and_no_charge(workshop: Workshop) -> None:
    """FEATURES L1."""
    caller = await workshop.person(0)
    workshop.models.pen.answers = [{"clean_prompt": "Slow push-in. " * 60, "userMessage_final": "Here."}]
    before = await workshop.counts()
    url = await workshop.upload(caller)
    said = await workshop.suggestions.motion(caller, SuggestionOrder(input_still_url=url, motion_brief="calm"))
    assert said.startswith("Slow push-in.")
    assert len(said) <= 500
    assert workshop.models.pen.asked[-1].parts["motion_brief"] == "calm"
    assert workshop.models.pen.asked[-1].parts["input_still_crt"] == "A input_still in soft light."
    assert await workshop.counts() == before


async def test_a_suggestion_for_a_still_made_here_looks_at_nothing_again(workshop: Workshop) -> None:
    caller = await workshop.person(1)
    still = await workshop.made(caller)
    looks = len(workshop.models.eye.looks)
    await workshop.suggestions.motion(caller, SuggestionOrder(generation_id=still.generation["mg_id"]))
    assert len(workshop.models.eye.looks) == looks


async def test_a_suggestion_needs_an_image_of_ones_own(workshop: Workshop) -> None:
    caller, other = await workshop.person(0), await workshop.person(1)
    theirs = await workshop.made(other)
    for order, error in (
        (SuggestionOrder(), ImageRequired),
        (SuggestionOrder(generation_id=theirs.generation["mg_id"]), NotFound),
        (SuggestionOrder(input_still_url=theirs.generation["mg_output_url"]), AssetNotOurs),
        (SuggestionOrder(input_still_url=await workshop.upload(caller), movement_style="no"), InvalidInput),
    ):
        with pytest.raises(error):
            await workshop.suggestions.motion(caller, order)
