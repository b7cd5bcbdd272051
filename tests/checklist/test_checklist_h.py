"""Taste in what is made next: every prompt keeps to the blocks, and the look-back reaches the writer (FEATURES group H, L8)."""

from mina_gql.services.generations.suggesting import SuggestionOrder
from tests.services.pipeline_workshop import Workshop

PROMPT_TASKS = {"gpt_reader", "gpt_feedback_still", "gpt_reader_motion", "motion_suggestion", "gpt_feedback_motion"}
"""The five contexts that write prompts; the sixth looks at pictures."""


async def write_all(workshop: Workshop, caller, still: str, url: str) -> list:
    """Everything that has a prompt written: what the writer was asked, in order."""
    workshop.models.pen.asked.clear()
    await workshop.made(caller)
    await workshop.run(await workshop.tweak(caller, still))
    clip = await workshop.run(await workshop.animate(caller, generation_id=still))
    await workshop.run(await workshop.animate(caller, input_still_url=url, type_for_me=True))
    await workshop.run(await workshop.tweak(caller, clip.generation["mg_id"]))
    await workshop.suggestions.motion(caller, SuggestionOrder(generation_id=still))
    return list(workshop.models.pen.asked)


async def test_a_hard_block_is_in_every_prompt_from_now_on_until_it_is_cleared(workshop: Workshop) -> None:
    """H5, H7, L8: stills, tweaks, clips, tweaks of clips, and what is typed for somebody."""
    caller = await workshop.person(100)
    await workshop.knobs(**{"video_tweak.enabled": True})
    still, url = (await workshop.made(caller)).generation["mg_id"], await workshop.upload(caller)
    await workshop.signals.set_preference(caller, "neon glow", None, True)
    asked = await write_all(workshop, caller, still, url)
    assert {request.task for request in asked} == PROMPT_TASKS
    assert [request.parts["hard_blocks"] for request in asked] == [["neon glow"]] * 6
    assert all("neon glow" in request.prompt for request in asked)
    await workshop.signals.clear_preference(caller, "neon glow")
    asked = await write_all(workshop, caller, still, url)
    assert [request.parts["hard_blocks"] for request in asked] == [[]] * 6
    assert not any("neon" in request.prompt for request in asked)


async def test_what_was_liked_reaches_the_step_the_map_and_the_writer(workshop: Workshop) -> None:
    """H1, H2, I1: one line of taste, the same in all three; with vision the prompts of what was liked, without it pictures only."""
    caller = await workshop.person(10)
    liked = (await workshop.made(caller, style="moody")).generation
    await workshop.signals.like(caller, liked["mg_id"])
    for vision_intelligence in (True, False):
        story = await workshop.made(caller, vision_intelligence=vision_intelligence)
        found = story.of_type("like_history")[0]["mg_payload"]["output"]
        assert found["pictures"] == [liked["mg_output_url"]]
        assert found["prompts"] == ([liked["mg_prompt"]] if vision_intelligence else [])
        assert "style.moody" in found["style_history_csv"].split(",")
        assert story.generation["mg_mma_vars"]["history"]["style_history_csv"] == found["style_history_csv"]
        assert workshop.models.pen.asked[-1].parts["style_history_csv"] == found["style_history_csv"]
        assert found["style_history_csv"] in workshop.models.pen.asked[-1].prompt
        assert workshop.models.pen.asked[-1].parts["liked_prompts"] == found["prompts"]
        assert (str(liked["mg_prompt"]) in workshop.models.pen.asked[-1].prompt) is vision_intelligence
