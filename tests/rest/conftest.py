"""REST is tested over HTTP, on a real PostgreSQL, with scripted models."""

from collections.abc import AsyncIterator

import pytest

from tests.rest.rest_house import House, house_on
from tests.studio import seeded

__all__ = ["seeded"]


@pytest.fixture
async def house(postgres, seeded, tmp_path) -> AsyncIterator[House]:
    """A house of this test's own."""
    dsn = await postgres.create_database(seeded)
    async with house_on(tmp_path, dsn) as house:
        yield house
    await postgres.drop_database(dsn)
