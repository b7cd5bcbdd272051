"""Stills: the answer, the row and the event of an order (FEATURES group F; L6 for a clip)."""

import pytest

from mina_gql.domain.errors import IdempotencyKeyReused, InsufficientMatcha, InvalidInput
from mina_gql.domain.generations import RetryOrder
from tests.api.graphql.graphql_world import Api
from tests.services.pipeline_models import Gate
from tests.services.pipeline_workshop import Workshop

CREATE = """mutation($url: String!) { create(input: { brief: "A cup", assets: { productImageUrl: $url } }) {
  generation { id status } pass { credits { balance } } } }"""
EVENTS = """select g.mg_meta ->> 'event_type' as type, g.mg_generation_id as generation from mega_generations g
  where g.mg_record_type = 'mma_event' and g.mg_pass_id = $1 order by g.mg_created_at, g.mg_id"""


async def test_an_order_is_answered_before_any_model_is_asked(bench: Api) -> None:
    """F2: QUEUED and charged at once; all the looking and making is left to the background."""
    models, held = bench.studio.models, Gate()
    models.eye.before = models.pen.before = models.brush.before_id = held
    caller = await bench.studio.person(3)
    answer = (await bench.data(caller, CREATE, url=await bench.studio.upload(caller)))["create"]
    assert (answer["generation"]["status"], answer["pass"]["credits"]["balance"]) == ("QUEUED", 2)
    assert (held.inside, models.eye.looks, models.pen.asked, models.brush.paid) == (0, [], [], [])
    assert await bench.studio.jobs() == [answer["generation"]["id"]]


async def test_the_row_of_a_finished_still_is_complete(workshop: Workshop) -> None:
    """F6, column by column (seed 002, section 2)."""
    caller = await workshop.person(3)
    row = (await workshop.made(caller, brief="A cup", product_image_url=await workshop.upload(caller))).generation
    assert {name: row[f"mg_{name}"] for name in ("record_type", "pass_id", "type", "content_type", "mma_mode", "status")} == {
        "record_type": "generation",
        "pass_id": caller.pass_id,
        "type": "image",
        "content_type": "image",
        "mma_mode": "still",
        "status": "succeeded",
    }
    assert (row["mg_provider"], row["mg_model"]) == (workshop.models.brush.name, workshop.models.brush.model)
    assert row["mg_prompt"] == row["mg_mma_vars"]["prompts"]["clean_prompt"] == workshop.models.brush.paid[0].prompt
    assert row["mg_id"] == f"generation:{row['mg_generation_id']}"
    assert (row["mg_parent_id"], row["mg_error"], row["mg_deleted_at"]) == (None, None, None)
    assert row["mg_input_chars"] == len("A cup")
    assert row["mg_output_url"].endswith(".jpg")


async def test_the_row_of_a_finished_clip_is_complete(workshop: Workshop) -> None:
    """L6."""
    caller = await workshop.person(9)
    still = (await workshop.made(caller)).generation
    row = (await workshop.run(await workshop.animate(caller, generation_id=still["mg_id"]))).generation
    assert {name: row[f"mg_{name}"] for name in ("type", "content_type", "mma_mode", "status", "parent_id")} == {
        "type": "motion",
        "content_type": "video",
        "mma_mode": "video",
        "status": "succeeded",
        "parent_id": still["mg_id"],
    }
    assert (row["mg_provider"], row["mg_model"]) == (workshop.models.camera.name, workshop.models.camera.model)
    assert row["mg_output_url"].endswith(".mp4")


async def test_each_accepted_order_is_one_event_and_a_repeated_or_refused_one_is_none(workshop: Workshop) -> None:
    """F11, K5: creates, tweaks, clips and retries."""
    caller = await workshop.person(10)
    still = await workshop.create(caller, idempotency_key="k")
    assert await workshop.create(caller, idempotency_key="k") == still
    with pytest.raises(IdempotencyKeyReused):
        await workshop.create(caller, idempotency_key="k", brief="Another")
    with pytest.raises(InvalidInput):
        await workshop.create(caller, brief="")
    with pytest.raises(InsufficientMatcha):
        await workshop.create(await workshop.person(0))
    await workshop.run(still)
    workshop.models.pen.answers = [{}, {}]
    tweak = await workshop.tweak(caller, still)
    await workshop.run(tweak)
    clip = await workshop.animate(caller, generation_id=still)
    again = (await workshop.orders.retry(caller, RetryOrder(tweak))).generation.id
    told = [(row["type"], f"generation:{row['generation']}") for row in await workshop.looking.fetch(EVENTS, caller.pass_id)]
    assert told == [("create", still), ("tweak", tweak), ("create", clip), ("tweak", again)]
    assert (await workshop.counts())["mma_event"] == 4
