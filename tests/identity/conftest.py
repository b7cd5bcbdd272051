"""Identity is tested on a real PostgreSQL, without a worker."""

from collections.abc import AsyncIterator

import pytest

from tests.identity.edge import Edge, edge_on
from tests.studio import seeded, studio

__all__ = ["seeded", "studio"]


@pytest.fixture
async def edge(postgres, seeded, tmp_path) -> AsyncIterator[Edge]:
    """An edge on a database of this test's own."""
    dsn = await postgres.create_database(seeded)
    async with edge_on(tmp_path, dsn) as edge:
        yield edge
        await edge.studio.check_books()
    await postgres.drop_database(dsn)
