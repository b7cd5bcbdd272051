"""The steps that recall taste and write prompts."""

from typing import Any

from jsonschema import Draft202012Validator

from mina_gql.domain.config import Context
from mina_gql.domain.errors import GenerationFailed
from mina_gql.domain.pipeline import FailureCode, GenerationStatus, friendly_line, plain_text
from mina_gql.domain.ports import WriteRequest, Written
from mina_gql.services.pipeline.lines import line_for
from mina_gql.services.pipeline.steps.asking import ask, refuse_flagged
from mina_gql.services.pipeline.work import Call, Outcome, PaidCall, Patches, Tools, Work
from mina_gql.services.taste import window_of

PROMPT_CHARS = 4_000
MOTION_PROMPT_CHARS = 2_500
"""What a prompt may have; video models read less, and what stands at the end must not be lost."""


def _schema(longest: int) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["clean_prompt", "userMessage_final"],
        "properties": {
            "clean_prompt": {"type": "string", "minLength": 1, "maxLength": longest},
            "userMessage_final": {"type": "string"},
        },
    }


PROMPT_SCHEMA, MOTION_SCHEMA = _schema(PROMPT_CHARS), _schema(MOTION_PROMPT_CHARS)
"""What a prompt writer must answer: a prompt for the image or video model and one friendly line."""
_MOTION_TASKS = frozenset({"motion_suggestion", "gpt_reader_motion", "gpt_feedback_motion"})


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
            ("history", "prompts"): history.prompts,
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
        "liked_prompts": history.get("prompts", []),
        "hard_blocks": history.get("hard_blocks", []),
        "tag_weights": history.get("tag_weights", {}),
    }
    return [await _write(work, "gpt_reader", parts, said=inputs["brief"])]


async def gpt_feedback_still(work: Work) -> list[Call]:
    """`gpt_feedback_still`: previous prompt, output, caption and feedback -> a prompt that differs by the feedback alone."""
    return [await _feedback(work, "gpt_feedback_still")]


async def gpt_feedback_motion(work: Work) -> list[Call]:
    """`gpt_feedback_motion`: the same for a clip."""
    return [await _feedback(work, "gpt_feedback_motion")]


async def motion_suggestion(work: Work) -> list[Call]:
    """`motion_suggestion`: where the person asked to have it typed, from what the still shows."""
    if not work.vars["inputs"].get("type_for_me"):
        return []
    return [await _motion(work, "motion_suggestion")]


async def gpt_reader_motion(work: Work) -> list[Call]:
    """`gpt_reader_motion`: the person's own words and the still -> the prompt of the clip."""
    if work.vars["inputs"].get("type_for_me"):
        return []
    return [await _motion(work, "gpt_reader_motion")]


async def _feedback(work: Work, task: str) -> Call:
    said = work.vars["feedback"]
    parts = {
        "previous_prompt": said.get("previous_prompt"),
        "output_url": said.get("previous_output_url"),
        "output_crt": said.get("previous_output_crt"),
        "feedback": said["text"],
        "hard_blocks": await work.tools.taste.blocks(work.claim.pass_id),
    }
    return await _write(work, task, parts, said=said["text"])


async def _motion(work: Work, task: str) -> Call:
    inputs = work.vars["inputs"]
    parts = motion_parts(
        caption=work.vars["scans"]["input_still_crt"],
        movement_style=inputs["movement_style"],
        brief=inputs["brief"],
        hard_blocks=await work.tools.taste.blocks(work.claim.pass_id),
    )
    return await _write(work, task, parts, said=inputs["brief"])


def motion_parts(caption: str | None, movement_style: str | None, brief: str | None, hard_blocks: list[str]) -> dict[str, Any]:
    """What a movement is written from."""
    return {
        "input_still_crt": caption,
        "movement_style": movement_style,
        "motion_brief": brief or None,
        "hard_blocks": hard_blocks,
    }


async def _write(work: Work, task: str, parts: dict[str, Any], *, said: str) -> Call:
    writer = work.tools.models.writer(await work.tools.config.role("writer"))
    context = await work.tools.config.context(task)
    prompt = context.render({name: as_text(part) for name, part in parts.items()})

    async def write(_: PaidCall) -> Outcome:
        await refuse_flagged(work.tools, text=said)
        written = await written_by(work.tools, request_for(task, context, prompt, parts))
        clean = plain_text(written.value["clean_prompt"])
        final = friendly_line(written.value["userMessage_final"]) or line_for(
            GenerationStatus.DONE, work.generation, mode=work.claim.mode
        )
        output = {"clean_prompt": clean, "userMessage_final": final}
        patches: Patches = {("prompts", "clean_prompt"): clean, ("prompts", "userMessage_final"): final}
        return Outcome(output, patches, None, written.usage, writer.name, written.usage.model)

    return Call(task, {f"input_{task}": prompt, "parts": parts}, write, 0, True, writer.name, writer.model, context)


def request_for(task: str, context: Context, prompt: str, parts: dict[str, Any]) -> WriteRequest:
    """What the writer is asked."""
    return WriteRequest(task, context.system, prompt, parts, MOTION_SCHEMA if task in _MOTION_TASKS else PROMPT_SCHEMA)


async def written_by(tools: Tools, request: WriteRequest) -> Written:
    """The writer's answer; asked once more where it breaks the schema (FEATURES I2). Raises GenerationFailed."""
    writer = tools.models.writer(await tools.config.role("writer"))
    written = await ask(tools, "writer", writer.name, lambda: writer.write(request))
    if not _follows(request.schema, written.value):
        first = written.usage
        written = await ask(tools, "writer", writer.name, lambda: writer.write(request))
        written = Written(written.value, written.usage.plus(first))
    if not _follows(request.schema, written.value):
        raise GenerationFailed(FailureCode.BAD_MODEL_OUTPUT, "The picture could not be planned. Please try again.")
    return written


def _follows(schema: dict[str, Any], value: object) -> bool:
    return Draft202012Validator(schema).is_valid(value) and bool(plain_text(value["clean_prompt"]))  # type: ignore[index]  # an object, by the schema


def as_text(part: object) -> str:
    """A part of a prompt as text: lists and maps in one line, nothing as “none”."""
    if part is None:
        return "none"
    if isinstance(part, list):
        return "; ".join(map(str, part)) or "none"
    if isinstance(part, dict):
        return ", ".join(f"{name} {weight:+g}" for name, weight in part.items()) or "none"
    return str(part) or "none"
