"""The child of a sandbox: limits itself, then decodes what it is handed until its parent is gone.

Run as a script: `python -I -S -B child.py <import path> <owner pid> <bytes of memory> <CPU seconds a task>`. Both ways a message
is a 4-byte length, so many bytes of JSON, and `size` more bytes. The parent asks `{module, name, arguments, size}`; the answer is
`{ok, size}`, `{refused}` (what the person is told) or `{fault}` (ours). The first answer says that the child is ready.
"""

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import traceback
from typing import Any, BinaryIO

PR_SET_PDEATHSIG = 1  # prctl(2)
OPEN_FILES = 64
NICE = 5
"""Decoding waits while the parent has requests to serve."""


def main(import_path: str, owner: str, memory: str, cpu_seconds: str) -> None:
    """Serve tasks until the parent closes the pipe."""
    questions = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing a decoder prints gets between the answers
    _stand_behind(int(owner))
    sys.path[:] = import_path.split(os.pathsep)  # what the parent can import; `-I` alone would miss a PYTHONPATH
    importlib.import_module("mina_gql.adapters.sandbox.pictures")  # the one most asked for, before anybody waits for it
    _limit(int(memory))
    _say(answers, {"ok": {}})
    while True:
        length = questions.read(4)
        if len(length) < 4:
            return
        asked = json.loads(questions.read(int.from_bytes(length)))
        data = questions.read(asked["size"])
        _allow(int(cpu_seconds))
        _say(answers, *_answer(asked, data))


def _answer(asked: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    from mina_gql.domain.errors import AssetRejected  # noqa: PLC0415 -- there is a path to it only now

    try:
        task = getattr(importlib.import_module(asked["module"]), asked["name"])
        facts, made = task(data, **asked["arguments"])
    except AssetRejected as error:
        return {"refused": error.message}, b""
    except MemoryError:
        os._exit(1)  # whatever is half-made goes with it
    except Exception:  # noqa: BLE001 -- told to the parent, which raises it
        return {"fault": traceback.format_exc()}, b""
    return {"ok": facts}, made


def _say(answers: BinaryIO, head: dict[str, Any], body: bytes = b"") -> None:
    text = json.dumps({**head, "size": len(body)}).encode()
    answers.write(len(text).to_bytes(4) + text)
    answers.write(body)
    answers.flush()


def _stand_behind(owner: int) -> None:
    """End when the parent does, in the middle of a task too (not on Linux: by the closed pipe or the CPU limit); yield to it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != owner:
            sys.exit(1)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123 -- pathlib costs a start
            score.write("1000")  # when the machine runs out of memory, this one goes first
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # whatever we were started with
    os.nice(NICE)


def _limit(memory: int) -> None:
    """No more memory than this, no files written, no core dumps. A limit that this system has not is left out."""
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


def _allow(seconds: int) -> None:
    """So much more CPU time for this task."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    with contextlib.suppress(OSError, ValueError):
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + seconds, most))


if __name__ == "__main__":
    main(*sys.argv[1:])
