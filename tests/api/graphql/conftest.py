"""The GraphQL layer is tested on its engine and a real PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from mina_gql.api.graphql import schema
from mina_gql.api.graphql.engine import Engine
from tests.api.graphql.graphql_world import Api, World, make_world
from tests.studio import opened, seeded, studio

__all__ = ["seeded", "studio"]


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine(schema.build())


@pytest.fixture
async def api(studio, engine) -> Api:
    """On a database of this test's own."""
    return Api(studio, engine)


@pytest.fixture(scope="module")
async def world(postgres, seeded, tmp_path_factory, engine) -> AsyncIterator[World]:
    """One for all tests of a module, which leave it as it is."""
    dsn = await postgres.create_database(seeded)
    async with opened(tmp_path_factory.mktemp("world"), dsn) as studio:
        yield await make_world(Api(studio, engine))
    await postgres.drop_database(dsn)
