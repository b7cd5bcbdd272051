"""What an earlier Mina left behind when it was killed: a server without an owner, or a dead server's pid file."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from mina_gql.adapters.embedded_postgres.errors import EmbeddedPostgresError

POLL_SECONDS = 0.02
LAST_WORDS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""How a server is stopped, and how long each may take: writing everything down, at once, hard."""


def put_in_order(data: Path) -> None:
    """Stop the server whose Mina is dead (the caller holds the lock), wait until it has gone, mark its pid file stale.

    Raises EmbeddedPostgresError when it stays.
    """
    pid = postmaster(data)
    for last_word, seconds in LAST_WORDS:
        if pid is None:
            break
        with suppress(ProcessLookupError):
            os.kill(pid, last_word)
        deadline = time.monotonic() + seconds
        while (pid := postmaster(data)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    if pid is not None:
        raise EmbeddedPostgresError(f"The PostgreSQL server of an earlier Mina (process {pid}) on {data} cannot be stopped.")
    _mark_stale(data)


def postmaster(data: Path) -> int | None:
    """The live server of this data directory. Its pid file alone proves nothing: pids are used again."""
    lines = pid_file_lines(data)
    if not lines or not lines[0].isdecimal():
        return None
    pid = int(lines[0])
    return pid if str(data) in _arguments(pid) else None


def pid_file_lines(data: Path) -> list[str]:
    """PostgreSQL's `postmaster.pid`: pid, data, start, port, socket, address, shared memory, status. Empty without one."""
    try:
        return _pid_file(data).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _pid_file(data: Path) -> Path:
    return data / "postmaster.pid"


def _arguments(pid: int) -> list[str]:
    """A live process's command line; empty for none, and for a zombie."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="surrogateescape").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            return []
    ps = ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, check=False, text=True).stdout.split()  # noqa: S603 -- a number


def _mark_stale(data: Path) -> None:
    """Write our own pid into a pid file: PostgreSQL would refuse to start while any process happens to have the old one,
    and takes its parent's for stale.

    The file itself must stay: by the shared memory it names PostgreSQL makes sure that no process of the last server is
    still writing.
    """
    lines = pid_file_lines(data)
    if lines:
        # The directory may be another account's: no link of its making is followed.
        with os.fdopen(os.open(_pid_file(data), os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW), "w", encoding="utf-8") as file:
            file.write("\n".join([str(os.getpid()), *lines[1:], ""]))
