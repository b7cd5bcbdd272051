"""“Type for me”: a movement suggested from the picture, for nothing (seed 003, 8.2)."""

from dataclasses import dataclass

from mina_gql.domain.errors import Conflict, GenerationFailed, ImageRequired, NotFound
from mina_gql.domain.generations import MotionOrder, movement_style, one_still, words
from mina_gql.domain.passes import Caller
from mina_gql.domain.pipeline import GenerationStatus, plain_text
from mina_gql.domain.ports import CaptionRequest
from mina_gql.services.generations.pictures import StillToAnimate, still_to_animate
from mina_gql.services.generations.reading import GenerationService
from mina_gql.services.passes import required
from mina_gql.services.pipeline.steps.asking import ask, refuse_flagged
from mina_gql.services.pipeline.steps.words import as_text, motion_parts, request_for, written_by
from mina_gql.services.pipeline.work import Tools

SUGGESTION_CHARS = 500


@dataclass(frozen=True, slots=True)
class SuggestionOrder:
    """What a person asks a suggestion for: a still made here or a picture of theirs, and what they have in mind."""

    generation_id: str | None = None
    input_still_url: str | None = None
    movement_style: str | None = None
    motion_brief: str | None = None


class SuggestionService:
    """Writes movements in plain English; nothing is recorded and nothing is charged."""

    def __init__(self, tools: Tools, generations: GenerationService) -> None:
        self._tools = tools
        self._generations = generations

    async def motion(self, caller: Caller, order: SuggestionOrder) -> str:
        """A movement for a still.

        Raises ImageRequired, InvalidInput, NotFound, AssetNotOurs, ProviderNotConfigured, and Conflict when none came.
        """
        pass_id = required(caller)
        style = movement_style(order.movement_style)
        brief = words(order.motion_brief or "", ["input", "motionBrief"])
        still = await self._still(caller, pass_id, order)
        try:
            await refuse_flagged(self._tools, text=brief)
            caption = still.caption or await self._look(still.url)
            return await self._write(pass_id, caption, style, brief)
        except GenerationFailed as error:
            raise Conflict("No suggestion came this time. Try again, or write your own.") from error

    async def _still(self, caller: Caller, pass_id: str, order: SuggestionOrder) -> StillToAnimate:
        generation_id, still_url = one_still(order.generation_id, order.input_still_url)
        parent = None
        if generation_id is not None:
            parent = await self._generations.own(pass_id, generation_id)
            if parent is None:
                raise NotFound("There is no such generation.", ["input", "generationId"])
            if parent.status != GenerationStatus.DONE or parent.output_url is None:
                raise ImageRequired("This picture is not finished yet.", ["input", "generationId"])
        named = MotionOrder(generation_id, still_url)
        return await still_to_animate(self._tools.assets, self._generations, caller, named, parent)

    async def _look(self, url: str) -> str:
        tools = self._tools
        vision = tools.models.vision(await tools.config.role("vision"))
        context = await tools.config.context("gpt_scanner")
        prompt = context.render({"subject": "input_still"})
        request = CaptionRequest(await tools.assets.read(url), url, "input_still", context.system, prompt)
        return plain_text((await ask(tools, "vision", vision.name, lambda: vision.caption(request))).text)

    async def _write(self, pass_id: str, caption: str, style: str | None, brief: str) -> str:
        tools = self._tools
        context = await tools.config.context("motion_suggestion")
        blocks = await tools.taste.blocks(pass_id)
        parts = motion_parts(caption, style, brief, blocks)
        prompt = context.render({name: as_text(part) for name, part in parts.items()})
        written = await written_by(tools, request_for("motion_suggestion", context, prompt, parts))
        said = plain_text(written.value["clean_prompt"])
        for block in blocks:  # every run adds them by itself: in the person's own words they would only be in the way
            said = said.replace(f" Avoid: {block}.", "")
        return said[:SUGGESTION_CHARS]
