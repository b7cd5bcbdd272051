"""What happens to one generation while it is made: lines, statuses, the end."""

from collections.abc import AsyncIterator
from typing import Any

import strawberry
from graphql import GraphQLAbstractType, GraphQLResolveInfo

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.enums import GenerationStatus
from mina_gql.api.graphql.generations import Generation, GenerationFailure, failure_of
from mina_gql.api.graphql.nodes import shown
from mina_gql.api.graphql.scalars import DateTime
from mina_gql.api.graphql.variables import UserMessage, user_message
from mina_gql.domain.errors import InvalidInput, NoSuchThing
from mina_gql.domain.pipeline import bare_id, generation_mg_id
from mina_gql.mega.database import DatabaseAway
from mina_gql.services.passes import required
from mina_gql.services.progress import Event, Message


@strawberry.interface
class GenerationEvent:
    """Something that happened, recorded under the generation's next `seq`."""

    seq: int
    at: DateTime
    generation_id: strawberry.ID

    @classmethod
    def resolve_type(cls, value: object, info: GraphQLResolveInfo[Any], kind: GraphQLAbstractType) -> str:  # noqa: ARG003
        """The GraphQL type of an event."""
        return type(value).__name__


@strawberry.type
class UserMessageAdded(GenerationEvent):
    """A friendly line for the person who waits."""

    message: UserMessage


@strawberry.type
class StatusChanged(GenerationEvent):
    """The generation went on."""

    status: GenerationStatus

    @strawberry.field
    async def eta_seconds(self, info: Info) -> int | None:
        """Seconds still to go, as of now; null when it has ended meanwhile."""
        try:
            found = await info.context.loaders.estimates.load(self.generation_id)
        except DatabaseAway:  # an estimate is no reason to break a stream
            return None
        return None if found is None else found.eta_seconds


@strawberry.type
class GenerationCompleted(GenerationEvent):
    """The end: it is DONE."""

    generation: Generation


@strawberry.type
class GenerationFailed(GenerationEvent):
    """The end: it is in ERROR, and what it cost was given back."""

    generation: Generation
    failure: GenerationFailure


EVENT_TYPES = (UserMessageAdded, StatusChanged, GenerationCompleted, GenerationFailed)


@strawberry.type
class ProgressSubscriptions:
    """Subscriptions to a generation."""

    @strawberry.subscription(
        description=(
            "What happens to one generation: first everything with `seq > afterSeq` that was recorded already, then live, "
            "each exactly once and in order; completes after Completed or Failed. After a dropped connection, ask again "
            "with the last `seq` seen."
        )
    )
    async def generation_events(
        self, info: Info, generation_id: strawberry.ID, after_seq: int = 0
    ) -> AsyncIterator[GenerationEvent]:
        context = info.context
        pass_id = required(context.caller)
        if after_seq < 0:
            raise InvalidInput("`afterSeq` is 0 or the last `seq` you saw.")
        async for event in context.services.progress.follow(pass_id, generation_id, after_seq):
            yield await _shown(info, generation_mg_id(bare_id("generation", generation_id)), event)


async def _shown(info: Info, generation: str, event: Event) -> GenerationEvent:
    where: dict[str, Any] = {"seq": event.seq, "at": DateTime(event.at), "generation_id": strawberry.ID(generation)}
    if isinstance(event, Message):
        return UserMessageAdded(**where, message=user_message(event))
    if not event.final:
        return StatusChanged(**where, status=event.status)
    row = (await info.context.services.generations.by_id([generation])).get(generation)
    if row is None:
        raise NoSuchThing("This generation was deleted.")
    failure = failure_of(row)
    if failure is not None:
        return GenerationFailed(**where, generation=shown(row), failure=failure)
    return GenerationCompleted(**where, generation=shown(row))
