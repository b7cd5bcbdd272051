"""What a generation's variable map tells people: the pictures, what was seen on them, the lines."""

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.enums import GenerationStatus
from mina_gql.api.graphql.scalars import URL, DateTime
from mina_gql.mega.database import decode
from mina_gql.mega.generations.archive import GenerationRow
from mina_gql.services.progress import Message, lines_of, message_of

Answer = TypeVar("Answer")


@strawberry.type
class GenerationAssets:
    """The pictures it was made from."""

    product_image_url: URL | None
    logo_image_url: URL | None
    inspiration_image_urls: list[URL]
    input_still_url: URL | None
    end_still_url: URL | None


@strawberry.type
class Scans:
    """What MMA understood of the images."""

    product: str | None
    logo: str | None
    inspirations: list[str]
    input_still: str | None
    output_still: str | None


@strawberry.type(description="One friendly line for the person who waits: at most 140 characters, no internals.")
class UserMessage:
    """A line."""

    seq: int
    text: str
    stage: GenerationStatus
    at: DateTime


def from_vars(row: GenerationRow, info: Info, read: Callable[[dict[str, Any]], Answer]) -> Answer:
    """What `read` finds in the variable map; where a list did not read the map, it is loaded now (an awaitable then)."""
    if row.vars is not None:
        return read(decode(row.vars))
    return _loaded(row, info, read)  # type: ignore[return-value]  # graphql-core awaits it


async def _loaded(row: GenerationRow, info: Info, read: Callable[[dict[str, Any]], Answer]) -> Answer:
    whole = await info.context.loaders.generations.load(row.id)
    return read(decode(whole.vars) if whole is not None and whole.vars is not None else {})


def assets_of(vars_: dict[str, Any]) -> GenerationAssets:
    """The pictures in a variable map."""
    assets = vars_.get("assets", {})
    return GenerationAssets(
        product_image_url=assets.get("product_image_url"),
        logo_image_url=assets.get("logo_image_url"),
        inspiration_image_urls=assets.get("inspiration_image_urls", []),
        input_still_url=assets.get("input_still_url"),
        end_still_url=assets.get("end_still_url"),
    )


def scans_of(vars_: dict[str, Any]) -> Scans:
    """The captions in a variable map."""
    scans = vars_.get("scans", {})
    return Scans(
        product=scans.get("product_crt"),
        logo=scans.get("logo_crt"),
        inspirations=[caption for caption in scans.get("inspiration_crt", []) if caption],
        input_still=scans.get("input_still_crt"),
        output_still=scans.get("output_still_crt"),
    )


def lines_in(vars_: dict[str, Any]) -> list[UserMessage]:
    """The lines in a variable map, the final one included."""
    return [user_message(message_of(line)) for line in lines_of(vars_.get("userMessages", {}))]


def user_message(line: Message) -> UserMessage:
    """A recorded line as people read it."""
    return UserMessage(seq=line.seq, text=line.text, stage=GenerationStatus(line.stage.lower()), at=DateTime(line.at))
