"""Real `mina` processes: started as an operator starts them, watched until they are ready, always stopped."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import aiohttp

MINA = Path(sys.executable).with_name("mina")
START_SECONDS = 60.0
STOP_SECONDS = 40.0
SECRET = "0123456789abcdef0123456789abcdef"
"""A MINA_SECRET_KEY for servers on a database of their own."""
STOPPED = {0, -signal.SIGTERM}
"""How a process that was asked to end ends: uvicorn cleans up and then dies of the signal it was sent, as it should."""


class Result(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


@contextmanager
def empty_folder() -> Iterator[Path]:
    """A folder to start in."""
    # Not pytest's own: where we are root, the account that the embedded database runs as could not enter it.
    with tempfile.TemporaryDirectory(prefix="mina-journey-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def environment(home: Path, **settings: str) -> dict[str, str]:
    """An environment in which nothing is set up but what is named."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "MINA_HOME": str(home), "PYTHONUNBUFFERED": "1", **settings}


def external(dsn: str, **settings: str) -> dict[str, str]:
    """The settings of a server on a database of its own, with offline models."""
    base = {"MINA_DATABASE_URL": dsn, "MINA_SECRET_KEY": SECRET, "MINA_OFFLINE_VENDORS": "true", "MINA_RATE_LIMITS": "off"}
    return {**base, **settings}


async def mina(home: Path, *arguments: str, **settings: str) -> Result:
    """Run a command of `mina` to its end, in an otherwise empty folder."""
    process = await asyncio.create_subprocess_exec(
        MINA,
        *arguments,
        cwd=home.parent,
        env=environment(home, **settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Result(process.returncode or 0, out.decode(), err.decode())


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A running `mina serve` or `mina work`. `log` is what it has said so far; `calm` says that no fault is expected there."""

    def __init__(self, process: asyncio.subprocess.Process, home: Path, port: int) -> None:
        self.home = home
        self.origin = f"http://127.0.0.1:{port}"
        self.graphql = f"{self.origin}/graphql"
        self.websocket = f"ws://127.0.0.1:{port}/graphql"
        self.port = port
        self.log = ""
        self.calm = True
        self._process = process
        self._heard = asyncio.Condition()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def started(cls, home: Path, *arguments: str, port: int = 0, **settings: str) -> Self:
        """Start it and wait until it can do its work; `port` 0 is a free one."""
        port = port or free_port()
        command = arguments or ("serve",)
        options = ("--port", str(port)) if command[0] == "serve" else ()
        process = await asyncio.create_subprocess_exec(
            MINA,
            *command,
            *options,
            cwd=home.parent,
            env=environment(home, **settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        server = cls(process, home, port)
        try:
            async with asyncio.timeout(START_SECONDS):
                await server.said("Mina is ready" if command[0] == "serve" else "Working.")
                if command[0] == "serve":
                    await server.ready()
        except BaseException:
            await server.kill()
            raise
        return server

    async def said(self, words: str) -> None:
        """Wait until it has said something. Raises AssertionError when it ends before."""
        async with self._heard:
            await self._heard.wait_for(
                lambda: words in self.log or self._listening.done() or self._process.returncode is not None
            )
        assert words in self.log, f"mina ended without saying “{words}”:\n{self.log}"

    async def ready(self) -> None:
        """Wait until `/ready` says so."""
        async with aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(f"{self.origin}/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectorError:
                    assert self._process.returncode is None, self.log
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Ask it to end, and check that it does, in order."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
                await self._listening
        finally:
            await self.kill()
        assert self._process.returncode in STOPPED, f"ended with {self._process.returncode}:\n{self.log}"
        assert not self.calm or "Traceback" not in self.log, self.log

    async def kill(self) -> None:
        """Make sure that nothing is left of it."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._heard:
                self.log += line.decode(errors="replace")
                self._heard.notify_all()
        async with self._heard:
            self._heard.notify_all()


@asynccontextmanager
async def running(home: Path, *arguments: str, port: int = 0, **settings: str) -> AsyncIterator[Server]:
    """A `mina` process for as long as the block runs."""
    server = await Server.started(home, *arguments, port=port, **settings)
    try:
        yield server
    finally:
        await server.stop()
