"""Taste: what a person likes and why we think so, and the ways to say it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import strawberry
from strawberry import Parent

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.events import MmaEvent
from mina_gql.api.graphql.generations import Generation
from mina_gql.api.graphql.lazy import LazyPass
from mina_gql.api.graphql.nodes import shown
from mina_gql.api.graphql.passes import PassPayload
from mina_gql.api.graphql.scalars import DateTime
from mina_gql.api.graphql.user_errors import UserError, answered
from mina_gql.domain.errors import InvalidInput
from mina_gql.mega.customers import PassRow
from mina_gql.services import taste
from mina_gql.services.passes import required
from mina_gql.services.signals import Told

MAX_REASONS = 20

FirstReasons = Annotated[int | None, strawberry.argument(description=f"How many: 1 to {MAX_REASONS}.")]


@strawberry.type
class TagWeight:
    """How much a tag is liked, -10 to 10; below 0: disliked; -999: a hard block."""

    tag: str
    weight: float

    @strawberry.field(description="The events that moved this weight, newest first.")
    async def because(root: Parent[taste.TagWeight], info: Info, first: FirstReasons = 5) -> list[MmaEvent]:
        limit = 5 if first is None else first
        if not 1 <= limit <= MAX_REASONS:
            raise InvalidInput(f"`first` is 1 to {MAX_REASONS}.")
        reasons = await info.context.loaders.reasons.load(root.pass_id)
        return shown(reasons.because(root.tag)[:limit] if reasons is not None else [])


@strawberry.type
class Preferences:
    """Learned taste: hard blocks and tag weights, rebuilt from events alone."""

    hard_blocks: list[str]
    tag_weights: list[TagWeight]
    updated_at: DateTime | None
    source: str | None


@strawberry.type
class EventPayload:
    """What was noted, what it is about and the caller's Pass after it, or why not."""

    event: MmaEvent | None = strawberry.field(
        default=None, description="The event that stands; null where there was nothing to take back."
    )
    generation: Generation | None = None
    pass_: LazyPass | None = strawberry.field(name="pass", default=None)
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.input
class LikeInput:
    """What is liked or disliked, or not any more."""

    generation_id: strawberry.ID
    value: bool = True
    context: str | None = strawberry.field(default=None, description="Where in the studio, at most 200 characters are kept.")


@strawberry.input
class SetPreferenceInput:
    """A tag and how much it is liked, or that it must never be."""

    tag: str
    weight: float | None = strawberry.field(default=None, description="-10 to 10.")
    hard_block: bool | None = strawberry.field(default=None, description="true: never; false alone lifts a block.")


@strawberry.type
class TasteMutations:
    """Mutations of taste."""

    @strawberry.mutation(description="Like (`value: true`) or take a like back (`value: false`).")
    async def like(self, info: Info, input: LikeInput) -> EventPayload | None:
        signals, caller = info.context.services.signals, info.context.caller
        return await _told(info, lambda: signals.like(caller, input.generation_id, value=input.value, context=input.context))

    @strawberry.mutation
    async def dislike(self, info: Info, input: LikeInput) -> EventPayload | None:
        """Dislike (`value: true`) or take a dislike back (`value: false`)."""
        signals, caller = info.context.services.signals, info.context.caller
        return await _told(info, lambda: signals.dislike(caller, input.generation_id, value=input.value, context=input.context))

    @strawberry.mutation
    async def record_download(self, info: Info, generation_id: strawberry.ID, context: str | None = None) -> EventPayload | None:
        """Note that a picture or clip was downloaded."""
        signals, caller = info.context.services.signals, info.context.caller
        return await _told(info, lambda: signals.record_download(caller, generation_id, context=context))

    @strawberry.mutation(description="Send words about a picture or video; makes nothing and costs nothing.")
    async def send_feedback(
        self, info: Info, generation_id: strawberry.ID, text: str, context: str | None = None
    ) -> EventPayload | None:
        signals, caller = info.context.services.signals, info.context.caller
        return await _told(info, lambda: signals.send_feedback(caller, generation_id, text, context=context))

    @strawberry.mutation
    async def set_preference(self, info: Info, input: SetPreferenceInput) -> PassPayload | None:
        """Set how much a tag is liked, or block it. It stands until it is cleared, whatever is liked meanwhile."""
        signals, caller = info.context.services.signals, info.context.caller
        return await _preferred(info, lambda: signals.set_preference(caller, input.tag, input.weight, input.hard_block))

    @strawberry.mutation
    async def clear_preference(self, info: Info, tag: str) -> PassPayload | None:
        """Forget what was set for a tag; what was learned of it counts again."""
        signals, caller = info.context.services.signals, info.context.caller
        return await _preferred(info, lambda: signals.clear_preference(caller, tag))

    @strawberry.mutation
    async def reset_preferences(self, info: Info) -> PassPayload | None:
        """Forget everything learned and set so far. Likes keep their mark in the archive."""
        signals, caller = info.context.services.signals, info.context.caller
        return await _preferred(info, lambda: signals.reset_preferences(caller))


async def _told(info: Info, say: Callable[[], Awaitable[Told]]) -> EventPayload:
    async def work() -> EventPayload:
        await _count(info)
        told = await say()
        info.context.forget()
        return EventPayload(event=shown(told.event), generation=shown(told.generation), pass_=shown(told.owner))

    return await answered(EventPayload, work)


async def _preferred(info: Info, say: Callable[[], Awaitable[PassRow]]) -> PassPayload:
    async def work() -> PassPayload:
        await _count(info)
        owner = await say()
        info.context.forget()
        return PassPayload(pass_=shown(owner))

    return await answered(PassPayload, work)


async def _count(info: Info) -> None:
    services = info.context.services
    runtime = await services.config.runtime()
    await services.rates.hit("signals", required(info.context.caller), runtime.per_minute("signals"))
