"""Connections: keyset pages as Relay has them."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Generic, TypeVar

import strawberry

from mina_gql.api.graphql.nodes import shown
from mina_gql.domain.errors import InvalidInput
from mina_gql.mega.pages import Cursor, Page, PageRequest

DEFAULT_PAGE = 20
MAX_PAGE = 100

T = TypeVar("T")

First = Annotated[int | None, strawberry.argument(description="How many, from the newest: 1 to 100, default 20.")]
After = Annotated[str | None, strawberry.argument(description="Only what is older than this cursor.")]
Last = Annotated[int | None, strawberry.argument(description="How many, from the oldest: 1 to 100.")]
Before = Annotated[str | None, strawberry.argument(description="Only what is newer than this cursor.")]


@strawberry.type
class PageInfo:
    """Where a page stands in its listing."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    """A node and the cursor behind it."""

    cursor: str
    node: T


@strawberry.type
class Connection(Generic[T]):
    """A page, newest first."""

    nodes: list[T]
    page: strawberry.Private[Page[Any]]
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field
    def edges(self) -> list[Edge[T]]:
        """The nodes with their cursors."""
        return [Edge(cursor=str(Cursor.of(row)), node=shown(row)) for row in self.page.rows]

    @strawberry.field
    def page_info(self) -> PageInfo:
        """Where this page stands."""
        rows = self.page.rows
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.has_previous,
            start_cursor=str(Cursor.of(rows[0])) if rows else None,
            end_cursor=str(Cursor.of(rows[-1])) if rows else None,
        )

    @strawberry.field
    async def total_count(self) -> int:
        """How many there are in all; costs a query, only when asked for."""
        return await self.count()


def page_request(first: int | None, after: str | None, last: int | None, before: str | None) -> PageRequest:
    """The page that the arguments ask for. Raises InvalidInput for what is out of range, or for both `first` and `last`."""
    if first is not None and last is not None:
        raise InvalidInput("Give `first` or `last`, not both.")
    for name, limit in (("first", first), ("last", last)):
        if limit is not None and not 1 <= limit <= MAX_PAGE:
            raise InvalidInput(f"`{name}` is 1 to {MAX_PAGE}.")
    return PageRequest(
        limit=first or last or DEFAULT_PAGE,
        backward=last is not None,
        after=_cursor("after", after),
        before=_cursor("before", before),
    )


def connection(page: Page[Any], count: Callable[[], Awaitable[int]]) -> Connection[T]:
    """A page as its GraphQL connection."""
    return Connection(nodes=shown(page.rows), page=page, count=count)


def _cursor(name: str, text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        return Cursor.parse(text)
    except ValueError:
        raise InvalidInput(f"`{name}` is no cursor of ours: take it from `pageInfo` or an edge.") from None
