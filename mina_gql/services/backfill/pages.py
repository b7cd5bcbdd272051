"""Legacy rows page by page, read and mapped while the page before is written. What stands in MEGA is not mapped again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mina_gql.domain.backfill import TABLES, LegacyRow, Unreadable
from mina_gql.domain.backfill.values import row_id
from mina_gql.mega.backfill import LEDGER, FoundTable, LegacySource, Standing, Target

Mapped = TypeVar("Mapped")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class LegacyPage(Generic[Mapped]):
    """A page of a table: rows with what they become, those that stand in MEGA by their ids, why others (ids) cannot be read."""

    count: int
    rows: list[tuple[LegacyRow, Mapped]]
    standing: dict[str, Standing]
    unreadable: list[tuple[str, str]]


class LegacyPages:
    """Reads legacy tables."""

    def __init__(self, source: LegacySource, target: Target) -> None:
        self._source = source
        self._target = target

    def mapped(
        self, table: FoundTable, mapping: Callable[[LegacyRow], Mapped], *, in_ledger: bool = False
    ) -> AsyncIterator[LegacyPage[Mapped]]:
        """The pages of a table; of one that goes `in_ledger`, without the rows that stand there."""
        return _ahead(self._pages(table, mapping, in_ledger=in_ledger))

    async def _pages(
        self, table: FoundTable, mapping: Callable[[LegacyRow], Mapped], *, in_ledger: bool
    ) -> AsyncIterator[LegacyPage[Mapped]]:
        record_type = TABLES[table.name].record_type
        async for page in self._source.pages(table):
            ids = [row_id(record_type, key) for key, _ in page] if in_ledger else []
            standing = await self._target.present(LEDGER, ids) if ids else {}
            rows: list[tuple[LegacyRow, Mapped]] = []
            unreadable: list[tuple[str, str]] = []
            for n, (key, text) in enumerate(page):
                if ids and ids[n] in standing:
                    continue
                try:
                    row = LegacyRow.read(table.name, key, text)
                except Unreadable as error:
                    unreadable.append((str(error), row_id(record_type, key)))
                else:
                    rows.append((row, mapping(row)))
            yield LegacyPage(len(page), rows, standing, unreadable)


async def _ahead(items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """Items as they come, one of them fetched ahead."""

    async def following() -> Item | None:
        return await anext(items, None)

    coming = asyncio.create_task(following())
    try:
        while (item := await coming) is not None:
            coming = asyncio.create_task(following())
            yield item
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
