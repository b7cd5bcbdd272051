"""How a generation is answered: when it is done, while it is made, and when it has failed."""

from collections.abc import Mapping
from typing import Literal

import structlog

from mina_gql.api.rest.table import A, Call, Fault, Reply, Tells
from mina_gql.domain.pipeline import FailureCode, GenerationStatus
from mina_gql.mega.database import DatabaseAway, decode
from mina_gql.mega.generations.archive import GenerationRow
from mina_gql.services.generations import Ordered

NOT_MADE = 422
"""A generation that failed. Its order was right, so it is no 400, and none of our faults, so no client or proxy should send it
again by itself, as some do after a 5xx. Not 200 either: the old frontend takes all that is `ok` for a picture, and shows
“Error → Retry” (seed 003, 14) for the rest."""
UNDER_WAY = 202
log = structlog.get_logger(__name__)

FINAL = {GenerationStatus.DONE, GenerationStatus.ERROR}


class Made(Tells):
    """A picture or clip that is done (seed 003, 6 to 8); `creditsAfter` is the balance after it."""

    generation_id: str
    status: Literal["done"] = "done"
    user_message: str | None
    output_url: str | None
    credits_after: int


class Started(Tells):
    """Accepted and paid for, and not done yet: follow `streamUrl`, or ask `GET /generations/{generationId}`."""

    generation_id: str
    status: Literal["queued", "scanning", "prompting", "generating", "postscan"]
    stream_url: str
    credits_after: int


class Failure(Fault):
    """Why it could not be made."""

    retryable: bool
    refunded: bool


class Failed(Tells):
    """It could not be made, and its price was given back."""

    ok: Literal[False] = False
    error: Failure
    generation_id: str
    status: Literal["error"] = "error"
    credits_after: int


ANSWERS: Mapping[int, type[Tells] | None] = {200: Made, UNDER_WAY: Started, NOT_MADE: Failed}


async def answered(call: Call[A], ordered: Ordered) -> Reply:
    """What an order answers: its end, where that comes in time, else where to follow it."""
    seconds = (await call.services.config.runtime()).rest_wait_seconds
    row, owner = ordered.generation, ordered.owner
    if row.status not in FINAL and seconds > 0:
        try:
            if await call.waiting.for_(_end(call, row), seconds):
                # Merged away meanwhile, it is no longer this Pass's to look at; accepted it was.
                row = await call.services.generations.own(owner.id, row.id) or row
                owner = await call.services.passes.find(owner.id) or owner
        except DatabaseAway:
            # It was accepted: told to try again, somebody would order it twice.
            log.warning("rest: an order is answered before its end, the database is away", generation=row.id)
    return reply(row, owner.balance)


def reply(row: GenerationRow, balance: int) -> Reply:
    """Done, under way or failed: with its status."""
    where = f"/generations/{row.generation_id}"
    if row.status == GenerationStatus.DONE:
        made = Made(
            generation_id=row.generation_id, user_message=_final_line(row), output_url=row.output_url, credits_after=balance
        )
        return Reply(made)
    if row.status == GenerationStatus.ERROR:
        failed = Failed(error=_failure(row), generation_id=row.generation_id, credits_after=balance)
        return Reply(failed, NOT_MADE)
    started = Started.model_validate(
        {
            "generation_id": row.generation_id,
            "status": row.status,
            "stream_url": f"{where}/stream",
            "credits_after": balance,
        }
    )
    return Reply(started, UNDER_WAY, {"Location": where})


async def _end(call: Call[A], generation: GenerationRow) -> None:
    """Returns when it has ended."""
    async for _ in call.services.progress.follow(generation.pass_id, generation.id, 0):
        pass


def _final_line(row: GenerationRow) -> str | None:
    line = (decode(row.vars) or {}).get("userMessages", {}).get("final_line") or {}
    text: str | None = line.get("text")
    return text


def _failure(row: GenerationRow) -> Failure:
    """What people are told; rows from before MMA have a code at most."""
    told = decode(row.failure) or {}
    return Failure(
        code=row.error if row.error in FailureCode.__members__ else FailureCode.INTERNAL,
        message=told.get("message", "This picture could not be made."),
        retryable=told.get("retryable", True),
        refunded=told.get("refunded", False),
    )
