"""What the journeys share: one embedded server for all that only look and order, and databases for servers of their own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from mina_gql.adapters.embedded_postgres import dsn_of_running
from tests.conftest import Postgres
from tests.journeys.server import Server, empty_folder, external, mina, running
from tests.journeys.visitor import Visitor

GRANT = """insert into mega_admin (mg_id, mg_record_type, mg_runtime_id, mg_runtime_flat)
           values ('runtime_config:1', 'runtime_config', 1, '{"credits.free_grant": 10, "credits.grant_every_pass": true}')"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A MINA_HOME that does not exist yet, in an empty folder."""
    with empty_folder() as folder:
        yield folder / "home"


@pytest.fixture(scope="session")
async def studio() -> AsyncIterator[Server]:
    """The embedded default as a newcomer has it, but for the limits of how often one may ask."""
    with empty_folder() as folder:
        async with running(folder / "home", MINA_RATE_LIMITS="off") as server:
            yield server


@pytest.fixture
async def visitor(studio: Server) -> Visitor:
    """Somebody who has just arrived at the studio, with ten matcha."""
    visitor = Visitor(studio)
    await visitor.arrive()
    return visitor


@pytest.fixture
async def database(studio: Server) -> AsyncIterator[asyncpg.Connection]:
    """A way to look at the studio's tables behind its back."""
    dsn = dsn_of_running(studio.home)
    assert dsn is not None
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def seeded(postgres: Postgres) -> str:
    """The name of a database that `mina migrate` has prepared and where every new Pass is given ten matcha."""
    dsn = await postgres.create_database()
    with empty_folder() as folder:
        result = await mina(folder / "home", "migrate", **external(dsn))
    assert result.code == 0, result.err
    connection = await asyncpg.connect(dsn)
    await connection.execute(GRANT)
    await connection.close()
    return urlsplit(dsn).path.removeprefix("/")


@pytest.fixture
async def own_database(postgres: Postgres, seeded: str) -> AsyncIterator[str]:
    """The DSN of a prepared database of this test's own."""
    dsn = await postgres.create_database(seeded)
    yield dsn
    await postgres.drop_database(dsn)
