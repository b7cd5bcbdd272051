"""While they wait: the place in the queue and the seconds to go, on buttons, in lists and in streams (FEATURES L9, T3)."""

import pytest

from mina_gql.mega.database import DatabaseAway
from tests.studio import BRIEF, counted

WAIT = "id status queuePosition etaSeconds"
ONE = f"query($id: ID!) {{ generation(id: $id) {{ {WAIT} }} }}"
PAGE = f"{{ me {{ generations(first: 50) {{ nodes {{ {WAIT} }} }} }} }}"
PLAIN_PAGE = "{ me { generations(first: 50) { nodes { id status } } } }"
WATCH = """subscription($id: ID!, $after: Int! = 0) {
  generationEvents(generationId: $id, afterSeq: $after) { __typename seq ... on StatusChanged { status etaSeconds } }
}"""


async def ordered(api, caller) -> str:
    return (await api.studio.orders.create(caller, BRIEF)).generation.id


@pytest.mark.parametrize("action", ["CREATE", "TWEAK", "ANIMATE"])
async def test_a_quote_says_how_long_it_usually_takes(api, action):
    """L9: the label of the button, before anything is paid."""
    caller = await api.studio.person(matcha=10)
    query = "query($action: BillableAction!) { quote(action: $action) { cost estimatedSeconds } }"
    quote = (await api.data(caller, query, action=action))["quote"]
    assert quote["estimatedSeconds"] == await api.studio.estimates.typical(action.lower())
    assert quote["estimatedSeconds"] >= 1


async def test_a_queued_one_knows_its_place_and_a_finished_one_waits_no_more(api):
    one, other = await api.studio.person(matcha=5), await api.studio.person(matcha=5)
    first, second = await ordered(api, one), await ordered(api, other)
    assert (await api.data(one, ONE, id=first))["generation"]["queuePosition"] == 0
    waiting = (await api.data(other, ONE, id=second))["generation"]
    assert (waiting["status"], waiting["queuePosition"]) == ("QUEUED", 1)
    assert waiting["etaSeconds"] >= 1
    await api.studio.mina.runner.run(first)
    assert (await api.data(one, ONE, id=first))["generation"] == {
        "id": first,
        "status": "DONE",
        "queuePosition": None,
        "etaSeconds": None,
    }
    assert (await api.data(other, ONE, id=second))["generation"]["queuePosition"] == 0


async def test_the_answer_to_an_order_says_how_long_it_will_take(api):
    caller = await api.studio.person(matcha=5)
    made = await api.data(caller, 'mutation { create(input: { brief: "A cup." }) { generation { queuePosition etaSeconds } } }')
    assert made["create"]["generation"]["queuePosition"] == 0
    assert made["create"]["generation"]["etaSeconds"] >= 1


async def test_a_started_one_has_seconds_to_go_and_no_place(api):
    caller = await api.studio.person(matcha=5)
    started = await api.studio.row(
        "generation", "started", caller, mma_mode="video", mma_status="generating", mma_vars='{"feedback": {}}'
    )
    shown = (await api.data(caller, ONE, id=started))["generation"]
    assert shown["queuePosition"] is None
    assert shown["etaSeconds"] >= 1


async def test_a_page_of_finished_ones_costs_no_query_more_and_one_of_unfinished_ones_two_at_most(api):
    caller = await api.studio.person(matcha=60)
    for number in range(50):
        await api.studio.row("generation", f"done{number}", caller, mma_mode="still", mma_status="done")

    async def reads(page: str) -> int:
        with counted(api.studio.mina.database) as made:
            await api.data(caller, page)
        return len(made)

    await reads(PLAIN_PAGE)
    plain = await reads(PLAIN_PAGE)
    assert await reads(PAGE) == plain
    line = [await ordered(api, caller) for _ in range(12)]
    assert await reads(PAGE) <= plain + 2
    assert await reads(PAGE) <= plain + 1, "what was learned is known by now"
    nodes = {node["id"]: node for node in (await api.data(caller, PAGE))["me"]["generations"]["nodes"]}
    assert [nodes[id_]["queuePosition"] for id_ in line] == list(range(12))


async def test_a_change_of_status_says_what_is_still_to_go_and_after_the_end_nothing_is(api):
    caller = await api.studio.person(matcha=5)
    generation = await ordered(api, caller)
    document, _ = api.engine.prepare(WATCH, None, {"id": generation})
    stream = await api.engine.subscribe(document, {"id": generation}, None, await api.context(caller))
    queued = (await anext(stream)).data["generationEvents"]
    assert (queued["seq"], queued["status"]) == (1, "QUEUED")
    assert queued["etaSeconds"] >= 1
    await stream.aclose()
    await api.studio.mina.runner.run(generation)
    events = [answer["data"]["generationEvents"] for answer in await api.follow(caller, WATCH, id=generation)]
    changes = [event for event in events if event["__typename"] == "StatusChanged"]
    assert len(changes) >= 3
    assert {change["etaSeconds"] for change in changes} == {None}
    assert events[-1]["__typename"] == "GenerationCompleted"


async def test_an_estimate_that_cannot_be_made_does_not_break_the_stream(api, monkeypatch):
    async def away(ids: list[str]) -> None:
        raise DatabaseAway("gone")

    caller = await api.studio.person(matcha=5)
    generation = await ordered(api, caller)
    monkeypatch.setattr(api.studio.mina.services.estimates, "by_id", away)
    await api.studio.mina.runner.run(generation)
    answers = await api.follow(caller, WATCH, id=generation)
    assert not [answer for answer in answers if "errors" in answer]
    assert answers[0]["data"]["generationEvents"]["etaSeconds"] is None
