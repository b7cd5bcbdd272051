"""Promises of Mina's own PostgreSQL: whose it is, what it lets in, and that no crash keeps it from coming back."""

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from mina_gql.adapters import embedded_postgres
from mina_gql.adapters.embedded_postgres import AlreadyRunning, EmbeddedPostgres, EmbeddedPostgresError, install, server

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about dropping root")

# A Mina in a process of its own: starts, says its DSN, stays until it is killed. With "orphans" its server outlives it,
# as it does where the kernel offers no way to prevent that.
OWNER = """
import asyncio, sys
from pathlib import Path
from mina_gql.adapters import embedded_postgres
from mina_gql.adapters.embedded_postgres.install import Installation

if sys.argv[2] == "orphans":
    command = Installation.command
    Installation.command = lambda self, *parts, at_owners_death: command(self, *parts, at_owners_death=0)

async def main():
    postgres = await embedded_postgres.start(Path(sys.argv[1]))
    print(postgres.dsn, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def new_home() -> Iterator[Path]:
    """A home that no Mina has run on. Not pytest's own directory: the server's account could not enter it."""
    with tempfile.TemporaryDirectory(prefix="mina-home-") as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
async def used_home() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mina-home-") as directory:
        postgres = await embedded_postgres.start(Path(directory), settings={"fsync": "off"})
        await postgres.stop()
        yield Path(directory)


@pytest.fixture
def home(used_home: Path, new_home: Path) -> Path:
    """A home that a Mina has run on: a copy, which is quicker than a first start."""
    subprocess.run(["cp", "-a", f"{used_home}/.", new_home], check=True)
    return new_home


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[EmbeddedPostgres]:
    postgres = await embedded_postgres.start(home)
    try:
        yield postgres
    finally:
        await postgres.stop()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


@asynccontextmanager
async def owner(home: Path, how: str = "plain") -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(home), how, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def dsn_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres/data/postmaster.pid").read_text().split()[0]))


def half_made(home: Path, file: str = "") -> list[Path]:
    return list(home.glob(f"postgres.new-*/{file}"))


def family(home: Path) -> list[psutil.Process]:
    parent = postmaster(home)
    return [parent, *parent.children(recursive=True)]


async def until(happened: Callable[[], object]) -> None:
    """Wait for what other processes do to files and to each other; nothing tells us of it."""
    async with asyncio.timeout(60):
        while not happened():  # noqa: ASYNC110 -- as said
            await asyncio.sleep(0.002)


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended; it need not be our child, and a zombie that nobody reaps has ended too."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def until_gone(processes: list[psutil.Process]) -> None:
    await until(lambda: all(gone(process) for process in processes))


async def keep_a_row(dsn: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute("create table kept (word text); insert into kept values ('matcha')")


async def kept_row(dsn: str) -> str:
    async with connected(dsn) as connection:
        return await connection.fetchval("select word from kept")


async def test_data_survive_a_restart(new_home: Path):
    async with running(new_home) as postgres:
        await keep_a_row(postgres.dsn)
    async with running(new_home) as postgres:
        assert await kept_row(postgres.dsn) == "matcha"


async def test_server_is_set_up_for_the_data_of_people(new_home: Path):
    async with running(new_home) as postgres, connected(postgres.dsn) as connection:
        shown = {
            name: await connection.fetchval(f"show {name}")
            for name in ("fsync", "full_page_writes", "server_encoding", "timezone", "data_checksums", "jit", "server_version")
        }
        assert shown == {
            "fsync": "on",
            "full_page_writes": "on",
            "server_encoding": "UTF8",
            "timezone": "UTC",
            "data_checksums": "on",
            "jit": "off",
            "server_version": postgres.version,
        }
        assert await connection.fetchval("select lower('ÄÉЖ')") == "äéж"


async def test_settings_go_over_ours(home: Path):
    postgres = await embedded_postgres.start(home, settings={"fsync": "off"})
    async with connected(postgres.dsn) as connection:
        assert await connection.fetchval("show fsync") == "off"
    await postgres.stop()


async def test_only_this_machine_and_only_the_password_get_in(new_home: Path):
    async with running(new_home) as postgres:
        parts = urlsplit(postgres.dsn)
        listening = [c.laddr for c in postmaster(new_home).net_connections() if c.status == psutil.CONN_LISTEN]
        assert listening == [("127.0.0.1", parts.port)]
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(postgres.dsn, password="guessed")
        password = new_home / "postgres/password"
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
        assert password.stat().st_uid == os.geteuid()
        assert password.read_text() == parts.password
        rules = [line.split() for line in (postgres.data_directory / "pg_hba.conf").read_text().splitlines()]
        assert {rule[-1] for rule in rules if rule and not rule[0].startswith("#")} == {"scram-sha-256"}


async def test_server_sees_no_key_of_ours(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("PGPORT", "1")
    async with running(home):
        assert set(postmaster(home).environ()) <= {"PATH", "LC_ALL", "TZ"} | {"PGDATA", "PG_GRANDPARENT_PID"}


async def test_what_is_set_for_other_databases_does_not_matter(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    async with running(home) as postgres, connected(postgres.dsn) as connection:
        assert await connection.fetchval("select current_database()") == "mina"


async def test_refused_statements_leave_no_row_in_the_log(home: Path):
    async with running(home) as postgres, connected(postgres.dsn) as connection:
        await connection.execute("create table passes (id text primary key); insert into passes values ('pass:anon:1')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("insert into passes values ('pass:anon:1')")
        assert "pass:anon" not in (home / "postgres/log").read_text()


async def test_idle_server_is_small(home: Path):
    async with running(home):
        assert sum(process.memory_full_info().pss for process in family(home)) < 100 * 1024**2


async def test_stop_leaves_no_process_and_may_be_said_twice(home: Path):
    postgres = await embedded_postgres.start(home)
    connection = await asyncpg.connect(postgres.dsn)  # a client that stays does not hold it up
    processes = family(home)
    await postgres.stop()
    await postgres.stop()
    await connection.close()
    assert not [process for process in processes if process.is_running()]
    assert not (postgres.data_directory / "postmaster.pid").exists()


async def test_second_mina_is_told_which_one_runs(home: Path):
    async with running(home) as postgres:
        with pytest.raises(AlreadyRunning, match=rf"{home} \(process {os.getpid()}\).*MINA_HOME"):
            await embedded_postgres.start(home)
        assert embedded_postgres.dsn_of_running(home) == postgres.dsn
    assert embedded_postgres.dsn_of_running(home) is None


async def test_port_taken_meanwhile_is_no_obstacle(home: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1]])
        free_port = server._free_port
        monkeypatch.setattr(server, "_free_port", lambda: next(ports, None) or free_port())
        async with running(home) as postgres:
            assert urlsplit(postgres.dsn).port != taken.getsockname()[1]


async def test_data_of_another_major_version_are_not_touched(home: Path):
    async with running(home) as postgres:
        data = postgres.data_directory
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedPostgresError, match=r"PostgreSQL 16, .*brings 18.*pg_dump.*MINA_HOME"):
        await embedded_postgres.start(home)


async def test_refusal_to_start_says_what_the_server_said_and_frees_the_home(home: Path):
    with pytest.raises(EmbeddedPostgresError, match="shared_buffers"):
        await embedded_postgres.start(home, settings={"shared_buffers": "much"})
    async with running(home) as postgres:
        assert postgres.version.startswith("18.")


async def test_cancelled_start_leaves_nothing_running(home: Path):
    starting = asyncio.create_task(embedded_postgres.start(home))
    pid_file = home / "postgres/data/postmaster.pid"
    await until(lambda: pid_file.exists() and pid_file.read_text())
    processes = family(home)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await until_gone(processes)
    async with running(home):
        pass


@pytest.mark.crash
async def test_server_ends_with_its_killed_owner_and_keeps_what_was_committed(home: Path):
    async with owner(home) as process:
        await keep_a_row(await dsn_of(process))
        processes = family(home)
        process.kill()
    if sys.platform == "linux":
        await until_gone(processes)
    async with running(home) as postgres:
        assert await kept_row(postgres.dsn) == "matcha"


@pytest.mark.crash
async def test_server_that_outlived_its_owner_is_replaced(home: Path):
    async with owner(home, "orphans") as process:
        await keep_a_row(await dsn_of(process))
        orphans = family(home)
        process.kill()
    assert orphans[0].is_running()
    async with running(home) as postgres:
        await until_gone(orphans)
        assert await kept_row(postgres.dsn) == "matcha"


@pytest.mark.crash
async def test_other_mina_alive_keeps_its_home(home: Path):
    async with owner(home) as process:
        dsn = await dsn_of(process)
        await keep_a_row(dsn)
        with pytest.raises(AlreadyRunning, match=f"process {process.pid}"):
            await embedded_postgres.start(home)
        assert await kept_row(dsn) == "matcha"


@pytest.mark.crash
async def test_killed_server_recovers(home: Path):
    async with running(home) as postgres:
        await keep_a_row(postgres.dsn)
        postmaster(home).kill()
    assert (postgres.data_directory / "postmaster.pid").exists()
    async with running(home) as postgres:
        assert await kept_row(postgres.dsn) == "matcha"


@pytest.mark.crash
async def test_killed_owner_and_server_together_recover(home: Path):
    async with owner(home) as process:
        await keep_a_row(await dsn_of(process))
        postmaster(home).kill()
        process.kill()
    async with running(home) as postgres:
        assert await kept_row(postgres.dsn) == "matcha"


@pytest.mark.crash
async def test_pid_file_that_names_somebody_else_is_stale(home: Path):
    async with running(home) as postgres:
        postmaster(home).kill()
    pid_file = postgres.data_directory / "postmaster.pid"
    account = {"user": pid_file.stat().st_uid, "extra_groups": []} if os.geteuid() == 0 else {}
    somebody = await asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE, **account)
    pid_file.write_text("\n".join([str(somebody.pid), *pid_file.read_text().split("\n")[1:]]))
    async with running(home):
        assert somebody.returncode is None
    await somebody.communicate(b"\n")
    assert somebody.returncode == 0


@pytest.mark.crash
async def test_first_start_that_was_killed_half_way_is_begun_again(new_home: Path):
    async with owner(new_home) as process:
        await until(lambda: half_made(new_home, "data/PG_VERSION"))
        process.kill()
    assert not (new_home / "postgres").exists()
    async with running(new_home) as postgres, connected(postgres.dsn) as connection:
        assert await connection.fetchval("select current_database()") == "mina"
    async with running(new_home):
        assert not half_made(new_home)


@as_root
async def test_root_is_dropped(new_home: Path):
    async with running(new_home) as postgres:
        assert all(process.uids().effective != 0 for process in family(new_home))
        assert postmaster(new_home).gids().effective != 0
        assert postgres.data_directory.stat().st_uid == postmaster(new_home).uids().effective


@as_root
async def test_home_out_of_the_accounts_reach_says_which_setting_to_change(tmp_path: Path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match=rf"cannot reach {locked}/home.*MINA_HOME"):
        await embedded_postgres.start(locked / "home")


@as_root
async def test_programs_out_of_the_accounts_reach_are_copied(new_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = install._package()
    packages = tmp_path / "site-packages"
    packages.mkdir(mode=0o700)
    for part in package.parent.glob("embedded_postgres*"):
        (packages / part.name).symlink_to(part)
    monkeypatch.setattr(install, "_package", lambda: packages / package.name)
    async with running(new_home) as postgres:
        await keep_a_row(postgres.dsn)
        assert Path(postmaster(new_home).exe()).is_relative_to(new_home)
    async with running(new_home) as postgres:
        assert await kept_row(postgres.dsn) == "matcha"


@as_root
async def test_account_that_owns_the_data_is_kept(home: Path):
    async with running(home) as postgres:
        data = postgres.data_directory
    for path in (data, *data.rglob("*")):
        shutil.chown(path, "daemon", "daemon")
    async with running(home):
        assert postmaster(home).username() == "daemon"
