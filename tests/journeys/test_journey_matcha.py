"""Matcha under pressure: one key is one order, and nobody spends what they do not have."""

import asyncio

import asyncpg
from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport

from tests.journeys.visitor import CREATE, SMALL, Answer, Visitor

UNEQUAL = """select c.mg_pass_id from mega_customers c
             left join mega_generations t on t.mg_pass_id = c.mg_pass_id and t.mg_record_type = 'credit_transaction'
             group by c.mg_pass_id, c.mg_credits having coalesce(sum(t.mg_delta), 0) <> c.mg_credits or c.mg_credits < 0"""
LEDGER = """select mg_reason from mega_generations
            where mg_pass_id = $1 and mg_record_type = 'credit_transaction' order by mg_created_at"""


async def at_once(visitor: Visitor, inputs: list[Answer]) -> list[Answer]:
    """Many `create` at the same time over one client."""
    transport = AIOHTTPTransport(visitor.server.graphql, headers=visitor.headers)
    async with Client(transport=transport) as session:
        requests = [GraphQLRequest(CREATE, variable_values={"input": {"settings": SMALL, **each}}) for each in inputs]
        return [answer["create"] for answer in await asyncio.gather(*map(session.execute, requests))]


async def test_one_key_is_one_order_however_often_it_is_sent(visitor: Visitor, database: asyncpg.Connection) -> None:
    """C6, F9: twenty at once make one generation and one charge, and all answer with it."""
    order = {"brief": "A cup, asked for twenty times", "idempotencyKey": "an impatient finger"}
    payloads = await at_once(visitor, [order] * 20)
    assert [payload["userErrors"] for payload in payloads] == [[]] * 20
    assert len({payload["generation"]["id"] for payload in payloads}) == 1
    assert sorted(payload["replayed"] for payload in payloads) == [False] + [True] * 19
    assert {payload["pass"]["credits"]["balance"] for payload in payloads} == {9}

    other = await visitor.create("Another cup", idempotencyKey="an impatient finger")
    assert other["generation"] is None
    assert [error["code"] for error in other["userErrors"]] == ["IDEMPOTENCY_KEY_REUSED"]

    somebody_else = Visitor(visitor.server)
    await somebody_else.arrive()
    theirs = await somebody_else.create(**order)
    assert theirs["generation"]["id"] != payloads[0]["generation"]["id"]
    assert not theirs["replayed"]

    await visitor.followed(payloads[0]["generation"]["id"])
    later = await visitor.create(**order)
    assert (later["replayed"], later["generation"]["status"]) == (True, "DONE")
    assert [row["mg_reason"] for row in await database.fetch(LEDGER, visitor.pass_id)] == ["grant", "charge"]


async def test_nobody_overspends_by_clicking_fast(visitor: Visitor, database: asyncpg.Connection) -> None:
    """C4, C7-C9, C16: thirty orders at once with ten matcha: ten are taken, twenty are told what is missing."""
    payloads = await at_once(visitor, [{"brief": f"Cup number {n}"} for n in range(30)])
    taken = [payload["generation"]["id"] for payload in payloads if payload["generation"]]
    refused = [error for payload in payloads for error in payload["userErrors"]]
    assert (len(set(taken)), len(refused)) == (10, 20)
    assert {(error["__typename"], error["code"]) for error in refused} == {("InsufficientMatcha", "INSUFFICIENT_MATCHA")}
    assert {(error["required"], error["balance"]) for error in refused} == {(1, 0)}
    assert all("credit" not in error["message"] and "matcha" in error["message"] for error in refused)
    assert await visitor.balance() == 0
    assert await database.fetch(UNEQUAL) == []

    ends = await asyncio.gather(*map(visitor.followed, taken))
    assert {events[-1]["__typename"] for events in ends} == {"GenerationCompleted"}
    assert await visitor.balance() == 0
    assert await database.fetch(UNEQUAL) == []
    assert [row["mg_reason"] for row in await database.fetch(LEDGER, visitor.pass_id)] == ["grant"] + ["charge"] * 10
