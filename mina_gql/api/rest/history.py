"""History by REST: what was made, newest first, page by page (seed 003, 10)."""

from typing import Annotated, Literal

from pydantic import Field

from mina_gql.api.graphql.connections import DEFAULT_PAGE, MAX_PAGE
from mina_gql.api.graphql.scalars import print_datetime
from mina_gql.api.rest.table import Access, Asks, Call, Moment, Operation, Tells
from mina_gql.api.services import Services
from mina_gql.domain.archive import ArchiveFilter
from mina_gql.domain.errors import InvalidInput, NoSuchThing
from mina_gql.domain.pipeline import GenerationKind, GenerationStatus
from mina_gql.mega.generations.archive import GenerationRow
from mina_gql.mega.pages import Cursor, Page, PageRequest, Row

Limit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="How many.")]
After = Annotated[str | None, Field(description="The `nextCursor` of the page before.")]

FINISHED = ArchiveFilter(status=(GenerationStatus.DONE,))
"""An item here is a picture or clip to look at; what is being made or has failed is in the archive of GraphQL."""


class History(Asks):
    """Which page."""

    limit: Limit = DEFAULT_PAGE
    cursor: After = None


class HistoryOfPass(History):
    """Which page of whose."""

    pass_id: str


class Item(Tells):
    """Something that was made."""

    generation_id: str
    type: Literal["image", "motion"]
    output_url: str | None
    created_at: Moment


class Items(Tells):
    """A page; `nextCursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None


async def mine(call: Call[History]) -> Items:
    """A page of the caller's own."""
    return await _page(call.services, call.own.id, call.asked)


async def of_pass(call: Call[HistoryOfPass]) -> Items:
    """A page of anybody's. Raises NoSuchThing."""
    if not await call.services.passes.by_id_even_deleted([call.asked.pass_id]):
        raise NoSuchThing("There is no such Pass.")
    return await _page(call.services, call.asked.pass_id, call.asked)


async def _page(services: Services, pass_id: str, asked: History) -> Items:
    page = await services.archive.page(
        pass_id, PageRequest(asked.limit, after=cursor_behind(asked.cursor)), frozenset(), FINISHED
    )
    return Items(
        items=[_item(row) for row in page.rows],
        next_cursor=next_cursor(page),
    )


def next_cursor(page: Page[Row]) -> str | None:
    """Where the next page begins; None where there is none."""
    return str(Cursor.of(page.rows[-1])) if page.has_next else None


def cursor_behind(text: str | None) -> Cursor | None:
    """The place a client names. Raises InvalidInput."""
    if not text:
        return None
    try:
        return Cursor.parse(text)
    except ValueError:
        raise InvalidInput("`cursor` is no cursor of ours: take it from `nextCursor`.") from None


def _item(row: GenerationRow) -> Item:
    return Item(
        generation_id=row.generation_id,
        type="motion" if row.kind == GenerationKind.VIDEO else "image",
        output_url=row.output_url,
        created_at=print_datetime(row.created_at),
    )


OPERATIONS = (
    Operation("GET", "/history", "What the caller has made, newest first.", History, mine, {200: Items}),
    Operation(
        "GET",
        "/history/pass/{passId}",
        "What a Pass has made; for admins. The one address with a Pass ID in it, which is kept out of logs.",
        HistoryOfPass,
        of_pass,
        {200: Items},
        access=Access.ADMIN,
        refuses=(404,),
        tag="admin",
    ),
)
