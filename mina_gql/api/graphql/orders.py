"""Ordering generations: create, tweak, animate, retry; stopping and deleting them; suggestions."""

from collections.abc import Awaitable, Callable

import strawberry

from mina_gql.api.graphql.context import Info
from mina_gql.api.graphql.generations import Generation
from mina_gql.api.graphql.lazy import LazyPass
from mina_gql.api.graphql.nodes import shown
from mina_gql.api.graphql.scalars import JSON
from mina_gql.api.graphql.user_errors import UserError, answered
from mina_gql.domain.generations import MotionOrder, RetryOrder, StillOrder, TweakOrder
from mina_gql.services.generations import Ordered
from mina_gql.services.generations.reading import Changed
from mina_gql.services.generations.suggesting import SuggestionOrder
from mina_gql.services.passes import required


@strawberry.type
class GenerationPayload:
    """The accepted generation, or why not."""

    generation: Generation | None = None
    pass_: LazyPass | None = strawberry.field(
        name="pass", default=None, description="The caller's Pass with the balance after this call."
    )
    replayed: bool = strawberry.field(
        default=False, description="True when an earlier call with this idempotency key had made it already."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class SuggestMotionPayload:
    """A movement in plain English, or why there is none."""

    motion_prompt: str | None = None
    user_errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.input
class StillAssetsInput:
    """The pictures of a still, by the public URLs of confirmed uploads."""

    product_image_url: str | None = None
    logo_image_url: str | None = None
    inspiration_image_urls: list[str] = strawberry.field(default_factory=list)


@strawberry.input
class CreateInput:
    """An order for a still."""

    brief: str
    style: str | None = None
    ratio: str | None = None
    assets: StillAssetsInput | None = None
    settings: JSON | None = strawberry.field(
        default=None, description='Per provider, for example {"seedream": {"size": "2K"}}; unknown keys are refused.'
    )
    vision_intelligence: bool = True
    session_id: strawberry.ID | None = None
    idempotency_key: str | None = None


@strawberry.input(description="Everything but the prompt is inherited from the generation that is tweaked.")
class TweakInput:
    """An order for a tweak."""

    generation_id: strawberry.ID
    feedback: str
    session_id: strawberry.ID | None = None
    idempotency_key: str | None = None


@strawberry.input
class AnimateInput:
    """An order for a clip."""

    generation_id: strawberry.ID | None = strawberry.field(default=None, description="One of `generationId` and `inputStillUrl`.")
    input_still_url: str | None = None
    end_still_url: str | None = None
    motion_prompt: str | None = None
    movement_style: str | None = None
    type_for_me: bool = strawberry.field(default=False, description="Let MMA write the motion prompt from the picture.")
    ratio: str | None = strawberry.field(default=None, description="One of the studio's, or AUTO: the nearest to the picture's.")
    settings: JSON | None = None
    session_id: strawberry.ID | None = None
    idempotency_key: str | None = None


@strawberry.input
class SuggestMotionInput:
    """What a suggestion is asked for."""

    generation_id: strawberry.ID | None = None
    input_still_url: str | None = None
    movement_style: str | None = None
    motion_brief: str | None = None


@strawberry.type
class OrderMutations:
    """Mutations that make generations, and end them."""

    @strawberry.mutation
    async def create(self, info: Info, input: CreateInput) -> GenerationPayload | None:
        """Order a still. Answers at once with a QUEUED generation; follow it with `generationEvents`."""
        assets = input.assets or StillAssetsInput()
        order = StillOrder(
            brief=input.brief,
            style=input.style,
            ratio=input.ratio,
            product_image_url=assets.product_image_url,
            logo_image_url=assets.logo_image_url,
            inspiration_image_urls=tuple(assets.inspiration_image_urls),
            settings=input.settings,
            vision_intelligence=input.vision_intelligence,
            session_id=_session(info, input.session_id),
            idempotency_key=input.idempotency_key,
        )
        return await _ordered(info, lambda: info.context.services.orders.create(info.context.caller, order))

    @strawberry.mutation
    async def tweak(self, info: Info, input: TweakInput) -> GenerationPayload | None:
        """Order the same picture with something changed, in the person's own words. The first one stays as it is."""
        session_id = _session(info, input.session_id)
        order = TweakOrder(input.generation_id, input.feedback, session_id, input.idempotency_key)
        return await _ordered(info, lambda: info.context.services.orders.tweak(info.context.caller, order))

    @strawberry.mutation
    async def animate(self, info: Info, input: AnimateInput) -> GenerationPayload | None:
        """Order a clip of a still that was made here, or of an own picture."""
        order = MotionOrder(
            generation_id=input.generation_id,
            input_still_url=input.input_still_url,
            end_still_url=input.end_still_url,
            motion_prompt=input.motion_prompt,
            movement_style=input.movement_style,
            type_for_me=input.type_for_me,
            ratio=input.ratio,
            settings=input.settings,
            session_id=_session(info, input.session_id),
            idempotency_key=input.idempotency_key,
        )
        return await _ordered(info, lambda: info.context.services.orders.animate(info.context.caller, order))

    @strawberry.mutation
    async def retry(
        self, info: Info, generation_id: strawberry.ID, idempotency_key: str | None = None
    ) -> GenerationPayload | None:
        """Order a failed generation once more, with the same inputs."""
        order = RetryOrder(generation_id, _session(info, None), idempotency_key)
        return await _ordered(info, lambda: info.context.services.orders.retry(info.context.caller, order))

    @strawberry.mutation
    async def suggest_motion(self, info: Info, input: SuggestMotionInput) -> SuggestMotionPayload | None:
        """“Type for me”: a movement in plain English, from the picture. Makes nothing and costs nothing."""
        context = info.context
        order = SuggestionOrder(input.generation_id, input.input_still_url, input.movement_style, input.motion_brief)

        async def suggest() -> SuggestMotionPayload:
            await _count(info, "suggest")
            return SuggestMotionPayload(motion_prompt=await context.services.suggestions.motion(context.caller, order))

        return await answered(SuggestMotionPayload, suggest)

    @strawberry.mutation
    async def cancel(self, info: Info, generation_id: strawberry.ID) -> GenerationPayload | None:
        """Stop a generation that is queued or running; what it cost comes back."""
        return await _changed(lambda: info.context.services.generations.cancel(info.context.caller, generation_id))

    @strawberry.mutation(description="Take a generation out of the archive. Its ledger stays.")
    async def delete_generation(self, info: Info, id: strawberry.ID) -> GenerationPayload | None:
        return await _changed(lambda: info.context.services.generations.delete(info.context.caller, id))


def _session(info: Info, given: str | None) -> str | None:
    return given or info.context.caller.session_id


async def _count(info: Info, name: str) -> None:
    context = info.context
    runtime = await context.services.config.runtime()
    await context.services.rates.hit(name, required(context.caller), runtime.per_minute(name))


async def _ordered(info: Info, order: Callable[[], Awaitable[Ordered]]) -> GenerationPayload:
    async def accept() -> GenerationPayload:
        await _count(info, "create")
        made = await order()
        return GenerationPayload(generation=shown(made.generation), pass_=shown(made.owner), replayed=made.replayed)

    return await answered(GenerationPayload, accept)


async def _changed(change: Callable[[], Awaitable[Changed]]) -> GenerationPayload:
    async def done() -> GenerationPayload:
        changed = await change()
        return GenerationPayload(generation=shown(changed.generation), pass_=shown(changed.owner))

    return await answered(GenerationPayload, done)
