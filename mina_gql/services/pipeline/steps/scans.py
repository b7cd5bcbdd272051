"""The steps that look at pictures: what people brought, and what came out."""

import hashlib

from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode, friendly_line, plain_text
from mina_gql.domain.ports import Caption, CaptionRequest, Usage
from mina_gql.services.pipeline.lines import line_for
from mina_gql.services.pipeline.steps.asking import ask, picture_of
from mina_gql.services.pipeline.work import Call, Outcome, PaidCall, Work

CAPTION_CHARS = 2_000


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


async def scan_input_still(work: Work) -> list[Call]:
    """`scan_input_still` -> `scans.input_still_crt`, where nothing is known of the still yet (FEATURES L5)."""
    place = ("scans", "input_still_crt")
    if work.vars["scans"]["input_still_crt"] and "scan_input_still" not in work.begun:
        return []
    return [await _scan(work, "scan_input_still", "input_still", work.vars["assets"]["input_still_url"], place)]


async def postscan(work: Work) -> list[Call]:
    """`postscan` of the output -> `scans.output_still_crt`; the generation stands without it."""
    return [await _scan(work, "postscan", "output_still", work.vars["outputs"]["url"], _OUTPUT, with_line=False)]


async def postscan_feedback(work: Work) -> list[Call]:
    """`postscan_feedback`: the same for a tweak."""
    return [await _scan(work, "postscan_feedback", "output_still", work.vars["outputs"]["url"], _OUTPUT, with_line=False)]


_OUTPUT = ("scans", "output_still_crt")


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
    vision = tools.models.vision(await tools.config.role("vision"))
    context = await tools.config.context("gpt_scanner")
    own_line = line_for(step_type, work.generation, index) if with_line else None

    async def look(_: PaidCall) -> Outcome:
        picture = await picture_of(work, url)
        digest = hashlib.sha256(picture.data).hexdigest()
        seen = step_type, digest
        async with work.looking[seen]:
            known = work.seen.get(seen) or await tools.taste.known_caption(work.claim.pass_id, step_type, digest, context.id)
            if known is not None:
                output = {"crt": known, "sha256": digest, "cached": True}
                return Outcome(output, {place: known}, own_line, Usage(vision.model, 0, 0, 0, 0), vision.name, vision.model)
            request = CaptionRequest(picture, url, subject, context.system, context.render({"subject": subject}))
            caption = await ask(tools, "vision", vision.name, lambda: vision.caption(request))
            work.seen[seen] = text = _text(caption)
        line = (friendly_line(caption.line) or own_line) if with_line else None
        output = {"crt": text, "sha256": digest, "cached": False, "userMessage": line}
        return Outcome(output, {place: text}, line, caption.usage, vision.name, caption.usage.model)

    input_ = {"assets": {subject: url}, "index": index}
    return Call(step_type, input_, look, index, False, vision.name, vision.model, context)


def _text(caption: Caption) -> str:
    text = plain_text(caption.text)[:CAPTION_CHARS]
    if not text:
        raise GenerationFailed(FailureCode.BAD_MODEL_OUTPUT, "The picture could not be described.")
    return text
