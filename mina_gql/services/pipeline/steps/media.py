"""The paid steps: a still or a clip is made, looked into, and copied to our store before the step succeeds."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mina_gql.domain.assets import EXTENSIONS, OUTPUTS
from mina_gql.domain.config import Role, settings_for
from mina_gql.domain.errors import AssetRejected, GenerationFailed
from mina_gql.domain.passes import owner_tag
from mina_gql.domain.pipeline import FailureCode, GenerationKind
from mina_gql.domain.ports import Media, MediaFacts, MediaModel, MediaRequest, Picture
from mina_gql.services.pipeline.steps.asking import picture_of, refuse_flagged
from mina_gql.services.pipeline.work import Call, Outcome, PaidCall, Patches, Work


async def still_generate(work: Work) -> list[Call]:
    """`<provider>_generate`: the still of `create`."""
    return [await _generate(work, "still")]


async def still_generate_feedback(work: Work) -> list[Call]:
    """`<provider>_generate_feedback`: the still of a tweak."""
    return [await _generate(work, "still", "_feedback")]


async def video_generate(work: Work) -> list[Call]:
    """`<provider>_generate`: the clip of `animate`."""
    return [await _generate(work, "video")]


async def video_generate_feedback(work: Work) -> list[Call]:
    """`<provider>_generate_feedback`: the clip of a tweak."""
    return [await _generate(work, "video", "_feedback")]


async def _generate(work: Work, role_name: str, suffix: str = "") -> Call:
    role = await _provider(work, role_name, suffix)
    model = work.tools.models.media(role)
    settings = settings_for(role, work.vars["settings"], await work.tools.config.provider_defaults(role.provider))
    sent = {name: value for name, value in settings.items() if name not in role.stored_only}
    slots = dict(list(slots_of(work.vars["assets"]).items())[: role.max_pictures])
    prompt = work.vars["prompts"]["clean_prompt"]

    async def generate(call: PaidCall) -> Outcome:
        pictures = {slot: await picture_of(work, url) for slot, url in slots.items()}
        request = MediaRequest(work.generation, prompt, work.vars["inputs"]["ratio"], sent, pictures, slots)
        async with _scratch() as path:
            async with work.tools.gate.turn(model.name, role.concurrency):
                if call.prediction_id is None:
                    await call.sent()
                media = await model.generate(request, path, prediction_id=call.prediction_id, accepted=call.accepted)
            facts = await _inspected(work, path)
            await refuse_flagged(work.tools, picture=await _shown(path, facts))
            key = _output_key(work, EXTENSIONS[facts.content_type])
            await work.tools.store.write_file(key, path, facts.content_type)
        return _outcome(work, model, media, facts, key)

    input_ = {"prompt": prompt, "settings": settings, "sent": sent, "assets": slots}
    return Call(f"{role.provider}_generate{suffix}", input_, generate, provider=model.name, model=model.model)


async def _provider(work: Work, role_name: str, suffix: str) -> Role:
    """The role's provider: the one an interrupted run began with, else its fallback while the first keeps failing."""
    role = await work.tools.config.role(role_name)
    for candidate in role.line:
        if f"{candidate.provider}_generate{suffix}" in work.begun:
            return candidate
    for candidate in role.line:
        if candidate.fallback is None or not await work.tools.gate.is_open(work.tools.models.media(candidate).name):
            return candidate
    raise AssertionError("the last of a line has no fallback")


def _outcome(work: Work, model: MediaModel, media: Media, facts: MediaFacts, key: str) -> Outcome:
    url = work.tools.store.public_url(key)
    outputs = {
        "url": url,
        "key": key,
        "content_type": facts.content_type,
        "width": facts.width,
        "height": facts.height,
        "bytes": facts.size,
        "provider": model.name,
        "model": model.model,
    }
    if facts.seconds is not None:
        outputs["seconds"] = facts.seconds
    output = {"request": media.request, "response": media.response, "output_url": url}
    patches: Patches = {("outputs", name): value for name, value in outputs.items()}
    return Outcome(output, patches, None, None, model.name, model.model, url, key)


@asynccontextmanager
async def _scratch() -> AsyncIterator[Path]:
    """A place for an output on its way from the vendor to the store."""
    folder = await asyncio.to_thread(TemporaryDirectory, prefix="mina-")
    try:
        yield Path(folder.name) / "output"
    finally:
        await asyncio.shield(asyncio.to_thread(folder.cleanup))


async def _inspected(work: Work, path: Path) -> MediaFacts:
    try:
        return await work.tools.inspector.inspect(path, GenerationKind(work.vars["mode"]))
    except AssetRejected as error:
        raise GenerationFailed(
            FailureCode.BAD_MODEL_OUTPUT,
            "What came out cannot be shown. Your matcha is back; please try again.",
            detail=str(error),
        ) from error


async def _shown(path: Path, facts: MediaFacts) -> Picture:
    """What there is to see: the still itself, or a clip's first frame."""
    if facts.frame is not None:
        return facts.frame
    return Picture(await asyncio.to_thread(path.read_bytes), facts.content_type, facts.width, facts.height)


def slots_of(assets: Mapping[str, Any]) -> dict[str, str]:
    """The pictures of an order by slot: product, logo, inspiration_0, …, or start and end."""
    named = {
        "product": assets["product_image_url"],
        "logo": assets["logo_image_url"],
        "start": assets["input_still_url"],
        "end": assets["end_still_url"],
    }
    inspirations = {f"inspiration_{index}": url for index, url in enumerate(assets["inspiration_image_urls"])}
    return {slot: url for slot, url in (named | inspirations).items() if url}


def _output_key(work: Work, extension: str) -> str:
    """Unguessable, and the same when a run is resumed: a keyed hash of the generation."""
    secret = work.tools.secret
    name = hmac.new(secret, b"output\n" + work.generation.encode(), hashlib.sha256).hexdigest()[:32]
    return f"{OUTPUTS}/{owner_tag(work.claim.pass_id, secret)}/{name}.{extension}"
