"""`make bench`: time and memory of the embedded default, each beside its goal. README.md says how to read the table."""

import asyncio
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import aiohttp
import reads
import seed
from making import Made, Studio
from server import Memory, Server

from mina_gql.adapters import embedded_postgres

STARTS = 3
IDLE_SECONDS = 5
WARM_STILLS = 3
STILLS = 20
ORDERS = 20


class Row(NamedTuple):
    """One line of the table. `goal` None: there is none, the figure is for context. `spread` says how sure it is."""

    what: str
    unit: str
    measured: float
    goal: float | None = None
    spread: str = ""

    @property
    def verdict(self) -> str:
        """Whether the goal is met."""
        if self.goal is None:
            return ""
        return "met" if self.measured < self.goal else "MISSED"


async def main() -> None:
    """Every stage on one server, then the table."""
    began = time.perf_counter()
    load = os.getloadavg()[0]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="mina-bench-") as directory:
        server = Server(Path(directory))
        try:
            rows += await starts(server)
            rows += await idle(server)
            rows += await making(server)
            rows += await reading(server)
        finally:
            with stage("stopping"):
                await server.stop()
    show(rows)
    print(
        f"\n{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before; "
        f"Python {platform.python_version()}; {time.perf_counter() - began:.0f} s in all."
    )


async def starts(server: Server) -> list[Row]:
    """The first start, which makes the database, and the ones after it; the last one goes on."""
    with stage("first start"):
        await server.start()
        first = server.ready_after
    seconds = []
    for number in range(1, STARTS + 1):
        with stage(f"start again, {number} of {STARTS}"):
            await server.stop()
            await server.start()
            seconds.append(server.ready_after)
    return [Row("first start to ready", "s", first), _row("second start to ready", "s", seconds, 3)]


async def idle(server: Server) -> list[Row]:
    """Memory and CPU when nobody asks for anything."""
    with stage(f"idling for {IDLE_SECONDS} s"):
        before = server.cpu()
        await asyncio.sleep(IDLE_SECONDS)
        used = server.cpu().since(before)
        memory = server.memory()
    return [
        _memory("idle memory, server and database, PSS", memory, 300),
        Row("idle CPU, server and database", "% of a core", 100 * (used.server + used.database) / IDLE_SECONDS),
    ]


async def making(server: Server) -> list[Row]:
    """Stills one at a time, each followed to its end; then orders as fast as they are accepted."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        studio = Studio(client, server.url)
        with stage(f"{WARM_STILLS} + {STILLS} stills, one at a time"):
            for _ in range(WARM_STILLS):
                await studio.make()
            made = [await studio.make() for _ in range(STILLS)]
        with stage(f"{ORDERS} orders, back to back"):
            orders = [await studio.order() for _ in range(ORDERS)]
            await asyncio.gather(*(studio.follow(order) for order in orders))
    return [
        _row("accept of `create`, quiet server", "ms", _column(made, "accepted"), 20),
        _row("accept of `create`, back to back while stills are made", "ms", [order.taken for order in orders]),
        _row("accept to first line at the client", "ms", _column(made, "first_line"), 300),
        _row("accept to first step", "ms", _column(made, "queued")),
        _row("time covered by steps (offline models)", "ms", _column(made, "steps")),
        _row("pipeline's own time beyond its steps, a still", "ms", _column(made, "overhead"), 100),
        _memory("memory after that, server and database, PSS", server.memory(), None),
    ]


async def reading(server: Server) -> list[Row]:
    """The three reads on an archive of several thousand stills."""
    dsn = embedded_postgres.dsn_of_running(server.home)
    if dsn is None:
        raise RuntimeError("the embedded database does not run")
    with stage(f"seeding {seed.PASSES} Passes, {seed.PASSES * seed.STILLS:,} stills"):
        passes = await seed.fill(dsn)
    with stage(f"reads, {reads.ROUNDS} rounds"):
        found = await reads.measure(server, passes)
    rows = []
    for read in reads.READS:
        figures = found[read.name]
        spread = (
            f"{figures.lowest:.2f} to {figures.highest:.2f}; p50 {figures.p50:.0f} ms at 16 at once; {figures.kilobytes:.1f} kB"
        )
        rows.append(Row(f"{read.name} {read.words}: server CPU", "ms a request", figures.server, read.goal, spread))
        rows.append(Row(f"{read.name}: PostgreSQL CPU", "ms a request", figures.database))
    return rows


def show(rows: Sequence[Row]) -> None:
    """The table, as Markdown."""
    lines = [("", "measured", "goal", "", "spread")]
    for row in rows:
        goal = "" if row.goal is None else f"< {row.goal:g}"
        lines.append((row.what, f"{_number(row.measured)} {row.unit}", goal, row.verdict, row.spread))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    print()
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Say what goes on, and how long it took."""
    print(f"{name} …", end=" ", flush=True)
    began = time.perf_counter()
    yield
    print(f"{time.perf_counter() - began:.1f} s", flush=True)


def _row(what: str, unit: str, values: Sequence[float], goal: float | None = None) -> Row:
    """The median of several, with the range of the middle nine tenths."""
    ordered = sorted(values)
    spare = len(ordered) // 20
    low, high = ordered[spare], ordered[-1 - spare]
    return Row(what, unit, median(ordered), goal, f"{_number(low)} to {_number(high)}, n = {len(ordered)}")


def _memory(what: str, memory: Memory, goal: float | None) -> Row:
    return Row(what, "MiB", memory.pss, goal, f"RSS {memory.rss:.0f} MiB, shared pages counted in every process")


def _column(made: Sequence[Made], name: str) -> list[float]:
    return [getattr(each, name) for each in made]


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("These figures come from /proc: run it on Linux.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # an exception, so that what was started is stopped
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit("stopped")
    except RuntimeError as error:
        sys.exit(f"no figures: {error}")
