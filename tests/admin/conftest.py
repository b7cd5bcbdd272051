"""Admins are tested at the edge, with real tokens, on a real PostgreSQL, without a worker."""

from collections.abc import AsyncIterator

import pytest

from tests.admin.office import Office
from tests.identity.conftest import edge
from tests.identity.edge import Edge, Who, edge_on
from tests.studio import seeded, studio

__all__ = ["edge", "seeded", "studio"]


@pytest.fixture
def office(edge: Edge) -> Office:
    """An admin in a studio of this test's own, whose books are checked at the end."""
    return office_on(edge)


@pytest.fixture
async def unsound(postgres, seeded, tmp_path) -> AsyncIterator[Office]:
    """One whose books a test may break."""
    dsn = await postgres.create_database(seeded)
    async with edge_on(tmp_path, dsn) as edge:
        yield office_on(edge)
    await postgres.drop_database(dsn)


def office_on(edge: Edge) -> Office:
    return Office(edge, Who(token=edge.token(email="boss@mina.example", admin=True)))
