"""What these tests share with the journeys: real servers, on databases of their own."""

from tests.journeys.conftest import home, own_database, seeded

__all__ = ["home", "own_database", "seeded"]
