"""The pipelines as tuples of stages (DESIGN section 6; seed 003, sections 6 to 8)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mina_gql.domain.pipeline import GenerationKind, GenerationStatus
from mina_gql.services.pipeline.steps.media import (
    still_generate,
    still_generate_feedback,
    video_generate,
    video_generate_feedback,
)
from mina_gql.services.pipeline.steps.scans import (
    postscan,
    postscan_feedback,
    scan_input_still,
    scan_inspiration,
    scan_logo,
    scan_product,
)
from mina_gql.services.pipeline.steps.words import (
    gpt_feedback_motion,
    gpt_feedback_still,
    gpt_reader,
    gpt_reader_motion,
    like_history,
    motion_suggestion,
)
from mina_gql.services.pipeline.work import Plan


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps that run at the same time under one status. Each plan gives the calls its inputs need: none, where there are none."""

    status: GenerationStatus
    plans: tuple[Plan, ...]


Pipeline = tuple[Stage, ...]

STILL: Pipeline = (
    Stage(GenerationStatus.SCANNING, (scan_product, scan_logo, scan_inspiration, like_history)),
    Stage(GenerationStatus.PROMPTING, (gpt_reader,)),
    Stage(GenerationStatus.GENERATING, (still_generate,)),
    Stage(GenerationStatus.POSTSCAN, (postscan,)),
)
"""The pipeline of `create`."""

TWEAK: Pipeline = (
    Stage(GenerationStatus.PROMPTING, (gpt_feedback_still,)),
    Stage(GenerationStatus.GENERATING, (still_generate_feedback,)),
    Stage(GenerationStatus.POSTSCAN, (postscan_feedback,)),
)
"""The pipeline of `tweak`: everything but the prompt is inherited."""

VIDEO: Pipeline = (
    Stage(GenerationStatus.SCANNING, (scan_input_still,)),
    Stage(GenerationStatus.PROMPTING, (motion_suggestion, gpt_reader_motion)),
    Stage(GenerationStatus.GENERATING, (video_generate,)),
)
"""The pipeline of `animate`: one of the two writers has something to do."""

VIDEO_TWEAK: Pipeline = (
    Stage(GenerationStatus.PROMPTING, (gpt_feedback_motion,)),
    Stage(GenerationStatus.GENERATING, (video_generate_feedback,)),
)
"""The pipeline of `tweak` on a clip, where the knob `video_tweak.enabled` allows it."""


def pipeline_of(vars_: Mapping[str, Any]) -> Pipeline:
    """The pipeline that a generation's variable map asks for."""
    if vars_["mode"] == GenerationKind.VIDEO:
        return VIDEO_TWEAK if vars_["feedback"] else VIDEO
    return TWEAK if vars_["feedback"] else STILL
