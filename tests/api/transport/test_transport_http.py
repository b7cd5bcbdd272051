"""GraphQL over HTTP: what a client may ask, and what it hears."""

import asyncio
import re

import aiohttp
import pytest

from mina_gql.domain.errors import Throttled, Unauthenticated
from tests.api.transport.conftest import ASK, Toy

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"


async def post(toy: Toy, body: bytes | str, **headers: str) -> tuple[int, str, dict]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(toy.url, data=body, headers={**ASK, **headers}, skip_auto_headers=["Content-Type"]) as answer,
    ):
        return answer.status, answer.headers["Content-Type"], await answer.json(content_type=None)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (JSON, JSON),
        ("*/*", JSON),
        ("", JSON),
        (f"{GRAPHQL_JSON}, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{JSON};q=0.5, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{JSON};q=0, */*", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}; charset=utf-8, {JSON}; charset=utf-8", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, {JSON}, text/event-stream, multipart/mixed", GRAPHQL_JSON),
    ],
)
async def test_the_answer_has_the_best_media_type_the_client_takes(toy: Toy, accept: str, media: str) -> None:
    status, content_type, body = await post(toy, '{"query": "{ hello }"}', Accept=accept)
    assert (status, content_type) == (200, f"{media}; charset=utf-8")
    assert body == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", "{}", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "{}", "GRAPHQL_VALIDATION_FAILED"),
        ("query($r: Range!) { count(range: $r) }", '{"r": {"low": "x"}}', "BAD_USER_INPUT"),
        ("query A { hello } query B { hello }", "{}", "BAD_USER_INPUT"),
        ("subscription { count(to: 1) { seq } }", "{}", "BAD_USER_INPUT"),
        ("{ items(first: 100) { nodes { children(first: 100) { nodes { id } } } } }", "{}", "LIMIT_EXCEEDED"),
        (
            "query($n: Int!) { items(first: $n) { nodes { children(first: $n) { nodes { id } } } } }",
            '{"n": 100}',
            "LIMIT_EXCEEDED",
        ),
    ],
)
async def test_what_never_ran_has_no_data_and_is_a_400_except_as_plain_json(toy, query, variables, code) -> None:
    text = f'{{"query": "{query}", "variables": {variables}}}'
    for accept, expected in ((GRAPHQL_JSON, 400), (JSON, 200)):
        status, content_type, body = await post(toy, text, Accept=accept)
        assert (status, content_type) == (expected, f"{accept}; charset=utf-8")
        assert "data" not in body
        assert [error["extensions"]["code"] for error in body["errors"]] == [code]
        assert body["errors"][0]["extensions"]["requestId"]
    assert not toy.world.contexts or query.startswith("query($r")  # refused before anyone was looked up


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("not json", {}, 400),
        ("", {}, 400),
        ('{"query": NaN}', {}, 400),
        ('{"query": "{ hello }", "variables": {"x": "\\ud800"}}', {}, 400),
        (b'{"query": "\xff"}', {}, 400),
        ("[" * 2000, {}, 400),
        ('[{"query": "{ hello }"}]', {}, 400),
        ('"{ hello }"', {}, 400),
        ("{}", {}, 400),
        ('{"query": ["x"]}', {}, 400),
        ('{"query": "{ hello }", "variables": [1]}', {}, 400),
        ('{"query": "{ hello }", "variables": "x"}', {}, 400),
        ('{"query": "{ hello }", "extensions": 0}', {}, 400),
        ('{"query": "{ hello }", "operationName": {}}', {}, 400),
        ('{"query": "{ hello }"}', {"Content-Type": "text/plain"}, 415),
        ('{"query": "{ hello }"}', {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ('{"query": "{ hello }"}', {"Content-Type": "application/json; charset=latin-1"}, 415),
        ('{"query": "{ hello }"}', {"Content-Encoding": "gzip"}, 415),
        ('{"query": "{ hello }"}', {"Accept": "text/html"}, 406),
        ('{"query": "' + " " * 256 * 1024 + '{ hello }"}', {}, 413),
    ],
)
async def test_a_request_that_is_no_graphql_request_gets_its_own_status(toy, body, headers, status) -> None:
    for accept in (JSON, GRAPHQL_JSON):
        answered, content_type, answer = await post(toy, body, **{"Accept": accept, **headers})
        assert answered == status
        assert content_type.startswith(JSON if status == 406 else accept)
        assert "data" not in answer
        assert answer["errors"][0]["extensions"]["code"] == ("LIMIT_EXCEEDED" if status == 413 else "BAD_USER_INPUT")


async def test_a_missing_content_type_is_refused(toy: Toy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(toy.url.split(":")[2].split("/")[0]))
    body = b'{"query": "{ hello }"}'
    writer.write(b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert b" 415 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_the_body_is_counted_while_it_comes(toy: Toy) -> None:
    async def endless():
        while True:
            yield b" " * 65536

    async with aiohttp.ClientSession() as client:
        try:
            async with client.post(toy.url, data=endless(), headers=ASK) as answer:
                assert answer.status == 413
        except aiohttp.ClientOSError:
            pass  # the server has hung up while the client was still sending


async def test_graphql_is_spoken_by_post_alone(toy: Toy) -> None:
    async with aiohttp.ClientSession() as client:
        for method in ("GET", "PUT", "DELETE", "HEAD"):
            async with client.request(method, f"{toy.url}?query={{hello}}", headers={"Accept": JSON}) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_field_errors_leave_the_rest_of_the_data(toy: Toy) -> None:
    status, body = await toy.ask('{ hello fail(kind: "forbidden") }')
    assert status == 200
    assert body["data"] == {"hello": "hello world", "fail": None}
    assert body["errors"][0]["path"] == ["fail"]
    assert body["errors"][0]["locations"] == [{"line": 1, "column": 9}]


async def test_raw_json_is_passed_through(toy: Toy) -> None:
    assert await toy.ask("{ raw }") == (200, {"data": {"raw": {"a": [1, 2]}}})


async def test_a_value_that_cannot_be_printed_is_an_internal_error(toy: Toy) -> None:
    status, body = await toy.ask("{ unprintable }")
    assert (status, body["errors"][0]["extensions"]["code"]) == (500, "INTERNAL_SERVER_ERROR")


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_JSON, "text/event-stream"])
async def test_a_caller_who_is_not_let_in_hears_401_without_data(toy: Toy, accept: str) -> None:
    toy.world.gate = Unauthenticated("The token has expired.")
    status, body = await toy.ask("{ hello }", Accept=accept)
    assert status == 401
    assert "data" not in body
    assert body["errors"][0]["message"] == "The token has expired."
    assert body["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_throttled_caller_hears_when_to_come_back(toy: Toy) -> None:
    toy.world.gate = Throttled("Too many requests.", 1500)
    async with aiohttp.ClientSession() as client, client.post(toy.url, json={"query": "{ hello }"}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
        assert (await answer.json())["errors"][0]["extensions"]["retryAfterMs"] == 1500


async def test_a_gate_that_breaks_leaks_nothing(toy: Toy) -> None:
    toy.world.gate = RuntimeError("hunter2")
    status, body = await toy.ask("{ hello }")
    assert status == 500
    assert "hunter2" not in str(body)


@pytest.mark.parametrize(("sent", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 129, False), ("", False)])
async def test_every_answer_has_a_request_id(toy: Toy, sent: str, kept: bool) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.post(toy.url, json={"query": "{ who }"}, headers={"X-Request-Id": sent}) as answer,
    ):
        request_id = answer.headers["X-Request-Id"]
        assert (await answer.json())["data"]["who"] == request_id
        assert request_id == sent if kept else re.fullmatch("[0-9a-f]{32}", request_id)


async def test_an_operation_may_add_headers(toy: Toy) -> None:
    async with aiohttp.ClientSession() as client, client.post(toy.url, json={"query": "mutation { ensure }"}) as answer:
        assert answer.headers["X-Mina-Pass-Id"] == "pass:1"


async def test_a_request_that_takes_too_long_is_stopped(toy: Toy) -> None:
    toy.engine.timeout = 0.05
    status, body = await toy.ask("{ wait }")
    assert status == 504
    assert "data" not in body
    assert body["errors"][0]["extensions"]["code"] == "TIMEOUT"
    assert toy.world.closed.is_set()
