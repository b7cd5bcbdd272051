"""Visits to the studio, as a page starts and ends them."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.journeys.server import Server
from tests.journeys.visitor import Answer, Visitor

START = """mutation ($input: StartSessionInput!) { startSession(input: $input) {
  session { id platform title clientVersion startedAt endedAt meta } userErrors { code field } } }"""
END = "mutation ($id: ID!) { endSession(id: $id) { session { id endedAt } userErrors { code } } }"
OF_SESSION = "query ($id: ID!) { node(id: $id) { ... on Session { title generations(first: 5) { totalCount nodes { id } } } } }"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)


async def start(visitor: Visitor, **facts: Any) -> Answer:
    payload: Answer = (await visitor.ask(START, {"User-Agent": PHONE}, input=facts))["startSession"]
    return payload


async def test_a_visit_starts_with_what_the_page_says(visitor: Visitor, database: asyncpg.Connection) -> None:
    """B1, B4: a bare UUID is taken and prefixed, by either name it is the same visit, and long words are cut."""
    own = str(uuid4())
    first = await start(visitor, id=own, platform="web", title="T" * 5_000, clientVersion="1.2.3", meta={"tz": "Asia/Dubai"})
    session = first["session"]
    assert first["userErrors"] == []
    assert session["id"] == f"session:sess_{own}"
    assert (session["platform"], session["clientVersion"], session["meta"]) == ("web", "1.2.3", {"tz": "Asia/Dubai"})
    assert (len(session["title"]), session["endedAt"]) == (200, None)
    for again in (own, f"sess_{own}"):
        assert (await start(visitor, id=again, title="Another title"))["session"] == session
    row = await database.fetchrow("select * from mega_generations where mg_id = $1", session["id"])
    assert (row["mg_record_type"], row["mg_session_id"]) == ("session", f"sess_{own}")
    assert (row["mg_os"], row["mg_browser"], row["mg_device"]) == ("iOS", "Safari 18", "phone")


@pytest.mark.parametrize("wrong", [{"id": "tuesday"}, {"id": "session:1"}, {"meta": [1]}, {"meta": {"x": "y" * 9_000}}])
async def test_a_visit_that_makes_no_sense_is_refused(visitor: Visitor, wrong: Answer) -> None:
    """B1."""
    payload = await start(visitor, **wrong)
    assert payload["session"] is None
    assert [error["code"] for error in payload["userErrors"]] == ["INVALID_INPUT"]


async def test_the_order_names_the_visit_or_the_header_does(visitor: Visitor) -> None:
    """B2, B5: what the order says wins over `X-Session-Id`; a visit lists what was made in it."""
    first, second = [(await start(visitor, title=title))["session"]["id"] for title in ("Morning", "Evening")]
    create = (
        "mutation ($input: CreateInput!) { create(input: $input) { generation { id session { id title } } userErrors { code } } }"
    )
    bare = second.removeprefix("session:")
    by_header = (await visitor.ask(create, {"X-Session-Id": bare}, input={"brief": "A cup"}))["create"]["generation"]
    order = {"brief": "A cup", "sessionId": first}
    by_order = (await visitor.ask(create, {"X-Session-Id": bare}, input=order))["create"]["generation"]
    assert by_header["session"] == {"id": second, "title": "Evening"}
    assert by_order["session"] == {"id": first, "title": "Morning"}
    for session, generation in ((first, by_order), (second, by_header)):
        made = (await visitor.ask(OF_SESSION, id=session))["node"]["generations"]
        assert made == {"totalCount": 1, "nodes": [{"id": generation["id"]}]}
        await visitor.followed(generation["id"])


async def test_somebody_elses_visit_is_none(visitor: Visitor, studio: Server) -> None:
    """B2: not to order in, not to end, not to start again; nothing is charged."""
    stranger = Visitor(studio)
    await stranger.arrive()
    theirs = (await start(stranger))["session"]["id"]
    ordered = await visitor.create(sessionId=theirs)
    assert (ordered["generation"], [error["code"] for error in ordered["userErrors"]]) == (None, ["NOT_FOUND"])
    ended = (await visitor.ask(END, id=theirs))["endSession"]
    assert (ended["session"], [error["code"] for error in ended["userErrors"]]) == (None, ["NOT_FOUND"])
    started = await start(visitor, id=theirs.removeprefix("session:"))
    assert (started["session"], [error["code"] for error in started["userErrors"]]) == (None, ["NOT_FOUND"])
    assert await visitor.balance() == 10


async def test_a_visit_ends_once_and_the_next_is_another(visitor: Visitor) -> None:
    """B3."""
    session = (await start(visitor))["session"]["id"]
    ended = (await visitor.ask(END, id=session))["endSession"]["session"]
    assert ended["endedAt"] is not None
    assert (await visitor.ask(END, id=session))["endSession"]["session"] == ended
    assert (await start(visitor))["session"]["id"] != session
