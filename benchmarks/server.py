"""A Mina to be measured: started in a home of its own, watched through /proc, stopped. Linux only."""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import aiohttp

READY_SECONDS = 120
STOP_SECONDS = 40
POLL_SECONDS = 0.01
_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024
# What a developer has set up must not change what is measured.
_FOREIGN = ("MINA_", "OPENAI_", "REPLICATE_", "PG")


class Cpu(NamedTuple):
    """CPU seconds used so far, user and system, by the server's processes and by the database's."""

    server: float
    database: float

    def since(self, before: "Cpu") -> "Cpu":
        """What was used after `before`."""
        return Cpu(self.server - before.server, self.database - before.database)


class Memory(NamedTuple):
    """MiB. `pss` counts a page that several processes share once in all, `rss` counts it in each of them."""

    pss: float
    rss: float


class Server:
    """`mina serve` with the embedded default on `home`, rate limits off; `ready_after` is seconds from start to ready."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = ""
        self.ready_after = 0.0
        self._process: Process | None = None

    async def start(self) -> None:
        """Start, and wait until `/ready` says yes. Raises RuntimeError with the server's log when it does not."""
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        environment |= {"MINA_HOME": str(self.home), "MINA_PORT": str(port), "MINA_RATE_LIMITS": "off"}
        command = [str(Path(sys.executable).with_name("mina")), "serve"]
        began = time.perf_counter()
        with self._log.open("ab") as log:  # in the home, where no .env of a checkout is read
            self._process = await asyncio.create_subprocess_exec(*command, cwd=self.home, env=environment, stdout=log, stderr=log)
        await self._until_ready(began + READY_SECONDS)
        self.ready_after = time.perf_counter() - began

    async def stop(self) -> None:
        """Stop as Ctrl-C does, and wait until it has gone."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._process = None

    def cpu(self) -> Cpu:
        """CPU used so far."""
        everything, database = self._pids()
        return Cpu(sum(map(_cpu_seconds, everything - database)), sum(map(_cpu_seconds, database)))

    def memory(self) -> Memory:
        """Memory of the server and its database together, now."""
        rollups = [_smaps(pid) for pid in self._pids()[0]]
        return Memory(*(sum(rollup.get(name, 0) for rollup in rollups) / _KIB for name in ("Pss", "Rss")))

    def _pids(self) -> tuple[set[int], set[int]]:
        """All processes of this server, and those of the database among them."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        children = _children()
        everything = set(_tree(self._process.pid, children))
        postmasters = [pid for pid in everything if _name(pid) == "postgres"]
        return everything, {pid for each in postmasters for pid in _tree(each, children)}

    @property
    def _log(self) -> Path:
        return self.home / "serve.log"

    async def _until_ready(self, deadline: float) -> None:
        async with aiohttp.ClientSession() as client:
            while time.perf_counter() < deadline and self._process is not None and self._process.returncode is None:
                try:
                    async with client.get(f"{self.url}/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass  # it does not listen yet
                await asyncio.sleep(POLL_SECONDS)
        raise RuntimeError(f"the server did not become ready:\n{self._log.read_text(errors='replace')[-4000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _children() -> dict[int, list[int]]:
    """Every process's children, by its id."""
    found: dict[int, list[int]] = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal() and (stat := _stat(int(directory.name))):
            found.setdefault(int(stat[1]), []).append(int(directory.name))
    return found


def _tree(root: int, children: dict[int, list[int]]) -> Iterable[int]:
    yield root
    for child in children.get(root, []):
        yield from _tree(child, children)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third (state) on; empty for a process that has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _cpu_seconds(pid: int) -> float:
    """User and system time, with that of children that have ended: proc(5), fields 14 to 17."""
    return sum(map(int, _stat(pid)[11:15])) / _TICKS


def _smaps(pid: int) -> dict[str, int]:
    """/proc/<pid>/smaps_rollup in KiB; empty for a process that has gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
