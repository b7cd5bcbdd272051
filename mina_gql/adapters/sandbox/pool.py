"""A few children that decode files from outside, kept warm and replaced when they fail (DESIGN section 8)."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

from mina_gql.domain.errors import AssetRejected

AT_ONCE = 2
"""So many files are decoded at a time: a hundred bytes may unfold into 50 megapixels."""
MEMORY = 2_560 * 1024 * 1024
"""Bytes of address space of a child. 50 megapixels take 1.8 GB at most (WebP without loss), a child at rest 0.1."""
SECONDS = 60.0
"""For one file, by the clock; as much CPU time. 50 megapixels take 11 s at most (WebP)."""
TASKS_EACH = 100
START_SECONDS = 30.0
MOST_ANSWERED = 512 * 1024 * 1024
PYTHON = (sys.executable, "-I", "-S", "-B")
CHILD = Path(__file__).with_name("child.py")

UNREADABLE = "This file could not be read. Open it, save it anew and upload it again."
TOO_SLOW = "This file takes too long to read. Make it smaller and upload it again."

Task = Callable[..., tuple[dict[str, Any], bytes]]
"""What a child runs: a function of a module, of bytes and JSON arguments, that gives JSON and bytes. Raises AssetRejected."""


class SandboxBroken(Exception):
    """A child cannot be started, or failed by a fault of ours: not the file's."""


class Sandbox:
    """Runs tasks in child processes; none is started before it is needed.

    A child has no more than `memory` and `seconds` for a task, none of our environment, and dies with us. It is not believed
    more than the file was: its answers are JSON and bytes.
    """

    def __init__(self, *, memory: int = MEMORY, seconds: float = SECONDS, tasks_each: int = TASKS_EACH) -> None:
        self._memory, self._seconds, self._tasks_each = memory, seconds, tasks_each
        # A thread speaks with one child at a time, so that no large file is copied by the event loop.
        self._threads = ThreadPoolExecutor(AT_ONCE, "sandbox")
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._idle: list[_Child] = []
        self._closed = False

    async def run(self, task: Task, data: bytes = b"", **arguments: Any) -> tuple[dict[str, Any], bytes]:
        """What the task gives. A caller that gives up lets the child go on, to its limit: it still counts.

        Raises AssetRejected, also when the file has killed the child, and SandboxBroken.
        """
        if self._closed:
            raise SandboxBroken("closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, task, data, arguments)

    async def close(self) -> None:
        """End all children, busy or not."""
        with self._lock:
            self._closed = True
            for each in self._children:
                each.kill()
        await asyncio.to_thread(self._threads.shutdown)
        for each in self._idle:
            each.end()

    def _run(self, task: Task, data: bytes, arguments: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        worker = self._take()
        asked = {"module": task.__module__, "name": task.__qualname__, "arguments": arguments}
        try:
            head, body = worker.ask(asked, data, self._seconds)
        except AssetRejected as error:
            self._drop(worker)
            if self._closed:
                raise SandboxBroken("closed") from error
            raise
        if worker.tasks < self._tasks_each:
            with self._lock:
                self._idle.append(worker)
        else:
            self._drop(worker)
        if "refused" in head:
            raise AssetRejected(str(head["refused"]))
        if "fault" in head:
            raise SandboxBroken(f"a fault in the sandbox:\n{head['fault']}")
        return head["ok"], body

    def _take(self) -> "_Child":
        """A child that waits for a task, a new one where there is none. Raises SandboxBroken."""
        with self._lock:
            while self._idle:
                if (worker := self._idle.pop()).alive:
                    return worker
                self._children.discard(worker)
                worker.end()
            if self._closed:
                raise SandboxBroken("closed")
            worker = _Child(self._memory, self._seconds)
            self._children.add(worker)
        try:
            worker.wait_ready()
        except SandboxBroken:
            self._drop(worker)
            raise
        return worker

    def _drop(self, worker: "_Child") -> None:
        with self._lock:
            self._children.discard(worker)
        worker.end()


class _Child:
    """One child process. Only `kill` may be called by another thread than the one that asks."""

    def __init__(self, memory: int, seconds: float) -> None:
        self._process = subprocess.Popen(  # noqa: S603 -- our own file
            [*PYTHON, CHILD, os.pathsep.join(sys.path), str(os.getpid()), str(memory), str(int(seconds) + 1)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders say what a file makes them say
            env={name: value for name, value in os.environ.items() if name in {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}},
            start_new_session=True,  # Ctrl-C is for us; we end the children when nobody needs them
        )
        self._questions, self._answers = cast("BinaryIO", self._process.stdin), cast("BinaryIO", self._process.stdout)
        self._late = False
        self.tasks = 0

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self) -> None:
        """Wait until it can be asked. Raises SandboxBroken."""
        try:
            with self._at_most(START_SECONDS):
                self._answer()
        except (EOFError, OSError, ValueError) as error:
            raise SandboxBroken("a child of the sandbox does not start") from error

    def ask(self, asked: dict[str, Any], data: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
        """Its answer to a question. Raises AssetRejected when that kills it."""
        self.tasks += 1
        try:
            text = json.dumps({**asked, "size": len(data)}).encode()
            with self._at_most(seconds):
                self._questions.write(len(text).to_bytes(4) + text)
                self._questions.write(data)
                self._questions.flush()
                return self._answer()
        except (EOFError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AssetRejected(TOO_SLOW if self._late else UNREADABLE) from error

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._answers.close()
        with contextlib.suppress(BrokenPipeError):  # what it has not read
            self._questions.close()

    @contextlib.contextmanager
    def _at_most(self, seconds: float) -> Iterator[None]:
        watch = threading.Timer(seconds, self._kill_late)
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _kill_late(self) -> None:
        self._late = True
        self.kill()

    def _answer(self) -> tuple[dict[str, Any], bytes]:
        head = json.loads(self._receive(int.from_bytes(self._receive(4))))
        if not {"ok", "refused", "fault"} & head.keys():
            raise ValueError("an answer that says nothing")
        return head, self._receive(head["size"])

    def _receive(self, size: int) -> bytes:
        if not 0 <= size <= MOST_ANSWERED:
            raise ValueError(f"an answer of {size} bytes")
        data = self._answers.read(size)
        if len(data) < size:
            raise EOFError
        return data
