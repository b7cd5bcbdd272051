"""The three reads that matter: what one answer costs the server's CPU, asked 16 at a time by a client process of its own."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import aiohttp
import orjson
from seed import BALANCE, STEPS
from server import Server

NODE = "id kind status prompt outputUrl provider model brief createdAt updatedAt"
HISTORY = (
    "{{ me {{ generations(first: {first}) {{ edges {{ cursor }} nodes {{ {node} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
)
ROUNDS = 3
SLACK = 0.05
"""How far the size of an answer may be from that of the ones looked at."""
LINE_BYTES = 2**22


class Read(NamedTuple):
    """A query, its goal in server CPU ms a request, and how often it is asked in a round."""

    name: str
    words: str
    query: str
    goal: float
    requests: int


READS = (
    Read("Q1", "the archive, 50 stills", "query History " + HISTORY.format(first=50, node=NODE), 2.5, 400),
    Read(
        "Q2",
        "20 stills with vars and steps",
        "query HistorySteps "
        + HISTORY.format(first=20, node=f"{NODE} vars steps {{ stepNo stepType status durationMs startedAt }}"),
        5.0,
        250,
    ),
    Read("Q3", "me with credits", "query Me { me { id email credits { balance expiresAt } } }", 0.7, 1500),
)


class ReadFigures(NamedTuple):
    """CPU ms a request of the server and of its database, and the client's p50 in ms; `kilobytes` of one answer."""

    server: float
    lowest: float
    highest: float
    database: float
    p50: float
    kilobytes: float


async def measure(server: Server, passes: Sequence[str]) -> dict[str, ReadFigures]:
    """All reads, in rounds that take turns. Raises RuntimeError when an answer is wrong: then there are no figures."""
    sizes = {read.name: await _look(server, read, passes[:3]) for read in READS}
    found: dict[str, list[tuple[float, float, float]]] = {read.name: [] for read in READS}
    async with _client() as client:
        for read in READS:
            await _ask(client, server, read, passes, sizes[read.name], read.requests // 2)  # warm
        for _ in range(ROUNDS):
            for read in READS:
                before = server.cpu()
                answer = await _ask(client, server, read, passes, sizes[read.name], read.requests)
                used = server.cpu().since(before)
                each = 1000 / read.requests
                found[read.name].append((used.server * each, used.database * each, median(answer["latencies"])))
    return {name: _figures(rounds, sizes[name]) for name, rounds in found.items()}


def _figures(rounds: list[tuple[float, float, float]], size: float) -> ReadFigures:
    servers, databases, latencies = zip(*rounds, strict=True)
    return ReadFigures(median(servers), min(servers), max(servers), median(databases), median(latencies), size / 1000)


async def _look(server: Server, read: Read, passes: Sequence[str]) -> float:
    """Look at a few answers closely; gives their mean size in bytes. Raises RuntimeError."""
    sizes = []
    async with aiohttp.ClientSession() as client:
        for pass_id in passes:
            headers = {"X-Mina-Pass-Id": pass_id}
            async with client.post(f"{server.url}/graphql", json={"query": read.query}, headers=headers) as response:
                body = await response.read()
            fault = _fault(read, orjson.loads(body), pass_id)
            if fault:
                raise RuntimeError(f"{read.name} is answered wrong: {fault}: {body[:300]!r}")
            sizes.append(len(body))
    return sum(sizes) / len(sizes)


def _fault(read: Read, answer: dict[str, Any], pass_id: str) -> str | None:
    """What is wrong with an answer, or None."""
    me = (answer.get("data") or {}).get("me")
    if answer.get("errors") or not me:
        return "errors, or no data"
    if read.name == "Q3":
        return None if me["id"] == pass_id and me["credits"]["balance"] == BALANCE else "another Pass, or another balance"
    page, size = me["generations"], 50 if read.name == "Q1" else 20
    cursors = [edge["cursor"] for edge in page["edges"]]
    if (
        len(page["nodes"]) != size
        or len(set(cursors)) != size
        or page["pageInfo"] != {"hasNextPage": True, "endCursor": cursors[-1]}
    ):
        return "not the page that was asked for"
    times = [node["createdAt"] for node in page["nodes"]]
    if times != sorted(times, reverse=True):
        return "not the newest first"
    if read.name == "Q2" and not all(node["vars"]["inputs"]["brief"] and len(node["steps"]) == STEPS for node in page["nodes"]):
        return "vars or steps are missing"
    return None


async def _ask(client: Process, server: Server, read: Read, passes: Sequence[str], size: float, requests: int) -> dict[str, Any]:
    if client.stdin is None or client.stdout is None:
        raise RuntimeError("the client process has no pipes")
    job = {
        "url": f"{server.url}/graphql",
        "query": read.query,
        "passes": list(passes),
        "requests": requests,
        "bytes": [size * (1 - SLACK), size * (1 + SLACK)],
    }
    client.stdin.write(json.dumps(job).encode() + b"\n")
    await client.stdin.drain()
    answer: dict[str, Any] = json.loads(await client.stdout.readline())
    if answer["wrong"]:
        raise RuntimeError(f"{read.name} was answered wrong under load: {answer['wrong']}")
    return answer


@asynccontextmanager
async def _client() -> AsyncIterator[Process]:
    load = str(Path(__file__).with_name("load.py"))
    client = await asyncio.create_subprocess_exec(sys.executable, load, stdin=PIPE, stdout=PIPE, limit=LINE_BYTES)
    try:
        yield client
    finally:
        if client.stdin is not None:
            client.stdin.close()  # it ends with its input
        await client.wait()
