"""What tests share: one PostgreSQL a run, one migrated template, and a fresh clone of it for each test that asks."""

import os
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from mina_gql.adapters import embedded_postgres
from mina_gql.mega.migrations import migrate

# A developer's own keys are none of the tests': vendors are played, never asked.
for key in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "REPLICATE_API_TOKEN", "REPLICATE_BASE_URL"):
    os.environ.pop(key, None)

# Nothing of a test run must survive a power cut, so it need not wait for the disk.
FORGETFUL = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postgres:
    """The run's server. `dsn` is its maintenance database, which stays as it is."""

    def __init__(self, dsn: str, admin: asyncpg.Connection) -> None:
        self.dsn = dsn
        self._admin = admin

    async def create_database(self, template: str | None = None) -> str:
        """A new database, empty or a clone of the one named `template` (nobody may be connected to that); its DSN."""
        name = f"test_{uuid4().hex}"
        await self._admin.execute(f"create database {name} template {template or 'template0'}")
        return urlsplit(self.dsn)._replace(path=f"/{name}", query="").geturl()  # plain, so SQLAlchemy takes it too

    async def drop_database(self, dsn: str) -> None:
        """Drop a database with whoever is still connected."""
        await self._admin.execute(f"drop database if exists {name_of(dsn)} with (force)")


def name_of(dsn: str) -> str:
    """The database a DSN leads to."""
    return urlsplit(dsn).path.removeprefix("/")


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[Postgres]:
    """A PostgreSQL of this run's own."""
    # Not pytest's temporary directory: where we are root, the server's account could not enter it.
    with tempfile.TemporaryDirectory(prefix="mina-tests-") as home:
        server = await embedded_postgres.start(Path(home), settings=FORGETFUL)
        try:
            admin = await asyncpg.connect(server.dsn)
            yield Postgres(server.dsn, admin)
            await admin.close()
        finally:
            await server.stop()


@pytest.fixture(scope="session")
async def template(postgres: Postgres) -> str:
    """The name of a migrated database, to be cloned and never connected to."""
    dsn = await postgres.create_database()
    await migrate(dsn)
    return name_of(dsn)


@pytest.fixture
async def database_dsn(postgres: Postgres, template: str) -> AsyncIterator[str]:
    """A migrated database of this test's own."""
    dsn = await postgres.create_database(template)
    yield dsn
    await postgres.drop_database(dsn)


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
