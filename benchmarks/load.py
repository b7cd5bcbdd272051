"""The client process of the read benchmark: the same query, many at once, each answer looked at.

Told by lines of JSON on stdin, answers with one on stdout for each:
{"url", "query", "passes", "requests", "bytes": [least, most]}  ->  {"seconds", "latencies": [ms, …], "wrong": [text, …]}
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import aiohttp

CONCURRENCY = 16
SHOWN = 3


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Ask `requests` times, the Passes taking turns."""
    least, most = job["bytes"]
    body = json.dumps({"query": job["query"]}).encode()
    latencies: list[float] = []
    wrong: list[str] = []

    async def ask(client: aiohttp.ClientSession, turns: Iterator[str]) -> None:
        for pass_id in turns:
            headers = {"Content-Type": "application/json", "X-Mina-Pass-Id": pass_id}
            began = time.perf_counter()
            async with client.post(job["url"], data=body, headers=headers) as response:
                answer = await response.read()
            latencies.append((time.perf_counter() - began) * 1000)
            if response.status != 200 or not least <= len(answer) <= most or not answer.startswith(b'{"data":{"me":{'):
                wrong.append(f"{response.status}, {len(answer)} bytes: {answer[:200]!r}")

    turns = islice(cycle(job["passes"]), job["requests"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY)) as client:
        began = time.perf_counter()
        await asyncio.gather(*(ask(client, turns) for _ in range(CONCURRENCY)))
        return {"seconds": time.perf_counter() - began, "latencies": latencies, "wrong": wrong[:SHOWN]}


def main() -> None:
    """One job a line, until stdin ends."""
    for line in sys.stdin:
        print(json.dumps(asyncio.run(run(json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
