"""Keyset pages on (created_at, id), newest first: one statement for each shape of page, compiled once."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

import asyncpg
from sqlalchemy import Select, asc, bindparam, desc, func, select, tuple_
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import Text

from mina_gql.mega.database import Database, Query, Timestamp

_CURSOR = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?\+00)\|([^\x00]{1,300})")


class Keyed(Protocol):
    """A read-model that can stand in a page."""

    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> Timestamp: ...


Row = TypeVar("Row", bound=Keyed)


class Cursor(NamedTuple):
    """A place between two rows: the row it stands behind."""

    created_at: Timestamp
    id: str

    @classmethod
    def of(cls, row: Keyed) -> Self:
        """The cursor of a row."""
        return cls(row.created_at, row.id)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a client's cursor. Raises ValueError for anything that `__str__` did not make."""
        found = _CURSOR.fullmatch(urlsafe_b64decode(text.encode("ascii")).decode())
        if found is None:
            raise ValueError("not a cursor")
        datetime.fromisoformat(found[1])  # a date that does not exist would be an error of the database
        cursor = cls(Timestamp(found[1]), found[2])
        if str(cursor) != text:  # base64 is read leniently
            raise ValueError("not a cursor")
        return cursor

    def __str__(self) -> str:
        return urlsafe_b64encode(f"{self.created_at}|{self.id}".encode()).decode()


class PageRequest(NamedTuple):
    """Which page: `limit` rows from the newest end, or from the oldest (`backward`), between two cursors."""

    limit: int
    backward: bool = False
    after: Cursor | None = None
    before: Cursor | None = None


class Page(NamedTuple, Generic[Row]):
    """Rows of one page, newest first whatever the direction, and whether there are more on either side."""

    rows: list[Row]
    has_next: bool
    has_previous: bool


class Pages(Generic[Row]):
    """A listing that can be read page by page.

    `statement` selects the columns of `row` in its order, without order or limit; its parameters are given at each read.
    """

    def __init__(
        self,
        statement: Select[*tuple[Any, ...]],
        row: type[Row],
        created_at: InstrumentedAttribute[Any],
        id_: InstrumentedAttribute[str],
    ) -> None:
        self._statement = statement
        self._row = row
        self._created_at = created_at
        self._id = id_
        self._queries: dict[tuple[bool, bool, bool], Query] = {}
        self._count = Query(select(func.count()).select_from(statement.with_only_columns(id_).subquery()))

    async def read(self, database: Database, page: PageRequest, **parameters: Any) -> Page[Row]:
        """One page."""
        shape = (page.backward, page.after is not None, page.before is not None)
        if shape not in self._queries:
            self._queries[shape] = self._compile(*shape)
        if page.after is not None:
            parameters |= {"after_at": page.after.created_at, "after_id": page.after.id}
        if page.before is not None:
            parameters |= {"before_at": page.before.created_at, "before_id": page.before.id}
        found = await database.fetch(self._queries[shape], page_limit=page.limit + 1, **parameters)
        return self._page(found, page)

    async def count(self, database: Database, **parameters: Any) -> int:
        """How many rows the whole listing has."""
        row = await database.fetch_one(self._count, **parameters)
        return int(row[0]) if row else 0

    def _page(self, found: list[asyncpg.Record], page: PageRequest) -> Page[Row]:
        more = len(found) > page.limit
        rows = [self._row(*record) for record in found[: page.limit]]
        if page.backward:
            rows.reverse()
            return Page(rows, page.before is not None, more)
        return Page(rows, more, page.after is not None)

    def _compile(self, backward: bool, after: bool, before: bool) -> Query:
        key = tuple_(self._created_at, self._id)
        statement = self._statement
        if after:
            statement = statement.where(key < _place("after"))
        if before:
            statement = statement.where(key > _place("before"))
        order = asc if backward else desc
        return Query(statement.order_by(order(self._created_at), order(self._id)).limit(bindparam("page_limit")))


def _place(name: str) -> Any:
    return tuple_(bindparam(f"{name}_at", type_=TIMESTAMP(timezone=True)), bindparam(f"{name}_id", type_=Text()))
