"""What people read while they wait, from real runs (FEATURES group O)."""

from typing import Any

from mina_gql.domain.pipeline import friendly_line
from tests.api.graphql.graphql_world import Api
from tests.services.pipeline_promises import INTERNALS

LINES = """query($id: ID!) { generation(id: $id) { status finalMessage userMessages { seq text stage at } } }"""
WATCH = """subscription($id: ID!, $after: Int! = 0) { generationEvents(generationId: $id, afterSeq: $after) { __typename seq
  ... on StatusChanged { status } ... on UserMessageAdded { message { seq text stage at } }
  ... on GenerationCompleted { generation { status } } } }"""


async def told(api: Api, caller: Any, generation: str, after: int = 0) -> list[Any]:
    """The events of a generation that has ended."""
    answers = await api.follow(caller, WATCH, id=generation, after=after)
    return [answer["data"]["generationEvents"] for answer in answers]


async def test_every_line_of_every_kind_of_run_is_friendly_short_and_without_internals(api: Api) -> None:
    """O8, with the vendors that come with Mina: a still of every picture, a tweak, a clip of one's own words and one typed."""
    studio = api.studio
    caller = await studio.person(30)
    urls = [await studio.picture(caller) for _ in range(3)]
    assets = {"productImageUrl": urls[0], "logoImageUrl": urls[1], "inspirationImageUrls": [urls[2]]}
    made: dict[str, Any] = {"brief": "A GPT model on the seedream pipeline, https://x.example", "assets": assets}
    lines = []
    still = await _run(api, caller, "create", "CreateInput", made)
    lines += await _lines(api, caller, still)
    for name, kind, order in (
        ("tweak", "TweakInput", {"generationId": still, "feedback": "Ask OpenAI for a warmer prompt"}),
        ("animate", "AnimateInput", {"generationId": still, "motionPrompt": "kling, slowly"}),
        ("animate", "AnimateInput", {"inputStillUrl": urls[0], "typeForMe": True}),
    ):
        lines += await _lines(api, caller, await _run(api, caller, name, kind, order))
    assert len(lines) >= 4 * 4
    assert [line for line in lines if friendly_line(line) != line or INTERNALS.search(line)] == []


async def test_what_is_read_again_is_what_was_told_from_any_point(api: Api) -> None:
    """O1, O2, O3, O4, O7: lines and statuses in order, then the end, and every cursor gives exactly the rest."""
    caller = await api.studio.person(1)
    generation = await _run(api, caller, "create", "CreateInput", {"brief": "A cup"})
    events = await told(api, caller, generation)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    statuses = [event["status"] for event in events if event["__typename"] == "StatusChanged"]
    assert statuses == ["QUEUED", "SCANNING", "PROMPTING", "GENERATING", "POSTSCAN"]
    assert events[-1] | {"__typename": "GenerationCompleted", "generation": {"status": "DONE"}} == events[-1]
    found = (await api.data(caller, LINES, id=generation))["generation"]
    assert found["userMessages"] == [event["message"] for event in events if event["__typename"] == "UserMessageAdded"]
    assert found["finalMessage"] == found["userMessages"][-1]["text"]
    for seen in range(len(events) + 2):
        assert await told(api, caller, generation, seen) == events[seen:]


async def _run(api: Api, caller: Any, name: str, kind: str, order: dict[str, Any]) -> str:
    """Order it and make it; its id."""
    document = f"mutation($input: {kind}!) {{ {name}(input: $input) {{ generation {{ id }} userErrors {{ code message }} }} }}"
    payload = (await api.data(caller, document, input=order))[name]
    assert payload["userErrors"] == []
    await api.studio.mina.runner.run(payload["generation"]["id"])
    return str(payload["generation"]["id"])


async def _lines(api: Api, caller: Any, generation: str) -> list[str]:
    found = (await api.data(caller, LINES, id=generation))["generation"]
    assert found["status"] == "DONE"
    return [line["text"] for line in found["userMessages"]]
