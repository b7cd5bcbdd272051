"""Progress by REST: `GET /generations/{generationId}/stream`, the lines of one generation as server-sent events."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Literal

from pydantic import Field

from mina_gql.api.rest.made import FINAL, Failed, Made, reply
from mina_gql.api.rest.table import LAST_EVENT_ID, Asks, Call, Event, Moment, Operation, Reply, Stream, Tells
from mina_gql.domain.errors import InvalidInput, NoSuchThing
from mina_gql.services.progress import Change, Message
from mina_gql.services.progress import Event as Recorded


class Follow(Asks):
    """Which generation, and the last `id` that was seen of it."""

    generation_id: str
    after: Annotated[int, Field(ge=0, description="The last event's `id` that you saw; `Last-Event-ID` says the same.")] = 0


class Line(Tells):
    """`event: message`: a friendly line for the person who waits."""

    text: str
    stage: str
    at: Moment


class Status(Tells):
    """`event: status`: the generation went on."""

    status: Literal["queued", "scanning", "prompting", "generating", "postscan"]
    at: Moment


async def follow(call: Call[Follow]) -> Stream | Reply:
    """All that is recorded behind `after`, then what comes, to the end (`done` or `error`). Raises NotFound and InvalidInput.

    204 where all was seen: it tells an `EventSource`, which comes back whenever a stream ends, to stay away.
    """
    row = await call.services.generations.required(call.own.id, call.asked.generation_id)
    after = max(call.asked.after, _last_seen(call))
    recorded = call.services.progress.follow(row.pass_id, row.id, after)
    if row.status in FINAL:
        behind = [event async for event in recorded]
        if not behind:
            return Reply(None, 204)
        recorded = _again(behind)
    return Stream(_told(call, row.id, recorded), call.caller.login.expires_at if call.caller.login else None)


async def _told(call: Call[Follow], generation: str, recorded: AsyncIterator[Recorded]) -> AsyncGenerator[Event, None]:
    async for event in recorded:
        if isinstance(event, Message):
            yield Event(event.seq, "message", Line(text=event.text, stage=event.stage, at=event.at))
        elif not event.final:
            yield Event(event.seq, "status", Status.model_validate({"status": event.status, "at": event.at}))
        else:
            yield await _end(call, generation, event)


async def _end(call: Call[Follow], generation: str, event: Change) -> Event:
    row = (await call.services.generations.by_id([generation])).get(generation)
    if row is None:
        raise NoSuchThing("This generation was deleted.")
    owner = await call.services.passes.find(call.own.id)
    told = reply(row, (owner or call.own).balance).body
    match told:
        case Made():
            return Event(event.seq, "done", told)
        case Failed():
            return Event(event.seq, "error", told)
    raise RuntimeError(f"{generation} has ended and has not")


async def _again(events: list[Recorded]) -> AsyncIterator[Recorded]:
    for event in events:
        yield event


def _last_seen(call: Call[Follow]) -> int:
    sent = call.headers.get(LAST_EVENT_ID, "").strip()
    if not sent:
        return 0
    if not (sent.isascii() and sent.isdecimal() and len(sent) <= 9):
        raise InvalidInput("Last-Event-ID is the `id` of an event that you saw.")
    return int(sent)


OPERATIONS = (
    Operation(
        "GET",
        "/generations/{generationId}/stream",
        "Follow a generation: its lines, its statuses, its end.",
        Follow,
        follow,
        {200: None, 204: None},
        refuses=(404,),
        headers=(LAST_EVENT_ID,),
        streams=True,
    ),
)
