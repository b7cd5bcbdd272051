"""The main journey: from nothing to a finished still, by somebody else's clients."""

from io import BytesIO
from typing import Any

import aiohttp
import asyncpg
import pytest
from gql.transport.exceptions import TransportQueryError
from PIL import Image

from tests.journeys.server import Server
from tests.journeys.visitor import Event, Visitor

ORDER = ["QUEUED", "SCANNING", "PROMPTING", "GENERATING", "POSTSCAN", "DONE"]
VARS = {
    "version", "mode", "assets", "scans", "history", "inputs", "prompts", "feedback", "userMessages", "statuses",
    "settings", "outputs",
}  # fmt: skip
NODES = """query ($ids: [ID!]!, $one: ID!) {
  nodes(ids: $ids) { __typename id } node(id: $one) { __typename id }
}"""
ARCHIVE = """{ me { credits { balance }
  generations(first: 5) { totalCount nodes { id status outputUrl } }
  creditTransactions(first: 5) { totalCount nodes { id delta reason generation { id } } }
  events(first: 5) { nodes { id type generation { id } } }
  sessions(first: 5) { nodes { id generations(first: 5) { nodes { id } } } }
} }"""
CACHED = """select mg_payload #>> '{output,cached}' as cached from mega_generations
            where mg_pass_id = $1 and mg_step_type = 'scan_product' order by mg_created_at"""
START_SESSION = """mutation ($input: StartSessionInput!) { startSession(input: $input) { session { id } userErrors { code } } }"""


def statuses(events: list[Event]) -> list[str]:
    """The statuses of a run, its end among them."""
    ends = {"GenerationCompleted": "DONE", "GenerationFailed": "ERROR"}
    return [event.get("status") or ends[event["__typename"]] for event in events if event["__typename"] != "UserMessageAdded"]


def lines(events: list[Event]) -> list[dict[str, Any]]:
    """The friendly lines of a run."""
    return [event["message"] for event in events if event["__typename"] == "UserMessageAdded"]


async def test_a_picture_and_a_brief_become_a_still(studio: Server) -> None:
    """A2, B5, C3, E1, E7, F1, F2, F3, F5-F7, F11, G1-G3, G5, I3, J3, J6, J7, N1, O1, O2, O7, O8."""
    visitor = Visitor(studio)
    assert (await visitor.arrive())["credits"]["balance"] == 10
    visit = (await visitor.ask(START_SESSION, input={"platform": "web", "title": "Coffee"}))["startSession"]["session"]["id"]
    product, logo, first, second = [(await visitor.uploaded())["publicUrl"] for _ in range(4)]

    payload = await visitor.create(
        "The coffee of the house, on dark wood, late afternoon",
        style="editorial",
        ratio="3:4",
        assets={"productImageUrl": product, "logoImageUrl": logo, "inspirationImageUrls": [first, second]},
        settings={"seedream": {"size": "1K"}},
        visionIntelligence=True,
        sessionId=visit,
    )
    assert payload["userErrors"] == []
    accepted = payload["generation"]
    assert (accepted["status"], accepted["kind"], accepted["cost"]) == ("QUEUED", "STILL", 1)
    assert (payload["replayed"], payload["pass"]["credits"]["balance"]) == (False, 9)

    events = await visitor.followed(accepted["id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert statuses(events) == ORDER
    assert events[-1]["__typename"] == "GenerationCompleted"
    assert {event["generationId"] for event in events} == {accepted["id"]}
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    assert len(lines(events)) >= 4 + 4  # a line for each status that shows one, and for each picture looked at
    assert all(0 < len(line["text"]) <= 140 for line in lines(events))

    still = await visitor.generation(accepted["id"])
    assert (still["status"], still["failure"], still["refund"]) == ("DONE", None, None)
    assert (still["style"], still["ratio"], still["brief"]) == (
        "editorial",
        "3:4",
        "The coffee of the house, on dark wood, late afternoon",
    )
    assert still["assets"] == {
        "productImageUrl": product,
        "logoImageUrl": logo,
        "inspirationImageUrls": [first, second],
        "inputStillUrl": None,
        "endStillUrl": None,
    }
    assert still["settings"]["seedream"]["size"] == "1K"
    assert (still["provider"], still["model"]) == ("offline", "offline-still-1")
    assert still["latencyMs"] > 0
    assert still["session"] == {"id": visit, "title": "Coffee"}
    assert still["charge"]["generation"]["id"] == still["id"]
    assert (still["charge"]["delta"], still["charge"]["reason"], still["charge"]["refType"]) == (-1, "charge", "generation")
    assert still["pass"] == {"id": visitor.pass_id, "credits": {"balance": 9}}
    scans = still["scans"]
    assert all([scans["product"], scans["logo"], len(scans["inspirations"]) == 2, scans["outputStill"]])

    steps = still["steps"]
    assert [step["stepNo"] for step in steps] == list(range(len(steps)))
    assert [step["id"] for step in steps] == [
        f"mma_step:{still['id'].removeprefix('generation:')}:{n}" for n in range(len(steps))
    ]
    kinds = [step["stepType"] for step in steps]
    assert sorted(kinds[:5]) == ["like_history", "scan_inspiration", "scan_inspiration", "scan_logo", "scan_product"]
    assert kinds[5:] == ["gpt_reader", "seedream_generate", "postscan"]
    assert {step["status"] for step in steps} == {"SUCCEEDED"}
    assert all(step["config"] for step in steps if step["stepType"].startswith(("scan", "gpt", "postscan")))

    # Reloading the page, or asking now and then instead of following, tells the same (O2, O7).
    assert still["userMessages"] == lines(events)
    assert still["finalMessage"] == lines(events)[-1]["text"] == events[-1]["generation"]["finalMessage"]
    assert [entry["status"].upper() for entry in still["vars"]["statuses"]] == ORDER
    assert set(still["vars"]) == VARS

    archive = (await visitor.ask(ARCHIVE))["me"]
    assert archive["credits"]["balance"] == 9
    assert archive["generations"] == {
        "totalCount": 1,
        "nodes": [{"id": still["id"], "status": "DONE", "outputUrl": still["outputUrl"]}],
    }
    assert [(entry["delta"], entry["reason"]) for entry in archive["creditTransactions"]["nodes"]] == [
        (-1, "charge"),
        (10, "grant"),
    ]
    assert [(event["type"], event["generation"]["id"]) for event in archive["events"]["nodes"]] == [("CREATE", still["id"])]
    assert archive["sessions"]["nodes"] == [{"id": visit, "generations": {"nodes": [{"id": still["id"]}]}}]

    known = {
        "Pass": visitor.pass_id,
        "Generation": still["id"],
        "Session": visit,
        "MmaStep": steps[0]["id"],
        "MmaEvent": archive["events"]["nodes"][0]["id"],
        "CreditTransaction": still["charge"]["id"],
    }
    found = await visitor.ask(NODES, ids=[*known.values(), "generation:nothing"], one=still["id"])
    assert found["nodes"] == [*({"__typename": kind, "id": id_} for kind, id_ in known.items()), None]
    assert found["node"] == {"__typename": "Generation", "id": still["id"]}
    stranger = Visitor(studio)
    await stranger.arrive()
    assert (await stranger.ask(NODES, ids=list(known.values()), one=still["id"])) == {"nodes": [None] * len(known), "node": None}

    await assert_loads(still)


async def assert_loads(still: dict[str, Any]) -> None:
    """The output is a permanent public picture of the promised shape, and comes as a file with a name (J3, E13)."""
    assert "?" not in still["outputUrl"]
    async with aiohttp.ClientSession() as http:
        async with http.get(still["outputUrl"]) as answer:
            assert (answer.status, answer.content_type) == (200, still["contentType"])
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Content-Disposition" not in answer.headers
            picture = Image.open(BytesIO(await answer.read()))
        picture.load()
        assert picture.size == (still["width"], still["height"])
        assert picture.width * 4 == picture.height * 3
        async with http.get(still["downloadUrl"]) as answer:
            assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''mina-{still['id'][11:19]}.jpg"


async def test_words_alone_make_a_still_and_nothing_is_looked_at_first(visitor: Visitor) -> None:
    """F4, G1."""
    generation = await visitor.accepted("A bowl of matcha")
    assert statuses(await visitor.followed(generation)) == ORDER
    still = await visitor.generation(generation)
    assert [step["stepType"] for step in still["steps"]] == ["like_history", "gpt_reader", "seedream_generate", "postscan"]
    assert (still["style"], still["vars"]["inputs"]["style"], still["ratio"]) == (None, "None", "1:1")


async def test_the_same_picture_is_looked_at_once(visitor: Visitor, database: asyncpg.Connection) -> None:
    """G6: no model is asked a second time about the same bytes, the step says so, and both stills know the same."""
    picture = (await visitor.uploaded())["publicUrl"]
    captions = []
    for _ in range(2):
        generation = await visitor.accepted(assets={"productImageUrl": picture})
        await visitor.followed(generation)
        captions.append((await visitor.generation(generation))["scans"]["product"])
    assert captions[0] == captions[1]
    looked = await database.fetch(CACHED, visitor.pass_id)
    assert [row["cached"] for row in looked] == ["false", "true"]


async def test_asking_now_and_then_shows_lines_as_they_are_written(visitor: Visitor) -> None:
    """O2, O7: every answer is the beginning of the next one, and the last is what the stream told."""
    generation = await visitor.accepted()
    seen: list[dict[str, Any]] = []
    status = "QUEUED"
    while status not in {"DONE", "ERROR"}:
        now = await visitor.generation(generation)
        assert now["userMessages"][: len(seen)] == seen
        assert ORDER.index(now["status"]) >= ORDER.index(status)
        seen, status = now["userMessages"], now["status"]
    assert seen == lines(await visitor.followed(generation))
    last = seen[-2]["seq"]
    later = await visitor.ask(
        "query ($id: ID!, $after: Int!) { generation(id: $id) { userMessages(after: $after) { seq } } }",
        id=generation,
        after=last,
    )
    assert later["generation"]["userMessages"] == [{"seq": seen[-1]["seq"]}]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"brief": "  "}, ["input", "brief"]),
        ({"brief": "x" * 4_001}, ["input", "brief"]),
        ({"style": "baroque"}, ["input", "style"]),
        ({"ratio": "5:7"}, ["input", "ratio"]),
        ({"settings": {"seedream": {"sparkle": 11}}}, None),
        ({"settings": {"kling": {}}}, None),
        ({"settings": [1]}, None),
    ],
    ids=["no brief", "long brief", "style", "ratio", "setting", "provider", "no object"],
)
async def test_an_order_that_makes_no_sense_is_refused_and_costs_nothing(
    visitor: Visitor, wrong: dict[str, Any], field: list[str] | None
) -> None:
    """F3, F12."""
    payload = await visitor.create(**wrong)
    assert payload["generation"] is None
    assert [error["code"] for error in payload["userErrors"]] == ["INVALID_INPUT"]
    assert field is None or payload["userErrors"][0]["field"] == field
    assert await visitor.balance() == 10


async def test_orders_need_a_pass(studio: Server) -> None:
    """A18: nobody is not somebody called anonymous."""
    with pytest.raises(TransportQueryError) as caught:
        await Visitor(studio).create()
    assert caught.value.errors is not None
    assert caught.value.errors[0]["extensions"]["code"] == "UNAUTHENTICATED"
