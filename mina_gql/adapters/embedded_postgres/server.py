"""The running server: from the lock on a home to a DSN, and back to nothing left."""

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

import asyncpg

from mina_gql.adapters.embedded_postgres import install, orphan
from mina_gql.adapters.embedded_postgres.cluster import DATABASE, Cluster, cluster_of, prepare
from mina_gql.adapters.embedded_postgres.errors import AlreadyRunning, EmbeddedPostgresError
from mina_gql.adapters.embedded_postgres.install import ENVIRONMENT, Installation

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # One studio on one machine: little memory, few processes.
        "shared_buffers": "32MB",
        "max_connections": "60",
        "max_worker_processes": "2",
        "max_parallel_workers_per_gather": "0",
        "max_logical_replication_workers": "0",
        "io_method": "sync",
        "jit": "off",
        # Errors of statements quote rows, and no log of ours says a Pass ID: the server's own lines only.
        "log_min_messages": "log",
        "log_error_verbosity": "terse",
        "log_checkpoints": "off",
    }
)
"""Given at each start, so a new release brings its own; fsync and the rest stay as PostgreSQL has them."""

START_SECONDS = 180.0
"""Recovery after a crash may take long; a server that has not come up by then is given up."""
TRIES = 20

# What a start may fail of that passes: somebody else took the port, or the last server's processes are still leaving.
_PASSING = ("could not bind", "could not create any TCP/IP sockets", "pre-existing shared memory block")


class EmbeddedPostgres:
    """A running server. It stops at `stop`, and by itself when this process dies. `version` reads like 18.6."""

    def __init__(self, dsn: str, data_directory: Path, version: str, process: asyncio.subprocess.Process, lock: TextIO) -> None:
        self.dsn = dsn
        self.data_directory = data_directory
        self.version = version
        self._process = process
        self._lock = lock

    async def stop(self) -> None:
        """Disconnect everybody, write everything down, end; then no process is left. Once more does nothing."""
        try:
            await _end(self._process)
        finally:
            self._lock.close()


async def start(home: Path, *, settings: Mapping[str, str] = MappingProxyType({})) -> EmbeddedPostgres:
    """Start the PostgreSQL of `home`, making it first where there is none; on a free port each time.

    What an earlier Mina left behind, killed or orphaned, is put in order. `settings` (PostgreSQL's names) go over
    `SETTINGS`. Raises AlreadyRunning, and EmbeddedPostgresError with what to change.
    """
    try:
        home, lock = await asyncio.to_thread(_claim, home)
        try:
            return await _start(home, lock, {**SETTINGS, **settings})
        except BaseException:
            lock.close()
            raise
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"No permission for {error.filename}. Set MINA_HOME to a directory of the user that Mina runs as."
        ) from error


def dsn_of_running(home: Path) -> str | None:
    """The DSN of the server that runs on `home` now, whoever started it: for a command beside `mina serve`."""
    cluster = cluster_of(home.absolute())
    if orphan.postmaster(cluster.data) is None:
        return None
    return cluster.dsn(int(orphan.pid_file_lines(cluster.data)[3]))


def _claim(home: Path) -> tuple[Path, TextIO]:
    """Take the lock of `home`, made if need be; the home's full path. Raises AlreadyRunning."""
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    lock = (home / "postgres.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with lock:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
        raise AlreadyRunning(
            f"Mina is already running on {home} (process {owner}). Stop it first, or set MINA_HOME to another directory."
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return home, lock


async def _start(home: Path, lock: TextIO, settings: Mapping[str, str]) -> EmbeddedPostgres:
    cluster = cluster_of(home)
    installation = await asyncio.to_thread(install.find, home, cluster.data)
    await asyncio.to_thread(orphan.put_in_order, cluster.data)
    await asyncio.to_thread(prepare, home, installation, sync=settings.get("fsync") != "off")
    process, port = await _serve_somewhere(cluster, installation, settings)
    try:
        dsn = cluster.dsn(port)
        await _ensure_database(dsn)
    except BaseException:
        await _end(process)
        raise
    return EmbeddedPostgres(dsn, cluster.data, installation.version, process, lock)


class _NotNow(EmbeddedPostgresError):
    """The server did not come up for a reason that passes."""


async def _serve_somewhere(
    cluster: Cluster, installation: Installation, settings: Mapping[str, str]
) -> tuple[asyncio.subprocess.Process, int]:
    """Start the server on a free port; again where the reason it did not come up passes."""
    for attempt in range(1, TRIES):
        try:
            port = _free_port()
            return await _serve(cluster, installation, settings, port), port
        except _NotNow:
            await asyncio.sleep(orphan.POLL_SECONDS * attempt)
    port = _free_port()
    return await _serve(cluster, installation, settings, port), port


async def _serve(
    cluster: Cluster, installation: Installation, settings: Mapping[str, str], port: int
) -> asyncio.subprocess.Process:
    """Start the server and wait until it takes connections. Raises EmbeddedPostgresError, `_NotNow` among them."""
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    command = ["postgres", "-D", str(cluster.data), "-p", str(port), *options]
    with cluster.log.open("ab") as log:
        logged = log.tell()
        process = await asyncio.create_subprocess_exec(
            *installation.command(*command, at_owners_death=signal.SIGINT),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=ENVIRONMENT,
            cwd=cluster.data,
            start_new_session=True,  # Ctrl-C in the terminal is for Mina, which stops the server last
        )
    try:
        async with asyncio.timeout(START_SECONDS):
            await _ready_or_ended(cluster.data, process)
    except BaseException as error:
        await _end(process)
        if isinstance(error, TimeoutError):
            raise EmbeddedPostgresError(f"PostgreSQL did not come up in {START_SECONDS:.0f} s; see {cluster.log}") from None
        raise
    if process.returncode is not None:
        said = cluster.log.read_bytes()[logged:].decode(errors="replace").strip()
        kind = _NotNow if any(sign in said for sign in _PASSING) else EmbeddedPostgresError
        raise kind(f"PostgreSQL did not start on {cluster.data}:\n{said}")
    return process


async def _ready_or_ended(data: Path, process: asyncio.subprocess.Process) -> None:
    """Wait until the server has written `ready` into its pid file, or has given up."""
    while process.returncode is None:
        lines = orphan.pid_file_lines(data)
        if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
            return
        await asyncio.sleep(orphan.POLL_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _ensure_database(dsn: str) -> None:
    """Create the database at the first start, and where that one was cut short."""
    try:
        connection = await asyncpg.connect(dsn)
    except asyncpg.InvalidCatalogNameError:
        connection = await asyncpg.connect(dsn, database="postgres")
        try:
            await connection.execute(f"create database {DATABASE}")
        finally:
            await connection.close()
    else:
        await connection.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Stop a child, the harder the longer it takes."""
    for last_word, seconds in orphan.LAST_WORDS:
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(last_word)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
