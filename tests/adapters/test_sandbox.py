"""Promises of the sandbox: whatever a file does to its decoder, only that file is refused (FEATURES E8)."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop
from PIL import Image

from mina_gql.adapters.pictures import PillowPictureReader
from mina_gql.adapters.sandbox import pool
from mina_gql.adapters.sandbox.pool import AT_ONCE, MEMORY, Sandbox, SandboxBroken
from mina_gql.domain.errors import AssetRejected
from tests.adapters import sandbox_misdeeds as misdeeds

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    box = Sandbox()
    yield box
    await box.close()


async def pid_of(sandbox: Sandbox) -> int:
    return int((await sandbox.run(misdeeds.echo))[0]["pid"])


def children() -> set[int]:
    return {each.pid for each in psutil.Process().children() if "sandbox/child.py" in " ".join(each.cmdline())}


# ---------------------------------------------------------------- handing over


@pytest.mark.parametrize("size", [0, 1, 70_000, 25 * 1024 * 1024])
async def test_bytes_and_facts_come_through_whole(sandbox, size):
    data = os.urandom(size)
    facts, back = await sandbox.run(misdeeds.echo, data, path="a ü\n", number=3)
    assert (facts["path"], facts["number"], back == data) == ("a ü\n", 3, True)


async def test_a_child_stays_warm_and_gives_way_after_its_tasks():
    sandbox = Sandbox(tasks_each=3)
    pids = [await pid_of(sandbox) for _ in range(7)]
    await sandbox.close()
    assert [len(set(pids[:3])), len(set(pids[3:6])), len(set(pids))] == [1, 1, 3]


async def test_nothing_runs_before_it_is_needed_and_nothing_is_left(sandbox):
    before = children()
    other = Sandbox()
    assert children() == before
    mine = {await pid_of(other) for _ in range(3)}
    assert mine <= children()
    await other.close()
    assert not mine & children()
    with pytest.raises(SandboxBroken):
        await other.run(misdeeds.echo)


async def test_few_children_work_at_a_time_and_nobody_else_waits_for_them(sandbox):
    told = await asyncio.gather(*(sandbox.run(misdeeds.echo, bytes(1000)) for _ in range(40)))
    assert len({facts["pid"] for facts, _ in told}) <= AT_ONCE


async def test_the_loop_goes_on_while_a_child_works(sandbox, tmp_path):
    """The child says through a pipe that it spins; another task hears that, so the loop was not held."""
    mark = tmp_path / "mark"
    os.mkfifo(mark)
    working = asyncio.create_task(sandbox.run(misdeeds.spin, mark=str(mark)))
    pid = int(await asyncio.to_thread(mark.read_bytes))
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(AssetRejected):
        await working


def test_it_works_on_the_loop_that_uvicorn_uses():
    async def clean() -> int:
        sandbox = Sandbox()
        try:
            return (await PillowPictureReader(sandbox).clean(picture())).width
        finally:
            await sandbox.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(clean()) == 8


# ---------------------------------------------------------------- walls


async def test_a_child_has_limits_and_none_of_our_secrets(sandbox, monkeypatch):
    monkeypatch.setenv("MINA_SECRET_KEY", "a secret")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    seen, _ = await sandbox.run(misdeeds.look_around)
    assert set(seen["environment"]) <= {"LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
    assert seen["limits"]["AS"] == MEMORY
    assert 0 < seen["limits"]["CPU"] < 70
    assert (seen["limits"]["FSIZE"], seen["limits"]["CORE"], seen["limits"]["NOFILE"]) == (0, 0, 64)
    assert seen["open"] <= 6  # 0, 1, 2, the two pipes again, and the folder it looks at
    assert seen["session"]
    assert (seen["nice"] > os.getpriority(os.PRIO_PROCESS, 0), seen["real time"]) == (True, False)


async def test_a_child_writes_no_file(sandbox, tmp_path):
    facts, _ = await sandbox.run(misdeeds.write_a_file, path=str(tmp_path / "written"))
    assert facts["error"] == "OSError"
    assert not (tmp_path / "written").read_bytes()


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        (misdeeds.eat, {"gigabytes": 4}),
        (misdeeds.eat_behind_python, {}),
        (misdeeds.crash, {}),
        (misdeeds.leave, {}),
        (misdeeds.lie, {"answer": b"\0\0\0\x02{}".hex()}),
        (misdeeds.lie, {"answer": b"\0\0\0\x08nonsense".hex()}),
        (misdeeds.lie, {"answer": b"\xff\xff\xff\xff{}".hex()}),
        (misdeeds.lie, {"answer": (b'\0\0\0\x1d{"size":9999999999,"ok":{}}  ').hex()}),
        (misdeeds.lie, {"answer": (b'\0\0\0\x14{"size":-1,"ok":{}} ').hex()}),
        (misdeeds.lie, {"answer": b"\0\0\0\x02[]".hex()}),
        (misdeeds.lie, {"answer": b'\0\0\0\x0c{"size":"x"}'.hex()}),
    ],
    ids=["memory", "malloc", "crash", "exit", "empty", "nonsense", "huge", "huge body", "negative", "list", "text"],
)
async def test_what_kills_or_turns_a_child_refuses_the_file_and_no_other(sandbox, task, arguments):
    before = await pid_of(sandbox)
    with pytest.raises(AssetRejected) as refused:
        await sandbox.run(task, **arguments)
    assert refused.value.message == pool.UNREADABLE
    assert await pid_of(sandbox) != before
    assert before not in children()


@pytest.mark.parametrize("task", [misdeeds.spin, misdeeds.sleep])
async def test_what_takes_too_long_is_stopped_and_says_so(task):
    sandbox = Sandbox(seconds=2)
    try:
        before = await pid_of(sandbox)
        with pytest.raises(AssetRejected) as refused:
            await sandbox.run(task)
        assert refused.value.message == pool.TOO_SLOW
        assert await pid_of(sandbox) != before
    finally:
        await sandbox.close()


async def test_a_child_stops_itself_after_its_share_of_the_processor(tmp_path):
    """Where the parent could not see to it: asked as the parent would, but nobody watches the clock."""
    child = pool._Child(MEMORY, seconds=0)
    try:
        child.wait_ready()
        with pytest.raises(AssetRejected):
            await asyncio.to_thread(child.ask, {"module": misdeeds.__name__, "name": "spin", "arguments": {}}, b"", 60)
        assert child._process.wait() == -signal.SIGXCPU
        assert not child._late
    finally:
        child.end()


async def test_what_is_refused_is_refused_and_the_child_goes_on(sandbox):
    before = await pid_of(sandbox)
    with pytest.raises(AssetRejected, match="Not this one"):
        await sandbox.run(misdeeds.refuse)
    assert (await sandbox.run(misdeeds.print_much))[0] == {"printed": True}
    assert await pid_of(sandbox) == before


async def test_a_fault_of_ours_is_not_the_file_s(sandbox):
    with pytest.raises(SandboxBroken, match="a bug of ours"):
        await sandbox.run(misdeeds.stumble)


async def test_a_child_that_does_not_start_is_not_the_file_s_fault(sandbox, monkeypatch):
    monkeypatch.setattr(pool, "CHILD", ROOT / "nothing.py")
    with pytest.raises(SandboxBroken, match="does not start"):
        await sandbox.run(misdeeds.echo)
    monkeypatch.undo()
    assert await pid_of(sandbox)


async def test_a_child_that_died_at_rest_is_replaced_unseen(sandbox):
    before = await pid_of(sandbox)
    os.kill(before, signal.SIGKILL)
    await asyncio.to_thread(psutil.Process(before).wait) if psutil.pid_exists(before) else None
    assert await pid_of(sandbox) != before


async def test_closing_ends_a_busy_child_and_blames_no_file(tmp_path):
    sandbox, mark = Sandbox(), tmp_path / "mark"
    os.mkfifo(mark)
    working = asyncio.create_task(sandbox.run(misdeeds.spin, mark=str(mark)))
    pid = int(await asyncio.to_thread(mark.read_bytes))
    await sandbox.close()
    with pytest.raises(SandboxBroken):
        await working
    assert pid not in children()


async def test_one_who_gives_up_still_counts(sandbox, tmp_path):
    """Its child works on, so giving up makes no room for a third."""
    marks = [tmp_path / f"mark{n}" for n in range(AT_ONCE)]
    for mark in marks:
        os.mkfifo(mark)
    working = [asyncio.create_task(sandbox.run(misdeeds.spin, mark=str(mark))) for mark in marks]
    pids = [int(await asyncio.to_thread(mark.read_bytes)) for mark in marks]
    working[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await working[0]
    another = asyncio.create_task(sandbox.run(misdeeds.echo))
    os.kill(pids[1], signal.SIGKILL)
    with pytest.raises(AssetRejected):
        await working[1]
    assert (await another)[0]["pid"] not in pids
    assert psutil.pid_exists(pids[0])


# ---------------------------------------------------------------- real files


def picture(kind: str = "PNG", size: tuple[int, int] = (8, 6), mode: str = "RGB", **options: Any) -> bytes:
    out = BytesIO()
    Image.new(mode, size, 90).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [("JPEG", "RGB", {}), ("PNG", "RGBA", {}), ("WEBP", "RGBA", {"lossless": True, "method": 0, "quality": 0})],
    ids=["JPEG", "PNG", "WebP"],
)
async def test_the_largest_picture_allowed_passes_its_limits(sandbox, kind, mode, options):
    exif = Image.Exif()
    exif[274] = 6  # turned, so there are two of it for a while
    cleaned = await PillowPictureReader(sandbox).clean(picture(kind, (8160, 6120), mode, exif=exif, **options))
    assert (cleaned.width, cleaned.height) == (6120, 8160)


async def test_what_needs_more_memory_than_there_is_is_refused_and_the_next_is_not():
    sandbox = Sandbox(memory=140 * 1024 * 1024)
    reader = PillowPictureReader(sandbox)
    try:
        with pytest.raises(AssetRejected):
            await reader.clean(picture("PNG", (5000, 4000)))
        assert (await reader.clean(picture())).width == 8
    finally:
        await sandbox.close()


# ---------------------------------------------------------------- the end of the parent

PARENT = """
import asyncio, sys
sys.path.insert(0, {root!r})
from mina_gql.adapters.sandbox.pool import Sandbox
from tests.adapters import sandbox_misdeeds as misdeeds

async def main():
    sandbox = Sandbox()
    resting = (await sandbox.run(misdeeds.echo))[0]["pid"]
    print(resting, flush=True)
    await sandbox.run(misdeeds.spin, mark={mark!r})

asyncio.run(main())
"""


@pytest.mark.crash
async def test_children_die_with_a_parent_that_is_killed(tmp_path):
    mark = tmp_path / "mark"
    os.mkfifo(mark)
    with subprocess.Popen(  # noqa: ASYNC220 -- at once
        [sys.executable, "-c", PARENT.format(root=str(ROOT), mark=str(mark))], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        first = int(await asyncio.to_thread(parent.stdout.readline))
        busy = psutil.Process(int(await asyncio.to_thread(mark.read_bytes)))
        assert busy.pid == first
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    gone, alive = await asyncio.to_thread(psutil.wait_procs, [busy], 20)
    assert (len(gone), alive) == (1, [])


@pytest.mark.crash
async def test_a_child_at_rest_ends_when_its_pipe_is_closed():
    child = pool._Child(MEMORY, seconds=5)
    child.wait_ready()
    child._questions.close()
    assert await asyncio.to_thread(child._process.wait, 20) == 0
    child._answers.close()


@pytest.mark.crash
async def test_it_needs_no_home_and_no_folder_to_write_to():
    """As in a container that is read-only."""
    code = PARENT.replace("    await sandbox.run(misdeeds.spin, mark={mark!r})", "    await sandbox.close()")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-B", "-W", "error", "-c", code.format(root=str(ROOT))],
        capture_output=True,
        cwd="/proc",
        env={"HOME": "/nonexistent", "TMPDIR": "/nonexistent"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
