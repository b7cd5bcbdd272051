"""Tasks for the children of a sandbox: what files can make a decoder do, told here without such a file."""

import ctypes
import os
import resource
import signal
import socket
from pathlib import Path
from typing import Any

from mina_gql.domain.errors import AssetRejected

Told = tuple[dict[str, Any], bytes]


def echo(data: bytes, **arguments: Any) -> Told:
    return {"pid": os.getpid(), **arguments}, data


def look_around(_: bytes) -> Told:
    limits = {name: getattr(resource, f"RLIMIT_{name}") for name in ("AS", "CPU", "FSIZE", "CORE", "NOFILE")}
    return {
        "environment": dict(os.environ),
        "limits": {name: resource.getrlimit(kind)[0] for name, kind in limits.items()},
        "open": len(list(Path("/proc/self/fd").iterdir())),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "real time": os.sched_getscheduler(0) in {os.SCHED_FIFO, os.SCHED_RR},
        "session": os.getsid(0) == os.getpid(),
    }, b""


def refuse(_: bytes) -> Told:
    raise AssetRejected("Not this one.")


def stumble(_: bytes) -> Told:
    raise RuntimeError("a bug of ours")


def spin(_: bytes, mark: str = "") -> Told:
    """Work for ever; says so through a pipe that is named by its path."""
    if mark:
        with Path(mark).open("wb") as told:
            told.write(str(os.getpid()).encode())
    while True:
        pass


def sleep(_: bytes) -> Told:
    signal.pause()
    return {}, b""


def eat(_: bytes, gigabytes: int) -> Told:
    return {"eaten": len(bytes(gigabytes << 30))}, b""


def eat_behind_python(_: bytes) -> Told:
    """As a C library does that does not look at what malloc says."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    libc.memset(libc.malloc(4 << 30), 1, 1)
    return {}, b""


def crash(_: bytes) -> Told:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}, b""


def leave(_: bytes) -> Told:
    os._exit(0)


def print_much(_: bytes) -> Told:
    os.write(1, b"\0\0\0\x02{}" * 1000)
    return {"printed": True}, b""


def lie(_: bytes, answer: str) -> Told:
    """Write an answer of its own making into every pipe, as somebody who took the child over would."""
    for number in range(3, 20):
        try:
            os.write(number, bytes.fromhex(answer))
        except OSError:
            continue
    os._exit(0)


def write_a_file(_: bytes, path: str) -> Told:
    try:
        Path(path).write_bytes(b"x")
    except OSError as error:
        return {"error": type(error).__name__}, b""
    return {"error": None}, b""


def listen(_: bytes) -> Told:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
    return {}, b""
