"""Making it: the paid step's record, and how a failure is told (FEATURES group J)."""

import pytest

from tests.api.graphql.graphql_world import Api
from tests.services.pipeline_promises import INTERNALS
from tests.services.pipeline_workshop import Workshop

FAILURE = "failure { code message stepType retryable refunded }"
GENERATION = f"""query($id: ID!) {{ generation(id: $id) {{ status {FAILURE} refund {{ delta }}
  steps {{ stepType status input output payload error }} }} }}"""
WATCH = f"""subscription($id: ID!) {{ generationEvents(generationId: $id) {{ __typename
  ... on GenerationFailed {{ {FAILURE} }} }} }}"""
SECRET = "Traceback: replicate.exceptions.ReplicateError 401 r8_secret https://api.replicate.com/v1?Signature=x"


async def test_the_paid_step_records_what_was_asked_and_what_came_back(workshop: Workshop) -> None:
    """J1: prompt, settings as resolved and as sent, the pictures, the vendor's request and response, our address and the time."""
    caller = await workshop.person(1)
    product = await workshop.upload(caller)
    settings = {"seedream": {"size": "1K", "guidance": 7}}
    story = await workshop.made(caller, product_image_url=product, settings=settings)
    [step] = story.of_type("seedream_generate")
    [asked] = workshop.models.brush.paid
    resolved = {"size": "1K", "guidance": 7, "enhance_prompt": True}
    assert step["mg_payload"]["input"] == {
        "prompt": asked.prompt,
        "settings": resolved,
        "sent": {"size": "1K", "enhance_prompt": True},
        "assets": {"product": product},
    }
    assert step["mg_payload"]["output"] == {
        "request": {"prompt": asked.prompt, **asked.settings},
        "response": {"id": "prediction-1"},
        "output_url": story.generation["mg_output_url"],
    }
    assert step["mg_latency_ms"] == step["mg_payload"]["timing"]["duration_ms"]
    assert story.generation["mg_mma_vars"]["settings"] == {"seedream": resolved}


@pytest.mark.parametrize("step_type", ["gpt_reader", "seedream_generate"])
async def test_a_failure_is_told_alike_by_the_stream_and_the_generation_and_names_no_internals(
    bench: Api, step_type: str
) -> None:
    """J8: code, message, step; and the trace of its owner holds none of our words to the vendors."""

    async def fail(_: object) -> None:
        raise RuntimeError(SECRET)

    workshop = bench.studio
    if step_type == "gpt_reader":
        workshop.models.pen.before = fail
    else:
        workshop.models.brush.before_id = fail
    caller = await workshop.person(1)
    generation = await workshop.create(caller)
    await workshop.mina.runner.run(generation)

    found = (await bench.data(caller, GENERATION, id=generation))["generation"]
    failure = found["failure"]
    assert (found["status"], found["refund"]) == ("ERROR", {"delta": 1})
    assert failure | {"code": "INTERNAL", "stepType": step_type, "retryable": True, "refunded": True} == failure
    assert not INTERNALS.search(failure["message"])
    end = (await bench.follow(caller, WATCH, id=generation))[-1]["data"]["generationEvents"]
    assert end == {"__typename": "GenerationFailed", "failure": failure}
    assert (found["steps"][-1]["stepType"], found["steps"][-1]["status"]) == (step_type, "FAILED")
    assert {step[name] for step in found["steps"] for name in ("input", "output", "payload")} == {None}
    assert "r8_secret" not in str(found)
