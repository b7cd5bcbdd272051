"""The `mina` command as an operator meets it: what it refuses, what it says, and that stopping it loses nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from mina_gql.adapters.embedded_postgres import dsn_of_running
from tests.conftest import Postgres
from tests.journeys.server import SECRET, Server, external, free_port, mina, running
from tests.journeys.visitor import Visitor

REPOSITORY = Path(__file__).parents[2]
VALUE = "hunter2hunter2"
WRONG = {
    "port": {"MINA_PORT": VALUE},
    "public URL": {"MINA_PUBLIC_URL": f"ftp://{VALUE}.example"},
    "origins": {"MINA_ALLOWED_ORIGINS": f"{VALUE}.example"},
    "database URL": {"MINA_DATABASE_URL": f"mysql://root:{VALUE}@127.0.0.1/mina", "MINA_SECRET_KEY": SECRET},
    "secret": {"MINA_SECRET_KEY": VALUE},
    "no secret": {"MINA_DATABASE_URL": f"postgresql://mina:{VALUE}@127.0.0.1:1/mina"},
    "nobody there": {"MINA_DATABASE_URL": f"postgresql://mina:{VALUE}@127.0.0.1:1/mina", "MINA_SECRET_KEY": SECRET},
}
NAMES = {
    "port": "MINA_PORT",
    "public URL": "MINA_PUBLIC_URL",
    "origins": "MINA_ALLOWED_ORIGINS",
    "database URL": "MINA_DATABASE_URL",
    "secret": "MINA_SECRET_KEY",
    "no secret": "MINA_SECRET_KEY",
    "nobody there": "MINA_DATABASE_URL",
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_bad_setting_stops_the_start_with_its_name_and_never_its_value(home: Path, wrong: str) -> None:
    """OPERATE.md, settings; nothing is made on the disk, and no traceback is shown."""
    result = await mina(home, "serve", **WRONG[wrong])
    assert result.code != 0
    assert NAMES[wrong] in result.err
    assert VALUE not in result.out + result.err
    assert "Traceback" not in result.err
    assert "ready" not in result.out
    assert list(home.parent.iterdir()) == []


async def test_everyone_is_let_in_only_when_told_so(home: Path) -> None:
    """DESIGN section 11: the embedded default has no sign-in to speak of, so it stays on this machine."""
    refused = await mina(home, "serve", "--host", "0.0.0.0", "--port", str(free_port()))
    assert refused.code != 0
    assert "MINA_HOST" in refused.err
    assert "--unsafe-public" in refused.err
    async with running(home, "serve", "--host", "0.0.0.0", "--unsafe-public") as server:
        assert (await Visitor(server).arrive())["credits"]["balance"] == 10


async def test_a_port_in_use_is_told_before_anything_is_started(home: Path) -> None:
    """What a newcomer meets first: something else is on 8000. It is never called ready."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = await mina(home, "serve", "--port", port)
    assert result.code != 0
    assert f"127.0.0.1:{port}" in result.err
    assert "--port" in result.err
    assert result.out == ""


async def test_the_schema_is_the_one_in_the_repository(home: Path) -> None:
    """`mina schema` equals schema.graphql."""
    result = await mina(home, "schema")
    assert (result.code, result.out) == (0, (REPOSITORY / "schema.graphql").read_text())


async def test_a_worker_without_a_database_is_told_what_to_do(home: Path) -> None:
    """`mina work` in an empty folder."""
    result = await mina(home, "work")
    assert result.code != 0
    assert "MINA_DATABASE_URL" in result.err
    assert "mina serve" in result.err


async def test_the_doctor_finds_an_empty_folder_well(home: Path) -> None:
    """`mina doctor` before the first start, and what it says to do next."""
    result = await mina(home, "doctor")
    assert result.code == 0, result.out
    assert all(line.startswith("ok") for line in result.out.splitlines()[:-1])
    assert "Next: `mina serve`" in result.out


async def test_beside_a_running_server(home: Path) -> None:
    """The doctor reaches its database, a worker joins it, and a second server on the same folder is told of the first."""
    async with running(home) as server:
        doctor, second = await asyncio.gather(mina(home, "doctor"), mina(home, "serve", "--port", str(free_port())))
        assert (doctor.code, "reached" in doctor.out) == (0, True)
        assert second.code != 0
        assert "already running" in second.err
        assert str(home) in second.err
        assert "Traceback" not in second.err
        async with running(home, "work"):
            visitor = Visitor(server)
            await visitor.arrive()
            assert (await visitor.followed(await visitor.accepted()))[-1]["__typename"] == "GenerationCompleted"


async def test_a_database_that_is_not_migrated_is_not_served(postgres: Postgres, home: Path) -> None:
    """`mina serve` and `mina doctor` on an empty database name `mina migrate`; after that both are well."""
    dsn = await postgres.create_database()
    try:
        serve, doctor = await asyncio.gather(mina(home, "serve", **external(dsn)), mina(home, "doctor", **external(dsn)))
        for result in (serve, doctor):
            assert result.code != 0
            assert "mina migrate" in result.out + result.err
            assert "Traceback" not in result.err
        assert (await mina(home, "migrate", **external(dsn))).code == 0
        again, doctor = await asyncio.gather(mina(home, "migrate", **external(dsn)), mina(home, "doctor", **external(dsn)))
        assert (again.code, "up to date" in again.out) == (0, True)
        assert doctor.code == 0, doctor.out
    finally:
        await postgres.drop_database(dsn)


PAID = "select count(*) from mega_generations where mg_step_type = 'seedream_generate' and mg_meta ? 'prediction_id'"
STEPS = """select mg_generation_id, array_agg(mg_step_no order by mg_step_no) as numbers,
           array_agg(mg_step_type order by mg_step_no) filter (where mg_status = 'succeeded') as done,
           array_agg(mg_meta ->> 'prediction_id') filter (where mg_step_type = 'seedream_generate') as predictions
           from mega_generations where mg_record_type = 'mma_step' group by 1"""


@asynccontextmanager
async def tables(server: Server) -> AsyncIterator[asyncpg.Connection]:
    """A look behind an embedded server's back."""
    dsn = dsn_of_running(server.home)
    assert dsn is not None
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def test_stopping_in_the_middle_loses_nothing(home: Path) -> None:
    """J5, R5, J7: unfinished work is handed back at SIGTERM, and the next start finishes it: nothing is made or paid twice."""
    port = free_port()
    async with running(home, port=port) as server, tables(server) as database:
        visitor = Visitor(server)
        await visitor.arrive()
        ids = [await visitor.accepted(f"Cup number {n}", settings={"seedream": {"size": "2K"}}) for n in range(3)]
        first = await anext(aiter(visitor.events(ids[0])))
        # Between asking a vendor and keeping its answer nobody can know, and the design refunds; so wait until that is behind.
        while await database.fetchval(PAID) < len(ids):
            pass
        paid = {row["mg_generation_id"]: row["predictions"] for row in await database.fetch(STEPS)}
        await database.close()
    stopped = datetime.now(UTC)

    async with running(home, port=port) as server, tables(server) as database:
        visitor = Visitor(server, visitor.pass_id)
        runs = await asyncio.gather(*map(visitor.followed, ids))
        assert {events[-1]["__typename"] for events in runs} == {"GenerationCompleted"}
        assert max(datetime.fromisoformat(events[-1]["at"]) for events in runs) > stopped  # else nothing was in the middle
        assert runs[0][0] == first
        assert await visitor.balance() == 7
        steps = {row["mg_generation_id"]: row for row in await database.fetch(STEPS)}
    for id_ in ids:
        made = steps[id_.removeprefix("generation:")]
        assert made["done"] == ["like_history", "gpt_reader", "seedream_generate", "postscan"]
        assert made["numbers"] == list(range(len(made["numbers"])))
        assert made["predictions"] == paid[id_.removeprefix("generation:")]
