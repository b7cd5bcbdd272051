"""A real S3 server, which holds clients to their signatures: `rclone serve s3`, with `rclone serve http` for the public's reads."""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

RCLONE = Path(sys.executable).with_name("rclone")
KEY_ID = "mina-test-key-id"
SECRET = "mina-test-secret-access-key"
BUCKET = "mina-test"
START_SECONDS = 30.0


@dataclass(frozen=True)
class S3:
    """A server with one bucket. `folder` is where its objects lie, `public_url` where everybody reads them."""

    endpoint_url: str
    public_url: str
    folder: Path

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a Mina that keeps its files here."""
        return {
            "MINA_R2_ENDPOINT_URL": self.endpoint_url,
            "MINA_R2_BUCKET": BUCKET,
            "MINA_R2_ACCESS_KEY_ID": KEY_ID,
            "MINA_R2_SECRET_ACCESS_KEY": SECRET,
            "MINA_R2_PUBLIC_URL": self.public_url,
        }

    def files(self) -> list[str]:
        """The names of all objects."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture(scope="session")
async def s3() -> AsyncIterator[S3]:
    """The run's S3 server."""
    async with serving() as server:
        yield server


@asynccontextmanager
async def serving() -> AsyncIterator[S3]:
    """An S3 server of one's own, with an empty bucket."""
    with tempfile.TemporaryDirectory(prefix="mina-s3-") as name:
        folder = Path(name) / BUCKET
        folder.mkdir()
        store, public = _free_port(), _free_port()
        async with (
            _rclone("s3", store, "--auth-key", f"{KEY_ID},{SECRET}", name),
            _rclone("http", public, str(folder)),
        ):
            yield S3(f"http://127.0.0.1:{store}", f"http://127.0.0.1:{public}", folder)


@asynccontextmanager
async def _rclone(protocol: str, port: int, *arguments: str) -> AsyncIterator[None]:
    """`rclone serve` of one protocol, from the first connection it takes to the end of the block."""
    process = await asyncio.create_subprocess_exec(
        RCLONE,
        "serve",
        protocol,
        *("--config", os.devnull, "--addr", f"127.0.0.1:{port}"),
        *("--dir-cache-time", "1ms"),  # each sees at once what the other one, or a test, has written
        *arguments,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            await _listening(port, process)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    while True:
        assert process.returncode is None, f"rclone ended with {process.returncode}"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
