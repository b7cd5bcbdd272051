"""Promises of the log: nothing personal in it, whatever goes wrong (FEATURES A20); the ids that lead from line to line."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import asyncpg
import pytest
import structlog
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mina_gql import logs
from mina_gql.api.access import Watched
from mina_gql.domain.passes import log_name
from mina_gql.redaction import redact, told
from mina_gql.settings import Settings
from tests.journeys.server import SECRET, Server, external, running
from tests.journeys.visitor import CREATE, Visitor
from tests.observability import canaries

LOUD = {"MINA_LOG_LEVEL": "debug"}
BREAK = """
    create function canary() returns trigger language plpgsql as $$ begin
      raise exception 'cannot keep %', coalesce(new.mg_mma_vars::text, new.mg_payload::text); end $$;
    create trigger canary before {event} on mega_generations for each row {when} execute function canary()
"""
"""What a database says that does not like a row: the row itself, with all that somebody wrote into it."""
HEADERS = {
    "User-Agent": canaries.HEADER,
    "X-Session-Id": canaries.HEADER,
    "Referer": f"https://elsewhere.example/?{canaries.QUERY}",
    "Cookie": f"session={canaries.MARK}",
    "X-Request-Id": f"{canaries.MARK}/is-no-id",
}


def lines_of(server: Server) -> list[dict[str, Any]]:
    """The log's lines, each of which is JSON; what `mina` says to people is none."""
    return [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]


async def all_ways_in(server: Server, visitor: Visitor) -> None:
    """Canaries through every way in, well and badly formed."""
    headers = {**visitor.headers, **HEADERS}
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJlbWFpbCI6ImthbmFyaWVudm9nZWwifQ.c2lnbmF0dXJl"
    async with aiohttp.ClientSession(headers=headers) as http:
        for authorization in (f"Bearer {jwt}", f"Bearer {canaries.MARK}", f"Basic {canaries.MARK}"):
            async with http.post(
                server.graphql, json={"query": "{ me { id } }"}, headers={"Authorization": authorization}
            ) as answer:
                assert answer.status in {200, 401}
        for path in ("graphql", "assets", "uploads", "history/pass", canaries.PATH, f"assets/{canaries.FILE_NAME}", "admin"):
            for method in ("GET", "PUT", "POST", canaries.MARK.upper()):
                url = f"{server.origin}/{path}/{canaries.PASS_ID}?email={canaries.EMAIL}&q={canaries.QUERY}"
                async with http.request(method, url, data=f'{{"brief": "{canaries.BRIEF}"'.encode()) as answer:
                    assert answer.status >= 400
        bodies: list[object] = [
            {"query": f'{{ generation(id: "{canaries.MARK}") {{ id }} }}'},
            {"query": f"{{ {canaries.MARK} }}"},
            {"query": f'{{ unfinished "{canaries.BRIEF}'},
            {"query": "query a { me { id } } query b { me { id } }", "operationName": canaries.MARK},
            {"query": CREATE, "variables": {"input": {"brief": [canaries.BRIEF], canaries.MARK: 1}}},
            {"query": CREATE, "variables": {"input": {"brief": canaries.BRIEF, "assets": {"productImageUrl": canaries.PATH}}}},
            {"query": 'mutation { linkShopify(input: {shopifyCustomerId: "' + canaries.MARK + '"}) { userErrors { code } } }'},
            [canaries.BRIEF],
        ]
        for body in bodies:
            async with http.post(server.graphql, json=body) as answer:
                await answer.read()
        async with http.post(f"{server.origin}/api/credits/shopify-order", json={"email": canaries.EMAIL}) as answer:
            assert answer.status >= 400
        async with http.get(server.origin, headers={"Host": f"{canaries.MARK}.example"}) as answer:
            assert answer.status == 421
    await visitor.sign(10, name=canaries.FILE_NAME)
    stranger = Visitor(server, canaries.PASS_ID)
    await stranger.post(CREATE, input={"brief": canaries.BRIEF})
    async with aiohttp.ClientSession() as http, http.ws_connect(server.websocket, protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {jwt}"}})
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    async with aiohttp.ClientSession() as http, http.ws_connect(server.websocket, protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json({"type": "connection_init", "payload": {"x-mina-pass-id": str(visitor.pass_id)}})
        await socket.receive()
        await socket.send_json({"id": canaries.MARK, "type": "subscribe", "payload": {"query": f"{{ {canaries.MARK} }}"}})
        assert (await socket.receive_json())["type"] == "error"
        await socket.send_json({"type": canaries.MARK})
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_no_word_of_a_person_gets_into_the_log(own_database, home):
    """Through every way in, at the most talkative level, and when the database quotes what it was given."""
    async with running(home, **external(own_database, **LOUD)) as server:
        server.calm = False
        visitor = Visitor(server)
        await visitor.arrive()
        generation = await visitor.accepted(canaries.BRIEF)
        await visitor.followed(generation)
        await all_ways_in(server, visitor)
        looking = await asyncpg.connect(own_database)
        await looking.execute(BREAK.format(event="insert", when="when (new.mg_record_type = 'generation')"))
        answer = await visitor.post(CREATE, input={"brief": canaries.BRIEF})
        assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        await looking.execute("drop trigger canary on mega_generations; drop function canary")
        # And in the middle of a run: a step that cannot be kept.
        await looking.execute(
            BREAK.format(
                event="update", when="when (new.mg_mma_vars #>> '{prompts,clean_prompt}' <> '' and new.mg_mma_status <> 'error')"
            )
        )
        failed = await visitor.accepted(canaries.BRIEF)
        assert (await visitor.followed(failed))[-1]["__typename"] == "GenerationFailed"
        await looking.close()
    assert canaries.found_in(server.log) == []
    lines = lines_of(server)
    assert {"graphql_error", "generation failed"} <= {line["event"] for line in lines}, server.log
    broken = next(line for line in lines if line["event"] == "graphql_error")
    assert "RaiseError P0001" in broken["exception"]
    assert broken["pass"] == log_name(str(visitor.pass_id), SECRET.encode())


async def test_a_line_carries_its_request_its_pass_and_its_generation(own_database, home):
    async with running(home, **external(own_database)) as server:
        server.calm = False
        visitor = Visitor(server)
        await visitor.arrive()
        looking = await asyncpg.connect(own_database)
        await looking.execute(
            BREAK.format(
                event="update", when="when (new.mg_mma_vars #>> '{prompts,clean_prompt}' <> '' and new.mg_mma_status <> 'error')"
            )
        )
        await looking.close()
        answer = await visitor.post(
            CREATE.replace("mutation", "mutation Make"), {"X-Request-Id": "my-own.id"}, input={"brief": "A cup"}
        )
        generation = answer["data"]["create"]["generation"]["id"]
        await visitor.followed(generation)
    lines = lines_of(server)
    (asked,) = [line for line in lines if line.get("name") == "Make"]
    name = log_name(str(visitor.pass_id), SECRET.encode())
    assert {
        key: asked[key] for key in ("event", "method", "route", "status", "operation", "request_id", "pass", "generation")
    } == {
        "event": "request",
        "method": "POST",
        "route": "/graphql",
        "status": "200",
        "operation": "mutation",
        "request_id": "my-own.id",
        "pass": name,
        "generation": generation,
    }
    assert asked["ms"] > 0
    failed = [line for line in lines if line["event"] == "generation failed"]
    assert [line["generation"] for line in failed] == [generation]
    assert not any("pass" in line for line in failed), "a run is nobody's request"


async def test_every_request_has_one_line_with_its_pattern_and_never_its_path(own_database, home):
    async with running(home, **external(own_database, **LOUD)) as server:
        paths = ["/health", "/assets/a/b.png", "/nothing-here", f"/history/pass/{canaries.PASS_ID}"]
        async with aiohttp.ClientSession() as http:
            for path in paths:
                async with http.get(server.origin + path):
                    pass
    told_of = [line for line in lines_of(server) if line["event"] == "request" and line["route"] != "/ready"]
    assert [line["route"] for line in told_of][:3] == ["/health", "/assets/{key:path}", "none"]
    assert told_of[3]["route"] in {"/history/pass/{passId}", "/history/pass/{pass_id}", "none"}
    assert len(told_of) == len(paths)
    assert [line["level"] for line in told_of] == ["debug", "info", "info", "info"]


async def test_the_embedded_default_speaks_to_people(home):
    async with running(home) as server:
        visitor = Visitor(server)
        await visitor.arrive()
    (line,) = [line for line in server.log.splitlines() if "request " in line and "/graphql" in line]
    assert not line.startswith("{")
    assert "route=/graphql" in line


# ---------------------------------------------------------------- the last line of defence, by itself


@pytest.mark.parametrize(
    ("said", "told_so"),
    [
        (canaries.PASS_ID, "[pass]"),
        (f"for {canaries.EMAIL}, twice", "for [email], twice"),
        ("Authorization: Bearer abc.def.ghi", "Authorization: Bearer [token]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[token]"),
        ("key sk-proj-abcdef123456", "key [key]"),
        ("whsec_abcdefghijklmnop", "[key]"),
        ("GET https://host.example/a/b?token=1#x done", "GET https://host.example/a/b?[…] done"),
        ("postgresql://mina:secret@db/mina", "postgresql://[…]@db/mina"),
        ("/uploads/abc.def", "/uploads/[…]"),
        ("/history/pass/anything", "/history/pass/[…]"),
        ("/history/pass/{passId}", "/history/pass/{passId}"),
        ("/history/pass/{passId}x", "/history/pass/[…]"),
        (
            "basic YWxhZGRpbjpvcGVu is no scheme; Basic YWxhZGRpbjpvcGVu is",
            "basic YWxhZGRpbjpvcGVu is no scheme; Basic [token] is",
        ),
        ("nothing to hide: pass_id, password, a token that ended", "nothing to hide: pass_id, password, a token that ended"),
        (f"{'a ' * 9_000}{canaries.EMAIL}", f"{'a ' * 8_000}…"),
        ("x" * 20_000 + "@customers.example", " …"),
    ],
)
def test_what_looks_like_a_secret_is_told_without_it(said: str, told_so: str):
    assert redact(None, "info", {"event": said})["event"] == told_so
    nested = redact(None, "info", {"event": "x", "deep": {"list": [said]}})
    assert nested["deep"] == {"list": [told_so]}


@pytest.mark.parametrize("name", ["brief", "feedback", "email", "authorization", "token", "pass_id", "headers"])
def test_a_field_with_the_name_of_a_secret_is_never_told(name: str):
    assert redact(None, "info", {"event": "x", name: canaries.MARK, "deep": {name: canaries.MARK}}) == {
        "event": "x",
        name: "[…]",
        "deep": {name: "[…]"},
    }


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError(canaries.BRIEF), "ValueError"),
        (KeyError(canaries.BRIEF), "KeyError"),
        (asyncpg.UniqueViolationError(canaries.BRIEF), "UniqueViolationError 23505"),
        (ConnectionRefusedError(111, "refused"), "ConnectionRefusedError: [Errno 111] refused"),
        (AttributeError("'NoneType' object has no attribute 'id'"), "AttributeError: 'NoneType' object has no attribute 'id'"),
    ],
)
def test_an_error_is_told_by_its_type_where_its_words_may_be_a_persons(error: Exception, words: str):
    assert told(error) == words


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging as a deployment has it, and afterwards as it was."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    structlog.reset_defaults()
    logs.configure(Settings(database_url="postgresql://db/mina", secret_key=SECRET, _env_file=None))
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    "name", ["asyncio", "httpx", "httpx2", "openai", "botocore", "pgqueuer", "uvicorn.error", "sqlalchemy.pool"]
)
def test_a_librarys_lines_take_the_same_way(configured, capsys, name: str):
    logger = logging.getLogger(name)
    logger.info("HTTP Request: GET https://host.example/%s", canaries.MARK)
    try:
        int(canaries.BRIEF)
    except ValueError:
        logger.warning(
            "it broke for %s\nfuture: <Task exception=ValueError('%s')>", canaries.EMAIL, canaries.BRIEF, exc_info=True
        )
    out, err = capsys.readouterr()
    assert canaries.found_in(out + err) == []
    line = json.loads(err)
    assert (line["event"], line["level"], line["logger"]) == ("it broke for [email]", "warning", name)
    assert line["exception"].splitlines()[-1] == "ValueError"


async def test_a_broken_request_is_told_once_and_its_context_ends_with_it(configured, capsys):
    async def breaks(request: object) -> None:
        raise ValueError(canaries.BRIEF)

    async def works(request: object) -> PlainTextResponse:
        return PlainTextResponse("fine")

    app = Watched(Starlette(routes=[Route("/breaks/{what}", breaks), Route("/works", works)]))

    async def ask(path: str) -> None:
        scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"x-request-id", b"r-1")], "query_string": b""}
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        await app(scope, messages.get, messages.put)

    structlog.contextvars.bind_contextvars(generation="of another request")
    with pytest.raises(ValueError, match=canaries.MARK):
        await ask(f"/breaks/{canaries.PATH}")
    await ask("/works")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["route"], line["status"]) for line in lines] == [("/breaks/{what}", "500"), ("/works", "200")]
    assert not any("generation" in line for line in lines)


async def test_each_operation_of_a_socket_has_a_line_and_an_id_of_its_own(own_database, home):
    async with running(home, **external(own_database)) as server:
        visitor = Visitor(server)
        await visitor.arrive()
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(server.websocket, protocols=["graphql-transport-ws"]) as socket,
        ):
            await socket.send_json({"type": "connection_init", "payload": {"x-mina-pass-id": visitor.pass_id}})
            await socket.receive()
            for query in ("query First { me { id } }", "query Second { nobody }"):
                await socket.send_json({"id": query, "type": "subscribe", "payload": {"query": query}})
                while (await socket.receive_json())["type"] == "next":
                    pass
    told_of = [line for line in lines_of(server) if line.get("method") == "WS"]
    assert [(line["event"], line["status"]) for line in told_of] == [("request", "ok"), ("request", "error"), ("socket", "101")]
    assert (told_of[0]["name"], told_of[0]["operation"]) == ("First", "query")
    assert told_of[0]["pass"] == log_name(str(visitor.pass_id), SECRET.encode())
    assert len({line["request_id"] for line in told_of}) == 3
    assert "pass" not in told_of[2], "what an operation proved is not said of the socket"
