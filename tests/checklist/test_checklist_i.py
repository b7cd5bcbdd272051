"""Prompts: what the writer reads is recorded whole, with the context it read it by (FEATURES group I)."""

from mina_gql.domain.config_seed import SEED
from tests.services.pipeline_promises import LANGUAGE_STEPS
from tests.services.pipeline_workshop import Workshop

CONTEXTS = ("gpt_scanner", "gpt_reader", "gpt_feedback_still", "motion_suggestion", "gpt_reader_motion", "gpt_feedback_motion")
PUBLISH = "insert into mega_admin (mg_id, mg_record_type, mg_key, mg_value, mg_meta) values ($1, 'app_config', $2, $3, $4)"


async def test_the_reader_reads_pictures_brief_style_and_taste_and_all_of_it_is_recorded(workshop: Workshop) -> None:
    """I1: `input_gpt_reader` is the text that was sent, `parts` what it was made of."""
    caller = await workshop.person(10)
    await workshop.signals.set_preference(caller, "warm light", 3, None)
    await workshop.signals.set_preference(caller, "neon", None, True)
    workshop.models.eye.text = lambda request: f"a {request.subject} at {request.url.rpartition('/')[2]}"
    urls = [await workshop.upload(caller) for _ in range(4)]
    names = [url.rpartition("/")[2] for url in urls]
    story = await workshop.made(
        caller,
        brief="A cup on stone",
        style="moody",
        ratio="3:4",
        product_image_url=urls[0],
        logo_image_url=urls[1],
        inspiration_image_urls=(urls[2], urls[3]),
    )
    [step] = story.of_type("gpt_reader")
    used = step["mg_payload"]["input"]
    assert used["parts"] == {
        "product_crt": f"a product at {names[0]}",
        "logo_crt": f"a logo at {names[1]}",
        "inspiration_crt": [f"a inspiration at {names[2]}", f"a inspiration at {names[3]}"],
        "brief": "A cup on stone",
        "style": "moody",
        "ratio": "3:4",
        "style_history_csv": "warm light,never:neon",
        "liked_prompts": [],
        "hard_blocks": ["neon"],
        "tag_weights": {"warm light": 3.0, "neon": -999.0},
    }
    assert used["input_gpt_reader"] == workshop.models.pen.asked[-1].prompt
    assert all(text in used["input_gpt_reader"] for text in (*names, "A cup on stone", "moody", "3:4", "warm light", "neon"))


async def test_every_step_of_words_names_the_context_it_ran_by_and_keeps_it(workshop: Workshop) -> None:
    """I3, Q5: after all six are published anew, new steps say version 2 and read its text; what was made before says 1."""
    caller = await workshop.person(100)
    await workshop.knobs(**{"video_tweak.enabled": True})
    before = await workshop.made(caller, product_image_url=await workshop.upload(caller))
    for name in CONTEXTS:
        key, value = f"mma.ctx.{name}", SEED[f"mma.ctx.{name}"]
        changed = {**value, "system": f"Version two of {name}. {value['system']}"}
        await workshop.looking.execute(PUBLISH, f"app_config:{key}.v2", key, changed, {"version": 2, "enabled": True})
    workshop.config._read_at = float("-inf")
    workshop.models.pen.asked.clear()
    urls = [await workshop.upload(caller) for _ in range(3)]
    still = await workshop.made(caller, product_image_url=urls[0], logo_image_url=urls[1], inspiration_image_urls=(urls[2],))
    tweak = await workshop.run(await workshop.tweak(caller, still.generation["mg_id"]))
    clip = await workshop.run(await workshop.animate(caller, input_still_url=await workshop.upload(caller)))
    typed = await workshop.run(await workshop.animate(caller, generation_id=still.generation["mg_id"], type_for_me=True))
    other = await workshop.run(await workshop.tweak(caller, clip.generation["mg_id"]))

    used = {}
    for step in (step for story in (still, tweak, clip, typed, other) for step in story.steps):
        if step["mg_step_type"] in LANGUAGE_STEPS:
            input_ = step["mg_payload"]["input"]
            assert (input_["ctx_version"], input_["ctx_id"]) == (2, f"app_config:{input_['ctx_key']}.v2"), step["mg_step_type"]
            used[step["mg_step_type"]] = input_["ctx_key"]
    assert used.keys() == LANGUAGE_STEPS
    assert set(used.values()) == {f"mma.ctx.{name}" for name in CONTEXTS}
    assert all(request.system.startswith(f"Version two of {request.task}.") for request in workshop.models.pen.asked)
    kept = await workshop.story(before.generation["mg_id"])
    assert {step["mg_payload"]["input"].get("ctx_version", 1) for step in kept.steps} == {1}
