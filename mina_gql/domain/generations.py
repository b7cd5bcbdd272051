"""What a person may order: checked, told apart by its fingerprint, and as the variable map a generation starts with."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import orjson

from mina_gql.domain.errors import ImageRequired, InvalidInput
from mina_gql.domain.pipeline import (
    BRIEF_CHARS,
    DEFAULT_RATIO,
    INSPIRATIONS,
    MOVEMENT_STYLES,
    NO_STYLE,
    RATIOS,
    STYLES,
    VARS_VERSION,
    GenerationKind,
    bare_id,
    plain_text,
)

KEY_CHARS = 200
AUTO_RATIO = "AUTO"
"""The ratio that is nearest to the picture's own (FEATURES L4)."""

Vars = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StillOrder:
    """What a person orders with `create`, as the edge read it."""

    brief: str
    style: str | None = None
    ratio: str | None = None
    product_image_url: str | None = None
    logo_image_url: str | None = None
    inspiration_image_urls: tuple[str, ...] = ()
    settings: Any = None
    vision_intelligence: bool = True
    session_id: str | None = None
    idempotency_key: str | None = None

    def checked(self) -> "StillOrder":
        """The order with its words cleaned and its choices filled in. Raises InvalidInput."""
        _check_key(self.idempotency_key)
        brief = words(self.brief, ["input", "brief"], empty="Say in a few words what the picture should show.")
        style = None if self.style in {None, "", NO_STYLE} else self.style
        if style is not None and style not in STYLES:
            raise InvalidInput(f"A style is one of {', '.join(STYLES)}, or none.", ["input", "style"])
        if len(self.inspiration_image_urls) > INSPIRATIONS:
            raise InvalidInput(
                f"At most {INSPIRATIONS} inspiration pictures, please.", ["input", "assets", "inspirationImageUrls"]
            )
        return replace(self, brief=brief, style=style, ratio=_ratio(self.ratio or DEFAULT_RATIO))


@dataclass(frozen=True, slots=True)
class TweakOrder:
    """What a person orders with `tweak`: everything but the prompt is inherited from the generation."""

    generation_id: str
    feedback: str
    session_id: str | None = None
    idempotency_key: str | None = None

    def checked(self) -> "TweakOrder":
        """The order with its words cleaned. Raises InvalidInput."""
        _check_key(self.idempotency_key)
        said = words(self.feedback, ["input", "feedback"], empty="Say in a few words what should be different.")
        return replace(self, feedback=said)


@dataclass(frozen=True, slots=True)
class MotionOrder:
    """What a person orders with `animate`: from a generation or from a picture of their own."""

    generation_id: str | None = None
    input_still_url: str | None = None
    end_still_url: str | None = None
    motion_prompt: str | None = None
    movement_style: str | None = None
    type_for_me: bool = False
    ratio: str | None = None
    settings: Any = None
    session_id: str | None = None
    idempotency_key: str | None = None

    def checked(self) -> "MotionOrder":
        """The order with its words cleaned and its choices checked. Raises ImageRequired and InvalidInput."""
        _check_key(self.idempotency_key)
        generation_id, still_url = one_still(self.generation_id, self.input_still_url)
        return replace(
            self,
            generation_id=generation_id,
            input_still_url=still_url,
            end_still_url=self.end_still_url or None,
            motion_prompt=words(self.motion_prompt or "", ["input", "motionPrompt"]) or None,
            movement_style=movement_style(self.movement_style),
            ratio=None if self.ratio in {None, "", AUTO_RATIO} else _ratio(self.ratio),
        )


@dataclass(frozen=True, slots=True)
class RetryOrder:
    """The same again, after a failure."""

    generation_id: str
    session_id: str | None = None
    idempotency_key: str | None = None

    def checked(self) -> "RetryOrder":
        """The order as it is. Raises InvalidInput for its key."""
        _check_key(self.idempotency_key, ["idempotencyKey"])
        return self


Order = StillOrder | TweakOrder | MotionOrder | RetryOrder
AnyOrder = TypeVar("AnyOrder", StillOrder, TweakOrder, MotionOrder, RetryOrder)

# ---------------------------------------------------------------- checks


def words(text: str, field: list[str], *, empty: str | None = None) -> str:
    """A person's words as data: cleaned, at most 4,000 characters, at least one where `empty` says why. Raises InvalidInput."""
    cleaned = plain_text(text)
    if not cleaned and empty is not None:
        raise InvalidInput(empty, field)
    if len(cleaned) > BRIEF_CHARS:
        raise InvalidInput(f"At most {BRIEF_CHARS:,} characters, please; these are {len(cleaned):,}.", field)
    return cleaned


def movement_style(given: str | None) -> str | None:
    """A movement style of the studio's, or none. Raises InvalidInput."""
    if given in {None, "", NO_STYLE}:
        return None
    if given not in MOVEMENT_STYLES:
        raise InvalidInput(f"A movement style is one of {', '.join(MOVEMENT_STYLES)}, or none.", ["input", "movementStyle"])
    return given


def one_still(generation_id: str | None, still_url: str | None) -> tuple[str | None, str | None]:
    """What a clip begins with: a generation or a picture, one of the two. Raises ImageRequired and InvalidInput."""
    if not generation_id and not still_url:
        raise ImageRequired("I need an image: choose a still, or upload a picture to set in motion.", ["input", "inputStillUrl"])
    if generation_id and still_url:
        raise InvalidInput("Give `generationId` or `inputStillUrl`, not both.", ["input", "inputStillUrl"])
    return generation_id or None, still_url or None


def _check_key(key: str | None, field: Sequence[str] = ("input", "idempotencyKey")) -> None:
    if key is not None and not 0 < len(key) <= KEY_CHARS:
        raise InvalidInput(f"An idempotency key has 1 to {KEY_CHARS} characters.", field)


def _ratio(given: str | None) -> str:
    if given not in RATIOS:
        raise InvalidInput(f"A ratio is one of {', '.join(RATIOS)}.", ["input", "ratio"])
    return given


def nearest_ratio(width: int, height: int) -> str:
    """The studio's ratio that is nearest to a picture's, in pixels."""

    def distance(ratio: str) -> float:
        across, down = map(int, ratio.split(":"))
        return abs(math.log(width / height) - math.log(across / down))

    return min(RATIOS, key=distance)


def fingerprint(order: Order) -> str:
    """The hash of an order's input, so that the same key with another input is told apart; the visit is no part of it."""
    asked = {name: value for name, value in asdict(order).items() if name not in {"idempotency_key", "session_id"}}
    if asked.get("generation_id"):
        asked["generation_id"] = bare_id("generation", asked["generation_id"])
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


# ---------------------------------------------------------------- variable maps


def still_vars(order: StillOrder, assets: Mapping[str, Any], settings: Mapping[str, Any]) -> Vars:
    """The map of a still at accept (DESIGN section 6)."""
    inputs = {"brief": order.brief, "style": order.style or NO_STYLE, "ratio": order.ratio, "movement_style": None}
    return _vars(GenerationKind.STILL, assets, inputs, settings, vision_intelligence=order.vision_intelligence)


def tweak_vars(parent: Mapping[str, Any], parent_id: str, feedback: str, settings: Mapping[str, Any]) -> Vars:
    """The map of a tweak: its parent's pictures, captions and inputs, and what is to be different."""
    made = _inherited(parent, settings)
    outputs, prompts, scans = parent.get("outputs", {}), parent.get("prompts", {}), parent.get("scans", {})
    said = {
        "text": feedback,
        "generation_id": parent_id,
        "previous_prompt": prompts.get("clean_prompt"),
        "previous_output_url": outputs.get("url"),
        "previous_output_crt": scans.get("output_still_crt"),
    }
    made["feedback"] = {name: value for name, value in said.items() if value is not None}
    return made


def motion_vars(
    order: MotionOrder, still_url: str, end_url: str | None, ratio: str, caption: str | None, settings: Mapping[str, Any]
) -> Vars:
    """The map of a clip at accept. `caption` is what was seen on the still when it was made, where it was made here."""
    assets: Vars = {
        "product_image_url": None,
        "logo_image_url": None,
        "inspiration_image_urls": [],
        "input_still_url": still_url,
        "end_still_url": end_url,
    }
    inputs = {
        "brief": order.motion_prompt or "",
        "style": NO_STYLE,
        "ratio": ratio,
        "movement_style": order.movement_style,
        "type_for_me": order.type_for_me,
    }
    made = _vars(GenerationKind.VIDEO, assets, inputs, settings, vision_intelligence=True)
    made["scans"]["input_still_crt"] = caption
    return made


def again_vars(failed: Mapping[str, Any], settings: Mapping[str, Any]) -> Vars:
    """The map of a retry: the inputs of the failed one, and nothing of what it had done."""
    made = _inherited(failed, settings)
    made["feedback"] = dict(failed.get("feedback", {}))
    if not made["feedback"]:
        made["scans"] = _no_scans(made["assets"]) | {"input_still_crt": made["scans"]["input_still_crt"]}
    return made


def whole_vars(vars_: Mapping[str, Any], kind: GenerationKind, prompt: str | None, output_url: str | None) -> Vars:
    """A recorded map with everything a new one is made from; rows from before MMA have a prompt and an output at most."""
    no_assets: Vars = {"product_image_url": None, "logo_image_url": None, "inspiration_image_urls": []}
    no_inputs = {"brief": "", "style": NO_STYLE, "ratio": DEFAULT_RATIO, "movement_style": None}
    return {
        **vars_,
        "mode": vars_.get("mode", kind),
        "assets": {**no_assets, "input_still_url": None, "end_still_url": None, **vars_.get("assets", {})},
        "inputs": {**no_inputs, **vars_.get("inputs", {})},
        "settings": vars_.get("settings", {}),
        "prompts": {"clean_prompt": prompt, **vars_.get("prompts", {})},
        "outputs": {"url": output_url, **vars_.get("outputs", {})},
    }


def _inherited(of: Mapping[str, Any], settings: Mapping[str, Any]) -> Vars:
    history = of.get("history", {})
    made = _vars(
        GenerationKind(of["mode"]),
        of["assets"],
        of["inputs"],
        settings,
        vision_intelligence=bool(history.get("vision_intelligence", True)),
    )
    made["scans"] |= {name: caption for name, caption in of.get("scans", {}).items() if name != "output_still_crt"}
    return made


def _vars(
    kind: GenerationKind,
    assets: Mapping[str, Any],
    inputs: Mapping[str, Any],
    settings: Mapping[str, Any],
    *,
    vision_intelligence: bool,
) -> Vars:
    return {
        "version": VARS_VERSION,
        "mode": kind,
        "assets": dict(assets),
        "scans": _no_scans(assets),
        "history": {"vision_intelligence": vision_intelligence, "style_history_csv": None},
        "inputs": dict(inputs),
        "prompts": {"clean_prompt": None},
        "feedback": {},
        "userMessages": {"scan_lines": [], "final_line": None},
        "statuses": [],
        "settings": dict(settings),
        "outputs": {},
        "meta": {},
    }


def _no_scans(assets: Mapping[str, Any]) -> Vars:
    return {
        "product_crt": None,
        "logo_crt": None,
        "inspiration_crt": [None] * len(assets["inspiration_image_urls"]),
        "input_still_crt": None,
        "output_still_crt": None,
    }
