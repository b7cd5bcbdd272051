"""How a step asks a vendor: in its turn, within its time, and not at all for what must not be made."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mina_gql.domain.errors import AssetRejected, GenerationFailed
from mina_gql.domain.pipeline import FailureCode
from mina_gql.domain.ports import Picture, StorageError
from mina_gql.services.pipeline.work import Tools, Work

VENDOR_SECONDS = 90.0
"""The longest answer of a language model, tries included; a picture or a clip has until the generation's deadline."""

Answer = TypeVar("Answer")


async def ask(tools: Tools, role: str, vendor: str, call: Callable[[], Awaitable[Answer]]) -> Answer:
    """A language model's answer. Raises GenerationFailed PROVIDER_TIMEOUT."""
    slots = (await tools.config.role(role)).concurrency
    async with tools.gate.turn(vendor, slots):
        try:
            async with asyncio.timeout(VENDOR_SECONDS):
                return await call()
        except TimeoutError as error:
            raise GenerationFailed(FailureCode.PROVIDER_TIMEOUT, "This took too long. Please try again.") from error


async def refuse_flagged(tools: Tools, *, text: str | None = None, picture: Picture | None = None) -> None:
    """Let nothing through that the vendor's moderation flags. Raises GenerationFailed MODERATED."""
    moderator = tools.models.moderator(await tools.config.role("moderation"))
    if moderator is None or not (text or picture):
        return
    flagged = await ask(tools, "moderation", moderator.name, lambda: moderator.flagged(text=text, picture=picture))
    if flagged:
        what = "Your words ask for" if text else "The result shows"
        raise GenerationFailed(
            FailureCode.MODERATED,
            f"{what} something we do not make here. Your matcha is back; try it another way.",
            detail=f"flagged: {', '.join(flagged)}",
            retryable=False,
        )


async def picture_of(work: Work, url: str) -> Picture:
    """The bytes behind one of our URLs. Raises GenerationFailed ASSET_UNREADABLE."""
    try:
        return await work.tools.assets.read(url)
    except (AssetRejected, StorageError) as error:
        raise GenerationFailed(
            FailureCode.ASSET_UNREADABLE, "One of your pictures could not be read. Upload it again.", detail=str(error)
        ) from error
