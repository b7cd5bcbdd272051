"""The graphql-transport-ws protocol, message by message."""

import asyncio
import json
import time

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from mina_gql.api.graphql.websocket import Admission, Socket
from mina_gql.domain.errors import Forbidden, Unauthenticated
from tests.api.transport.conftest import Toy

PROTOCOL = Subprotocol("graphql-transport-ws")
INIT = {"type": "connection_init"}
ACK = {"type": "connection_ack"}


def dial(toy: Toy, *protocols: str) -> connect:
    return connect(toy.ws, subprotocols=[Subprotocol(each) for each in protocols or (PROTOCOL,)], compression=None)


async def say(socket: ClientConnection, *messages: object) -> None:
    for message in messages:
        await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))


async def hear(socket: ClientConnection) -> dict:
    return json.loads(await asyncio.wait_for(socket.recv(), 5))


async def closing(socket: ClientConnection) -> tuple[int, str]:
    """The code and reason the server closes with; what comes before is skipped."""
    try:
        while True:
            await asyncio.wait_for(socket.recv(), 5)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return closed.rcvd.code, closed.rcvd.reason


def subscribe(query: str, name: str = "1", **payload: object) -> dict:
    return {"id": name, "type": "subscribe", "payload": {"query": query, **payload}}


LIVE = subscribe("subscription { live { seq } }")


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["not json"], 4400),
        (["[]"], 4400),
        (["{}"], 4400),
        (['{"type": 1}'], 4400),
        ([b"binary"], 4400),
        ([{"type": "start"}], 4400),
        ([{"type": "connection_init", "payload": []}], 4400),
        ([{"type": "connection_init", "payload": "x"}], 4400),
        ([{"type": "ping", "payload": 1}], 4400),
        ([{"type": "pong", "payload": 1}], 4400),
        (["x" * 300_000], 1009),
        ([INIT, INIT], 4429),
        ([LIVE], 4401),
        ([INIT, LIVE, LIVE], 4409),
        ([INIT, {"type": "subscribe", "payload": {"query": "{ hello }"}}], 4400),
        ([INIT, {"id": "", "type": "subscribe", "payload": {"query": "{ hello }"}}], 4400),
        ([INIT, {"id": 1, "type": "subscribe", "payload": {"query": "{ hello }"}}], 4400),
        ([INIT, {"id": "1", "type": "subscribe"}], 4400),
        ([INIT, subscribe("{ hello }", variables=[1])], 4400),
        ([INIT, subscribe("{ hello }", operationName=1)], 4400),
        ([INIT, {"type": "complete"}], 4400),
    ],
)
async def test_a_client_that_breaks_the_protocol_is_closed_with_its_code(toy: Toy, messages: list, code: int) -> None:
    async with dial(toy) as socket:
        await say(socket, *messages)
        assert (await closing(socket))[0] == code


async def test_another_protocol_is_closed_with_4406(toy: Toy) -> None:
    async with connect(toy.ws) as socket:
        assert (await closing(socket))[0] == 4406


async def test_the_protocol_is_picked_from_several(toy: Toy) -> None:
    async with dial(toy, "graphql-ws", PROTOCOL) as socket:
        assert socket.subprotocol == PROTOCOL


async def test_a_client_that_says_nothing_is_closed_with_4408(toy: Toy) -> None:
    toy.sockets.init_timeout = 0.05
    async with dial(toy) as socket:
        assert await closing(socket) == (4408, "Connection initialisation timeout")


@pytest.mark.parametrize("payload", [{}, {"payload": None}, {"payload": {"authorization": "Bearer x"}}])
async def test_the_payload_of_the_init_reaches_the_context(toy: Toy, payload: dict) -> None:
    async with dial(toy) as socket:
        await say(socket, {**INIT, **payload})
        assert await hear(socket) == ACK
        await say(socket, subscribe("{ hello }"))
        assert await hear(socket) == {"id": "1", "type": "next", "payload": {"data": {"hello": "hello world"}}}
        assert await hear(socket) == {"id": "1", "type": "complete"}
    assert toy.world.params == [payload.get("payload") or {}]


async def test_pings_are_answered_before_and_after_the_init(toy: Toy) -> None:
    async with dial(toy) as socket:
        await say(socket, {"type": "ping"}, {"type": "pong"}, INIT, {"type": "ping", "payload": {"n": 1}})
        assert [await hear(socket) for _ in range(3)] == [
            {"type": "pong"},
            ACK,
            {"type": "pong", "payload": {"n": 1}},
        ]


async def test_a_stream_is_nexts_and_a_complete_and_its_id_is_free_again(toy: Toy) -> None:
    async with dial(toy) as socket:
        await say(socket, INIT)
        await hear(socket)
        for _ in range(2):
            await say(socket, subscribe("subscription($n: Int!) { count(to: $n) { seq } }", variables={"n": 2}))
            assert [await hear(socket) for _ in range(3)] == [
                {"id": "1", "type": "next", "payload": {"data": {"count": {"seq": 1}}}},
                {"id": "1", "type": "next", "payload": {"data": {"count": {"seq": 2}}}},
                {"id": "1", "type": "complete"},
            ]


async def test_complete_from_the_client_closes_the_source_and_nothing_more_comes(toy: Toy) -> None:
    async with dial(toy) as socket:
        await say(socket, INIT, LIVE)
        assert [(await hear(socket))["type"] for _ in range(2)] == ["connection_ack", "next"]
        await say(socket, {"id": "1", "type": "complete"}, {"id": "unknown", "type": "complete"})
        await asyncio.wait_for(toy.world.closed.wait(), 5)
        toy.world.go.set()
        await say(socket, {"type": "ping"})
        assert await hear(socket) == {"type": "pong"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query($r: Range!) { count(range: $r) }", "BAD_USER_INPUT"),
        ("query A { hello } query B { hello }", "BAD_USER_INPUT"),
        ("{ items(first: 100) { nodes { children(first: 100) { nodes { id } } } } }", "LIMIT_EXCEEDED"),
        ('subscription { fail(kind: "unexpected") { seq } }', "INTERNAL_SERVER_ERROR"),
        ('subscription { fail(kind: "throttled") { seq } }', "THROTTLED"),
        ("{ unprintable }", "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_an_operation_that_fails_gets_an_error_and_the_socket_lives_on(toy: Toy, query: str, code: str) -> None:
    async with dial(toy) as socket:
        await say(socket, INIT, subscribe(query), {"type": "ping"})
        await hear(socket)
        answers = sorted([await hear(socket), await hear(socket)], key=lambda each: each["type"])
        assert [each["type"] for each in answers] == ["error", "pong"]
        [error] = answers[0]["payload"]
        assert error["extensions"]["code"] == code
        assert error["extensions"]["requestId"]
        assert "hunter2" not in str(error)


async def test_a_stream_ends_with_its_first_error(toy: Toy) -> None:
    async with dial(toy) as socket:
        await say(socket, INIT, subscribe("subscription { count(to: 3) { seq fragile } }"))
        assert [(await hear(socket))["type"] for _ in range(3)] == ["connection_ack", "next", "error"]
        await say(socket, {"type": "ping"})
        assert await hear(socket) == {"type": "pong"}


async def test_field_errors_of_a_query_come_beside_its_data(toy: Toy) -> None:
    async with dial(toy) as socket:
        await say(socket, INIT, subscribe('{ hello fail(kind: "refusal") }'))
        await hear(socket)
        result = (await hear(socket))["payload"]
        assert result["data"] == {"hello": "hello world", "fail": None}
        assert result["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_the_21st_operation_is_refused_alone(toy: Toy) -> None:
    async with dial(toy) as socket:
        await say(socket, INIT, *(subscribe("{ wait }", str(n)) for n in range(21)))
        assert await hear(socket) == ACK
        refused = await hear(socket)
        assert (refused["id"], refused["type"]) == ("20", "error")
        assert refused["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
        toy.world.go.set()
        answers = [await hear(socket) for _ in range(40)]
        assert sorted(each["type"] for each in answers) == ["complete"] * 20 + ["next"] * 20


async def test_each_operation_and_each_event_has_a_context_of_its_own(toy: Toy) -> None:
    async with dial(toy) as socket:
        await say(socket, INIT, subscribe("subscription { count(to: 2) { seenBy } }"))
        await hear(socket)
        assert [(await hear(socket))["payload"]["data"]["count"]["seenBy"] for _ in "12"] == ["event 1", "event 2"]
        await hear(socket)
        await say(socket, subscribe("{ who }", "2"))
        await hear(socket)
    assert len({context.request_id for context in toy.world.contexts}) == 2


@pytest.mark.parametrize("refusal", [Unauthenticated("The token does not hold."), Forbidden("Not here.")])
async def test_a_socket_that_is_not_let_in_is_closed_with_4403(toy: Toy, refusal: Exception) -> None:
    async def refuse(_connection, _params) -> Admission:
        raise refusal

    toy.sockets.authorise = refuse
    async with dial(toy) as socket:
        await say(socket, INIT)
        assert await closing(socket) == (4403, str(refusal))


async def test_a_gate_that_breaks_is_closed_with_4500_and_leaks_nothing(toy: Toy) -> None:
    async def break_down(_connection, _params) -> Admission:
        raise RuntimeError("hunter2")

    toy.sockets.authorise = break_down
    async with dial(toy) as socket:
        await say(socket, INIT)
        assert await closing(socket) == (4500, "Internal server error")


async def test_a_caller_who_is_not_let_in_any_more_is_closed_with_4403(toy: Toy) -> None:
    async with dial(toy) as socket:
        await say(socket, INIT)
        await hear(socket)
        toy.world.gate = Unauthenticated("Signed out.")
        await say(socket, subscribe("{ hello }"))
        assert await closing(socket) == (4403, "Signed out.")


@pytest.mark.parametrize("left", [0.05, -1])
async def test_a_socket_ends_with_its_token(toy: Toy, left: float) -> None:
    async def let_in(_connection, _params) -> Admission:
        return Admission(expires_at=time.time() + left)

    toy.sockets.authorise = let_in
    async with dial(toy) as socket:
        await say(socket, INIT)
        assert await hear(socket) == ACK
        assert await closing(socket) == (4403, "The token has expired")


async def test_draining_closes_with_1012(toy: Toy) -> None:
    async with dial(toy) as socket:
        await say(socket, INIT, LIVE)
        await hear(socket)
        await toy.sockets.drain()
        assert (await closing(socket))[0] == 1012
    await asyncio.wait_for(toy.world.closed.wait(), 5)


async def test_a_client_that_vanishes_closes_its_sources(toy: Toy) -> None:
    async with dial(toy) as socket:
        await say(socket, INIT, LIVE)
        await asyncio.wait_for(toy.world.started.wait(), 5)
        socket.transport.abort()
        await asyncio.wait_for(toy.world.closed.wait(), 5)


async def test_a_slow_reader_slows_its_source(toy: Toy) -> None:
    inbox: asyncio.Queue = asyncio.Queue()
    blocked = asyncio.Event()

    async def send(message: dict) -> None:
        if "next" in message.get("text", ""):
            blocked.set()
            await asyncio.Event().wait()  # a socket that is full

    scope = {"type": "websocket", "subprotocols": [PROTOCOL], "headers": []}
    running = asyncio.create_task(Socket(toy.sockets, scope, inbox.get, send).run())
    flood = subscribe("subscription { flood { seq } }")
    for message in ({"type": "websocket.connect"}, *({"text": json.dumps(each)} for each in (INIT, flood))):
        inbox.put_nowait({"type": "websocket.receive", **message})
    await asyncio.wait_for(blocked.wait(), 5)
    for _ in range(100):
        await asyncio.sleep(0)
    assert toy.world.produced == 1
    inbox.put_nowait({"type": "websocket.disconnect"})
    await running
