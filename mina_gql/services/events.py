"""Events: what a person did, read back."""

from mina_gql.domain.pipeline import EventType
from mina_gql.mega.database import Database
from mina_gql.mega.generations import events
from mina_gql.mega.generations.events import EventRow
from mina_gql.mega.pages import Page, PageRequest


class EventService:
    """Reads the events of a Pass."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_pass(self, pass_id: str, page: PageRequest, types: list[EventType] | None) -> Page[EventRow]:
        """A page of a Pass's events, newest first; of some types only, where given."""
        if types is None:
            return await events.OF_PASS.read(self._database, page, pass_id=pass_id)
        return await events.OF_PASS_AND_TYPES.read(self._database, page, pass_id=pass_id, types=types)

    async def count_of_pass(self, pass_id: str, types: list[EventType] | None) -> int:
        """How many events a Pass has."""
        if types is None:
            return await events.OF_PASS.count(self._database, pass_id=pass_id)
        return await events.OF_PASS_AND_TYPES.count(self._database, pass_id=pass_id, types=types)

    async def by_id(self, ids: list[str]) -> dict[str, EventRow]:
        """Events by their global ids."""
        rows = [EventRow(*record) for record in await self._database.fetch(events.BY_IDS, ids=ids)]
        return {row.id: row for row in rows}
