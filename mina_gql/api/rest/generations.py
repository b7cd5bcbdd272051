"""Generations by REST: stills and clips, their tweaks, and what became of one (seed 003, 6 to 8)."""

from typing import Any, TypeVar

from mina_gql.api.rest import made
from mina_gql.api.rest.made import ANSWERS
from mina_gql.api.rest.table import IDEMPOTENCY_KEY, SESSION_ID, Asks, Call, Operation, Reply, Tells
from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.generations import MotionOrder, StillOrder, TweakOrder
from mina_gql.services.generations.suggesting import SuggestionOrder

Settings = dict[str, dict[str, Any]]
"""Per provider, for example `{"seedream": {"size": "2K"}}`; unknown ones are refused."""

ORDER_HEADERS = (SESSION_ID, IDEMPOTENCY_KEY)
ORDER_REFUSALS = (402, 404, 409)


class Assets(Asks):
    """Pictures of the caller's own, by their `publicUrl`."""

    product_image_url: str | None = None
    logo_url: str | None = None
    inspiration_urls: list[str] | None = None


class Ui(Asks):
    """What is switched on in the studio."""

    vision_intelligence: bool = True


class Words(Asks):
    """What should be different, in the person's own words."""

    text: str | None = None


class GenerateAgain(Asks):
    """What makes an order a tweak: the generation it is of, and what should be different. All else is inherited then."""

    parent_generation_id: str | None = None
    feedback: Words | None = None
    session_id: str | None = None

    @property
    def tweak(self) -> tuple[str, str] | None:
        """The generation and the words, None for a new one. Raises InvalidInput for words about nothing."""
        said = (self.feedback.text if self.feedback else None) or ""
        if self.parent_generation_id:
            return self.parent_generation_id, said
        if said:
            raise InvalidInput("Say with `parentGenerationId` which picture your feedback is about.")
        return None


Again = TypeVar("Again", bound=GenerateAgain)


class GenerateStill(GenerateAgain):
    """An order for a still (seed 003, 6.1), or for a tweak of one (7.3)."""

    brief: str = ""
    style: str | None = None
    ratio: str | None = None
    assets: Assets | None = None
    settings: Settings | None = None
    ui: Ui | None = None


class GenerateMotion(GenerateAgain):
    """An order for a clip (seed 003, 8.3)."""

    input_still_url: str | None = None
    end_still_url: str | None = None
    movement_style: str | None = None
    motion_prompt: str | None = None
    ratio: str | None = None
    settings: Settings | None = None


class SuggestMotion(Asks):
    """What a suggestion is asked for (seed 003, 8.2)."""

    input_still_url: str | None = None
    movement_style: str | None = None
    user_motion_brief: str | None = None


class Suggestion(Tells):
    """A movement in plain English."""

    motion_prompt: str


class One(Asks):
    """One of the caller's own generations."""

    generation_id: str


async def still(call: Call[GenerateStill]) -> Reply:
    """Order a still or a tweak, and wait for it."""
    asked = call.asked
    if asked.tweak is not None:
        return await _tweak(call, *asked.tweak)
    assets, ui = asked.assets or Assets(), asked.ui or Ui()
    order = StillOrder(
        brief=asked.brief,
        style=asked.style,
        ratio=asked.ratio,
        product_image_url=assets.product_image_url,
        logo_image_url=assets.logo_url,
        inspiration_image_urls=tuple(assets.inspiration_urls or ()),
        settings=asked.settings,
        vision_intelligence=ui.vision_intelligence,
        session_id=_session(call),
        idempotency_key=_key(call),
    )
    await call.count("create")
    return await made.answered(call, await call.services.orders.create(call.caller, order))


async def motion(call: Call[GenerateMotion]) -> Reply:
    """Order a clip, and wait for it."""
    asked = call.asked
    if asked.tweak is not None:
        return await _tweak(call, *asked.tweak)
    order = MotionOrder(
        input_still_url=asked.input_still_url,
        end_still_url=asked.end_still_url,
        motion_prompt=asked.motion_prompt,
        movement_style=asked.movement_style,
        ratio=asked.ratio,
        settings=asked.settings,
        session_id=_session(call),
        idempotency_key=_key(call),
    )
    await call.count("create")
    return await made.answered(call, await call.services.orders.animate(call.caller, order))


async def suggest(call: Call[SuggestMotion]) -> Suggestion:
    """“Type for me”."""
    asked = call.asked
    order = SuggestionOrder(
        input_still_url=asked.input_still_url, movement_style=asked.movement_style, motion_brief=asked.user_motion_brief
    )
    await call.count("suggest")
    return Suggestion(motion_prompt=await call.services.suggestions.motion(call.caller, order))


async def one(call: Call[One]) -> Reply:
    """The answer of its order, as of now."""
    return made.reply(await call.services.generations.required(call.own.id, call.asked.generation_id), call.own.balance)


async def _tweak(call: Call[Again], generation_id: str, feedback: str) -> Reply:
    order = TweakOrder(generation_id, feedback, _session(call), _key(call))
    await call.count("create")
    return await made.answered(call, await call.services.orders.tweak(call.caller, order))


def _session(call: Call[Again]) -> str | None:
    return call.asked.session_id or call.caller.session_id


def _key(call: Call[Again]) -> str | None:
    return call.headers.get(IDEMPOTENCY_KEY)


OPERATIONS = (
    Operation(
        "POST",
        "/editorial/generate",
        "Make a still; with `parentGenerationId` and `feedback.text`, a tweak of one.",
        GenerateStill,
        still,
        ANSWERS,
        refuses=ORDER_REFUSALS,
        headers=ORDER_HEADERS,
    ),
    Operation(
        "POST",
        "/motion/suggest",
        "“Type for me”: a movement in plain English, from the picture. Costs nothing.",
        SuggestMotion,
        suggest,
        {200: Suggestion},
        refuses=(404, 409),
    ),
    Operation(
        "POST",
        "/motion/generate",
        "Make a clip of a still.",
        GenerateMotion,
        motion,
        ANSWERS,
        refuses=ORDER_REFUSALS,
        headers=ORDER_HEADERS,
    ),
    Operation(
        "GET",
        "/generations/{generationId}",
        "What became of an order: its answer as of now.",
        One,
        one,
        ANSWERS,
        refuses=(404,),
    ),
)
