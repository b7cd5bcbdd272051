"""Tweak: the same picture with another prompt, as a generation of its own (FEATURES group K; seed 003, 7.2)."""

import pytest

from mina_gql.domain.errors import IdempotencyKeyReused, InvalidInput, NotFound, VideoTweakDisabled
from mina_gql.domain.generations import TweakOrder
from tests.services.pipeline_workshop import Workshop, workshop_fixture  # noqa: F401 -- the fixture `workshop`

INHERITED = ("mode", "assets", "inputs", "settings")


async def test_everything_but_the_prompt_is_inherited_and_the_parent_stays_as_it_is(workshop: Workshop) -> None:
    """FEATURES K1, K2."""
    caller = await workshop.person(10)
    product = await workshop.upload(caller)
    order = {"product_image_url": product, "style": "moody", "ratio": "3:4", "settings": {"seedream": {"size": "4K"}}}
    parent = await workshop.made(caller, **order)
    before = dict(await workshop.looking.fetchrow("select * from mega_generations where mg_id = $1", parent.generation["mg_id"]))
    workshop.models.pen.answers = [{"clean_prompt": "Softer.", "userMessage_final": "Softened it."}]

    child = await workshop.run(await workshop.tweak(caller, before["mg_id"], "Softer light"))

    mine, its = child.generation["mg_mma_vars"], before["mg_mma_vars"]
    assert {name: mine[name] for name in INHERITED} == {name: its[name] for name in INHERITED}
    assert mine["scans"]["product_crt"] == its["scans"]["product_crt"]
    assert (child.status, child.generation["mg_prompt"]) == ("done", "Softer.")
    assert child.generation["mg_parent_id"] == before["mg_id"]
    assert child.generation["mg_output_key"] != before["mg_output_key"]
    after = dict(await workshop.looking.fetchrow("select * from mega_generations where mg_id = $1", before["mg_id"]))
    assert after == before


async def test_the_steps_are_three_and_the_writer_reads_all_four_parts(workshop: Workshop) -> None:
    """FEATURES K3, K4."""
    caller = await workshop.person(10)
    parent = await workshop.made(caller)
    child = await workshop.run(await workshop.tweak(caller, parent.generation["mg_id"], "I hate the light you added"))
    assert [step["mg_step_type"] for step in child.steps] == [
        "gpt_feedback_still",
        "seedream_generate_feedback",
        "postscan_feedback",
    ]
    parts = child.steps[0]["mg_payload"]["input"]["parts"]
    assert parts["previous_prompt"] == parent.generation["mg_prompt"]
    assert parts["output_url"] == parent.generation["mg_output_url"]
    assert parts["output_crt"] == parent.generation["mg_mma_vars"]["scans"]["output_still_crt"]
    assert parts["feedback"] == "I hate the light you added"
    prompt = workshop.models.pen.asked[-1].prompt
    assert all(str(parts[name]) in prompt for name in ("previous_prompt", "output_crt", "feedback"))


async def test_it_costs_one_and_leaves_one_event_with_the_words(workshop: Workshop) -> None:
    """FEATURES K5, K6."""
    caller = await workshop.person(10)
    parent = await workshop.made(caller)
    child = await workshop.tweak(caller, parent.generation["mg_id"], "Warmer")
    events = await workshop.looking.fetch(
        "select mg_meta from mega_generations where mg_record_type = 'mma_event' and mg_generation_id = $1",
        child.removeprefix("generation:"),
    )
    assert [event["mg_meta"] for event in events] == [{"event_type": "tweak", "payload": {"feedback": "Warmer"}}]
    assert await workshop.balance(caller) == 8


async def test_a_tweak_of_a_tweak_reads_the_latest_picture(workshop: Workshop) -> None:
    caller = await workshop.person(10)
    first = await workshop.made(caller)
    workshop.models.pen.answers = [{"clean_prompt": "Second prompt.", "userMessage_final": "Two."}]
    second = await workshop.run(await workshop.tweak(caller, first.generation["mg_id"], "One"))
    third = await workshop.run(await workshop.tweak(caller, second.generation["mg_id"], "Two"))
    parts = third.steps[0]["mg_payload"]["input"]["parts"]
    assert (parts["previous_prompt"], parts["feedback"]) == ("Second prompt.", "Two")
    assert third.generation["mg_parent_id"] == second.generation["mg_id"]


async def test_hard_blocks_are_constraints_of_a_tweak_too(workshop: Workshop) -> None:
    """FEATURES H5."""
    caller = await workshop.person(10)
    parent = await workshop.made(caller)
    await workshop.looking.execute(
        "update mega_customers set mg_mma_preferences = $2 where mg_pass_id = $1",
        caller.pass_id,
        {"hard_blocks": ["neon"], "tag_weights": {"neon": -999}},
    )
    child = await workshop.run(await workshop.tweak(caller, parent.generation["mg_id"]))
    assert child.steps[0]["mg_payload"]["input"]["parts"]["hard_blocks"] == ["neon"]
    assert "neon" in workshop.models.pen.asked[-1].prompt


async def test_only_ones_own_finished_stills_are_tweaked_and_empty_words_are_refused(workshop: Workshop) -> None:
    """FEATURES K7: nothing is charged for what is refused."""
    caller, other = await workshop.person(10), await workshop.person(10)
    parent = (await workshop.made(caller)).generation["mg_id"]
    unfinished = await workshop.create(caller)
    before = await workshop.counts()
    for by, generation, words, error in (
        (other, parent, "Softer", NotFound),
        (caller, "generation:nothing", "Softer", NotFound),
        (caller, unfinished, "Softer", InvalidInput),
        (caller, parent, " \x00 ", InvalidInput),
        (caller, parent, "x" * 4001, InvalidInput),
    ):
        with pytest.raises(error):
            await workshop.tweak(by, generation, words)
    assert await workshop.counts() == before
    assert await workshop.balance(other) == 10


async def test_the_same_key_gives_the_same_tweak_and_another_input_is_told(workshop: Workshop) -> None:
    caller = await workshop.person(10)
    parent = (await workshop.made(caller)).generation["mg_id"]
    first = await workshop.orders.tweak(caller, TweakOrder(parent, "Softer", idempotency_key="k"))
    again = await workshop.orders.tweak(caller, TweakOrder(parent, "Softer", idempotency_key="k"))
    assert (again.generation.id, again.replayed, first.replayed) == (first.generation.id, True, False)
    with pytest.raises(IdempotencyKeyReused):
        await workshop.orders.tweak(caller, TweakOrder(parent, "Harder", idempotency_key="k"))
    assert await workshop.balance(caller) == 8


async def test_a_clip_takes_feedback_only_unless_the_knob_opens_it(workshop: Workshop) -> None:
    """FEATURES K8; a clip made anew costs what a clip costs."""
    caller = await workshop.person(20)
    clip = await workshop.run(await workshop.animate(caller, input_still_url=await workshop.upload(caller)))
    with pytest.raises(VideoTweakDisabled):
        await workshop.tweak(caller, clip.generation["mg_id"], "Slower")
    await workshop.knobs(**{"video_tweak.enabled": True})
    child = await workshop.run(await workshop.tweak(caller, clip.generation["mg_id"], "Slower"))
    assert [step["mg_step_type"] for step in child.steps] == ["gpt_feedback_motion", "kling_generate_feedback"]
    assert (child.status, child.generation["mg_mma_mode"], child.generation["mg_type"]) == ("done", "video", "motion")
    assert child.generation["mg_parent_id"] == clip.generation["mg_id"]
    assert await workshop.balance(caller) == 20 - 5 - 5
