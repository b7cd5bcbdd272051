"""The checklist is tested on a real PostgreSQL, without a worker: at the services, and at the GraphQL engine over them."""

from collections.abc import AsyncIterator

import pytest

from mina_gql.api.graphql.engine import Engine
from tests.api.graphql.conftest import engine
from tests.api.graphql.graphql_world import Api
from tests.identity.conftest import edge
from tests.services.pipeline_workshop import Workshop, workshop_fixture
from tests.studio import Studio, seeded, studio

__all__ = ["edge", "engine", "seeded", "studio", "workshop_fixture"]


@pytest.fixture
async def api(studio: Studio, engine: Engine) -> Api:
    """GraphQL over a studio with the offline vendors."""
    return Api(studio, engine)


@pytest.fixture
async def bench(workshop: Workshop, engine: Engine) -> AsyncIterator[Api]:
    """GraphQL over a workshop, whose models do as a test says; `bench.studio` is the workshop."""
    yield Api(workshop, engine)
