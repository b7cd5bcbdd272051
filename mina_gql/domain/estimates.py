"""How long a generation will take: the stages of each pipeline, and the usual seconds of their steps (FEATURES L9)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mina_gql.domain.credits import BillableAction
from mina_gql.domain.pipeline import GenerationKind, GenerationStatus

OFFLINE = "offline"
RECENT_RUNS = 50
"""How many of the latest runs of a step tell how long it takes."""

_GENERATE, _GENERATE_FEEDBACK = "_generate", "_generate_feedback"
_DEFAULTS = {"vision": 4.0, "writer": 5.0, "still": 20.0, "video": 180.0}
"""Seconds of a role's step before it ever ran; for clips, seed 003's "Animating… (3 min)"."""
_OFFLINE_DEFAULTS = {"vision": 0.2, "writer": 0.1, "still": 3.0, "video": 6.0}


class Step(NamedTuple):
    """A kind of step: its stored type (of generate steps, what follows the provider), and the role that does it; None is us."""

    type: str
    role: str | None

    def stored_as(self, provider: str) -> str:
        """The step type that is stored when a provider does it."""
        return provider + self.type if self.type.startswith("_") else self.type

    def is_of(self, step_type: str) -> bool:
        """Whether a stored step is of this kind, whichever provider did it."""
        return step_type.endswith(self.type) if self.type.startswith("_") else step_type == self.type


class Stage(NamedTuple):
    """Steps under one status: as they run side by side, or stand in for each other, the longest one counts."""

    status: GenerationStatus
    steps: tuple[Step, ...]


Pipeline = tuple[Stage, ...]

_LOOKS = ("scan_product", "scan_logo", "scan_inspiration", "scan_input_still")
"""Steps that have nothing to do where there is no picture, or it was seen before."""


def _looking(*types: str) -> tuple[Step, ...]:
    return tuple(Step(type_, "vision") for type_ in types)


STILL: Pipeline = (
    Stage(GenerationStatus.SCANNING, (*_looking("scan_product", "scan_logo", "scan_inspiration"), Step("like_history", None))),
    Stage(GenerationStatus.PROMPTING, (Step("gpt_reader", "writer"),)),
    Stage(GenerationStatus.GENERATING, (Step(_GENERATE, "still"),)),
    Stage(GenerationStatus.POSTSCAN, _looking("postscan")),
)
TWEAK: Pipeline = (
    Stage(GenerationStatus.PROMPTING, (Step("gpt_feedback_still", "writer"),)),
    Stage(GenerationStatus.GENERATING, (Step(_GENERATE_FEEDBACK, "still"),)),
    Stage(GenerationStatus.POSTSCAN, _looking("postscan_feedback")),
)
VIDEO: Pipeline = (
    Stage(GenerationStatus.SCANNING, _looking("scan_input_still")),
    Stage(GenerationStatus.PROMPTING, (Step("motion_suggestion", "writer"), Step("gpt_reader_motion", "writer"))),
    Stage(GenerationStatus.GENERATING, (Step(_GENERATE, "video"),)),
)
VIDEO_TWEAK: Pipeline = (
    Stage(GenerationStatus.PROMPTING, (Step("gpt_feedback_motion", "writer"),)),
    Stage(GenerationStatus.GENERATING, (Step(_GENERATE_FEEDBACK, "video"),)),
)
"""The stages of DESIGN section 6; `services/pipeline/steps` runs them, and a test holds the two together."""

_OF_ACTION = {BillableAction.CREATE: STILL, BillableAction.TWEAK: TWEAK, BillableAction.ANIMATE: VIDEO}
_ORDER = {status: place for place, status in enumerate(GenerationStatus)}


class Maker(NamedTuple):
    """Who does a role's steps: the provider names generate steps, the vendor is what a step stores as its provider."""

    provider: str
    vendor: str | None


StepKey = tuple[str, str]
"""A stored step type and its vendor."""


@dataclass(frozen=True, slots=True)
class Usual:
    """How long steps take: learned seconds, and who does a role's steps now, its fallbacks after it."""

    makers: Mapping[str, Sequence[Maker]] = field(default_factory=dict)
    learned: Mapping[StepKey, float] = field(default_factory=dict)

    def seconds(self, step: Step) -> float:
        """The usual length of a step that is still to come."""
        if step.role is None:
            return 0.0
        maker = next(iter(self.makers.get(step.role, ())), Maker(step.role, None))
        return self.seconds_of(step, step.stored_as(maker.provider), maker.vendor)

    def seconds_of(self, step: Step, step_type: str, vendor: str | None) -> float:
        """The usual length of a step of this very type and vendor; a tweak's is like its twin's until it is known."""
        for known in (step_type, step_type.removesuffix("_feedback")):
            if vendor is not None and (known, vendor) in self.learned:
                return self.learned[known, vendor]
        defaults = _OFFLINE_DEFAULTS if vendor == OFFLINE else _DEFAULTS
        return defaults.get(step.role or "", 0.0)


class BegunStep(NamedTuple):
    """A step that has begun, and for how many seconds it has been running; None when it is over."""

    type: str
    vendor: str | None
    running_for: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an unfinished generation stands. `looks` says whether there is a picture that nobody has looked at yet.

    A queued one has `stills_ahead` and `clips_ahead` before it, beside those that are being made; so many of each kind are
    made at a time over all workers, as workers and vendors allow.
    """

    kind: GenerationKind
    status: GenerationStatus
    tweaks: bool = False
    looks: bool = True
    begun: Sequence[BegunStep] = ()
    stills_ahead: int = 0
    clips_ahead: int = 0
    stills_running: int = 0
    clips_running: int = 0
    still_slots: int = 1
    clip_slots: int = 1

    @property
    def pipeline(self) -> Pipeline:
        """The stages it goes through."""
        if self.kind is GenerationKind.VIDEO:
            return VIDEO_TWEAK if self.tweaks else VIDEO
        return TWEAK if self.tweaks else STILL


class Estimate(NamedTuple):
    """What those who wait are told: how many queued ones stand before it (None once it has started), and seconds to go."""

    queue_position: int | None
    eta_seconds: int


def estimate(standing: Standing, usual: Usual) -> Estimate:
    """Seconds still to go, at least 1: the rest of the stage at hand, the stages to come, and the wait for those before it."""
    seconds = sum(_rest(stage, standing, usual) for stage in standing.pipeline if _ORDER[stage.status] >= _ORDER[standing.status])
    if standing.status is not GenerationStatus.QUEUED:
        return Estimate(None, _whole(seconds))
    stills = _wait(standing.stills_ahead, standing.stills_running, standing.still_slots) * _sum(STILL, usual)
    clips = _wait(standing.clips_ahead, standing.clips_running, standing.clip_slots) * _sum(VIDEO, usual)
    return Estimate(standing.stills_ahead + standing.clips_ahead, _whole(seconds + stills + clips))


def typical(action: BillableAction, usual: Usual) -> int:
    """Seconds that an action usually takes from accept to done, without a queue."""
    return _whole(_sum(_OF_ACTION[action], usual))


def step_keys(makers: Mapping[str, Sequence[Maker]]) -> list[StepKey]:
    """Every step that is worth learning of: each type with each vendor that may do it."""
    steps = {step for pipeline in (STILL, TWEAK, VIDEO, VIDEO_TWEAK) for stage in pipeline for step in stage.steps}
    return sorted(
        {
            (step.stored_as(maker.provider), maker.vendor)
            for step in steps
            for maker in makers.get(step.role or "", ())
            if maker.vendor is not None
        }
    )


def _sum(pipeline: Pipeline, usual: Usual) -> float:
    return sum(max(map(usual.seconds, stage.steps)) for stage in pipeline)


def _wait(ahead: int, running: int, slots: int) -> float:
    """How many lengths of a kind pass before those ahead are begun: what runs is half done, and it all shares the slots."""
    return (ahead + running / 2) / max(1, slots)


def _rest(stage: Stage, standing: Standing, usual: Usual) -> float:
    """What is left of a stage: of its running steps the longest rest, or all of it before any has begun."""
    begun = [(kind, step) for step in standing.begun for kind in stage.steps if kind.is_of(step.type)]
    if begun:
        rests = [
            usual.seconds_of(kind, step.type, step.vendor) - step.running_for
            for kind, step in begun
            if step.running_for is not None
        ]
        return max(0.0, *rests) if rests else 0.0
    return max((usual.seconds(step) for step in stage.steps if standing.looks or step.type not in _LOOKS), default=0.0)


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))
