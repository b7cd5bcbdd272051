"""The pipelines as tuples of stages, and what each step does (seed 003, section 6; step types: DESIGN section 6)."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from mina_gql.domain.assets import EXTENSIONS, OUTPUTS
from mina_gql.domain.errors import AssetRejected, GenerationFailed
from mina_gql.domain.passes import owner_tag
from mina_gql.domain.pipeline import FailureCode, GenerationStatus, friendly_line, plain_text
from mina_gql.domain.ports import CaptionRequest, MediaRequest, Picture, StorageError, Usage, WriteRequest
from mina_gql.services.pipeline.lines import line_for
from mina_gql.services.pipeline.work import Call, Outcome, PaidCall, Patches, Work
from mina_gql.services.taste import window_of

CAPTION_CHARS = 2_000
PROMPT_CHARS = 4_000

PROMPT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["clean_prompt", "userMessage_final"],
    "properties": {
        "clean_prompt": {"type": "string", "minLength": 1, "maxLength": PROMPT_CHARS},
        "userMessage_final": {"type": "string"},
    },
}
"""What a prompt writer must answer: a prompt for the image model and one friendly line."""

Plan = Callable[[Work], Awaitable[list[Call]]]


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps that run at the same time under one status. Each plan gives the calls its inputs need: none, where there are none."""

    status: GenerationStatus
    plans: tuple[Plan, ...]


# ---------------------------------------------------------------- looking


async def scan_product(work: Work) -> list[Call]:
    """`scan_product` -> `scans.product_crt`, where there is a product picture."""
    url = work.vars["assets"]["product_image_url"]
    return [await _scan(work, "scan_product", "product", url, ("scans", "product_crt"))] if url else []


async def scan_logo(work: Work) -> list[Call]:
    """`scan_logo` -> `scans.logo_crt`, where there is a logo."""
    url = work.vars["assets"]["logo_image_url"]
    return [await _scan(work, "scan_logo", "logo", url, ("scans", "logo_crt"))] if url else []


async def scan_inspiration(work: Work) -> list[Call]:
    """`scan_inspiration`, one for each picture -> `scans.inspiration_crt[]`, in order."""
    return [
        await _scan(work, "scan_inspiration", "inspiration", url, ("scans", "inspiration_crt", str(index)), index=index)
        for index, url in enumerate(work.vars["assets"]["inspiration_image_urls"])
    ]


async def postscan(work: Work) -> list[Call]:
    """`postscan` of the output -> `scans.output_still_crt`; the generation stands without it."""
    url = work.vars["outputs"]["url"]
    return [await _scan(work, "postscan", "output_still", url, ("scans", "output_still_crt"), with_line=False)]


async def _scan(
    work: Work,
    step_type: str,
    subject: str,
    url: str,
    place: tuple[str, ...],
    *,
    index: int = 0,
    with_line: bool = True,
) -> Call:
    tools = work.tools
    vision = tools.models.vision()
    context = await tools.config.context("gpt_scanner")
    own_line = line_for(step_type, work.generation, index) if with_line else None

    async def look(_: PaidCall) -> Outcome:
        picture = await _picture(work, url)
        digest = hashlib.sha256(picture.data).hexdigest()
        seen = step_type, digest
        async with work.looking[seen]:
            known = work.seen.get(seen) or await tools.taste.known_caption(work.claim.pass_id, step_type, digest, context.id)
            if known is not None:
                output = {"crt": known, "sha256": digest, "cached": True}
                return Outcome(output, {place: known}, own_line, Usage(vision.model, 0, 0, 0, 0), vision.name, vision.model)
            caption = await vision.caption(
                CaptionRequest(picture, url, subject, context.system, context.render({"subject": subject}))
            )
            text = plain_text(caption.text)[:CAPTION_CHARS]
            if not text:
                raise GenerationFailed(FailureCode.BAD_MODEL_OUTPUT, "The picture could not be described.")
            work.seen[seen] = text
        line = (friendly_line(caption.line) or own_line) if with_line else None
        output = {"crt": text, "sha256": digest, "cached": False, "userMessage": line}
        return Outcome(output, {place: text}, line, caption.usage, vision.name, caption.usage.model)

    input_ = {"assets": {subject: url}, "index": index}
    return Call(step_type, input_, look, index, False, vision.name, vision.model, context)


async def _picture(work: Work, url: str) -> Picture:
    try:
        return await work.tools.assets.read(url)
    except (AssetRejected, StorageError) as error:
        raise GenerationFailed(
            FailureCode.ASSET_UNREADABLE, "One of your pictures could not be read. Upload it again.", detail=str(error)
        ) from error


# ---------------------------------------------------------------- taste and words


async def like_history(work: Work) -> list[Call]:
    """`like_history` -> `history.style_history_csv`; always runs."""

    async def recall(_: PaidCall) -> Outcome:
        history = await work.tools.taste.history(work.claim.pass_id, vision_intelligence=vision_intelligence)
        csv = history.style_history_csv
        output = {
            "window": history.window,
            "pictures": history.pictures,
            "prompts": history.prompts,
            "style_history_csv": csv,
            "hard_blocks": history.hard_blocks,
            "tag_weights": history.tag_weights,
        }
        patches: Patches = {
            ("history", "style_history_csv"): csv,
            ("history", "hard_blocks"): history.hard_blocks,
            ("history", "tag_weights"): history.tag_weights,
        }
        return Outcome(output, patches)

    vision_intelligence = bool(work.vars["history"]["vision_intelligence"])
    input_ = {"vision_intelligence": vision_intelligence, "window": window_of(vision_intelligence=vision_intelligence)}
    return [Call("like_history", input_, recall)]


async def gpt_reader(work: Work) -> list[Call]:
    """`gpt_reader`: captions, brief, style and taste -> `prompts.clean_prompt` and the final line."""
    scans, inputs, history = work.vars["scans"], work.vars["inputs"], work.vars["history"]
    parts = {
        "product_crt": scans["product_crt"],
        "logo_crt": scans["logo_crt"],
        "inspiration_crt": [caption for caption in scans["inspiration_crt"] if caption],
        "brief": inputs["brief"],
        "style": inputs["style"],
        "ratio": inputs["ratio"],
        "style_history_csv": history["style_history_csv"] or "",
        "hard_blocks": history.get("hard_blocks", []),
        "tag_weights": history.get("tag_weights", {}),
    }
    return [await _write(work, "gpt_reader", parts)]


async def _write(work: Work, task: str, parts: dict[str, Any]) -> Call:
    writer = work.tools.models.writer()
    context = await work.tools.config.context(task)
    prompt = context.render({name: _as_text(part) for name, part in parts.items()})

    async def write(_: PaidCall) -> Outcome:
        request = WriteRequest(task, context.system, prompt, parts, PROMPT_SCHEMA)
        written = await writer.write(request)
        if not _follows_schema(written.value):  # one repair try (FEATURES I2)
            written = await writer.write(request)
        if not _follows_schema(written.value):
            raise GenerationFailed(FailureCode.BAD_MODEL_OUTPUT, "The picture could not be planned. Please try again.")
        clean = plain_text(written.value["clean_prompt"])
        final = friendly_line(written.value["userMessage_final"]) or line_for(GenerationStatus.DONE, work.generation)
        output = {"clean_prompt": clean, "userMessage_final": final}
        patches: Patches = {("prompts", "clean_prompt"): clean, ("prompts", "userMessage_final"): final}
        return Outcome(output, patches, None, written.usage, writer.name, written.usage.model)

    return Call(task, {"input_gpt_reader": prompt, "parts": parts}, write, 0, True, writer.name, writer.model, context)


def _follows_schema(value: object) -> bool:
    return Draft202012Validator(PROMPT_SCHEMA).is_valid(value)


def _as_text(part: object) -> str:
    if part is None:
        return "none"
    if isinstance(part, list):
        return "; ".join(map(str, part)) or "none"
    if isinstance(part, dict):
        return ", ".join(f"{name} {weight:+g}" for name, weight in part.items()) or "none"
    return str(part) or "none"


# ---------------------------------------------------------------- making


async def still_generate(work: Work) -> list[Call]:
    """`<provider>_generate`: the paid call. Its output is in our store before the step succeeds."""
    tools = work.tools
    role = await tools.config.role("still")
    provider = next(iter(work.vars["settings"]), role.provider)
    model = tools.models.still(provider)
    settings = work.vars["settings"].get(provider, {})
    sent = {name: value for name, value in settings.items() if name not in role.stored_only}
    slots = _slots(work.vars["assets"])

    async def generate(call: PaidCall) -> Outcome:
        pictures = {slot: await _picture(work, url) for slot, url in slots.items()}
        request = MediaRequest(
            work.generation, work.vars["prompts"]["clean_prompt"], work.vars["inputs"]["ratio"], sent, pictures, slots
        )
        if call.prediction_id is None:
            await call.sent()
        media = await model.generate(request, prediction_id=call.prediction_id, accepted=call.accepted)
        key = _output_key(work, EXTENSIONS[media.content_type])
        await tools.store.write(key, media.data, media.content_type)
        url = tools.store.public_url(key)
        outputs = {
            "url": url,
            "key": key,
            "content_type": media.content_type,
            "width": media.width,
            "height": media.height,
            "bytes": len(media.data),
            "provider": model.name,
            "model": model.model,
        }
        output = {"request": media.request, "response": media.response, "output_url": url}
        patches: Patches = {("outputs", name): value for name, value in outputs.items()}
        return Outcome(output, patches, None, None, model.name, model.model, url, key)

    input_ = {"prompt": work.vars["prompts"]["clean_prompt"], "settings": settings, "sent": sent, "assets": slots}
    return [Call(f"{provider}_generate", input_, generate, provider=model.name, model=model.model, timeout=None)]


def _slots(assets: dict[str, Any]) -> dict[str, str]:
    """The pictures of an order by slot: product, logo, inspiration_0, …"""
    named = {"product": assets["product_image_url"], "logo": assets["logo_image_url"]}
    inspirations = {f"inspiration_{index}": url for index, url in enumerate(assets["inspiration_image_urls"])}
    return {slot: url for slot, url in (named | inspirations).items() if url}


def _output_key(work: Work, extension: str) -> str:
    """Unguessable, and the same when a run is resumed: a keyed hash of the generation."""
    secret = work.tools.secret
    name = hmac.new(secret, b"output\n" + work.generation.encode(), hashlib.sha256).hexdigest()[:32]
    return f"{OUTPUTS}/{owner_tag(work.claim.pass_id, secret)}/{name}.{extension}"


STILL = (
    Stage(GenerationStatus.SCANNING, (scan_product, scan_logo, scan_inspiration, like_history)),
    Stage(GenerationStatus.PROMPTING, (gpt_reader,)),
    Stage(GenerationStatus.GENERATING, (still_generate,)),
    Stage(GenerationStatus.POSTSCAN, (postscan,)),
)
"""The pipeline of `create`."""
