"""What a person may order: checked, told apart by its fingerprint, and as the variable map a generation starts with."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from mina_gql.domain.errors import InvalidInput
from mina_gql.domain.pipeline import (
    BRIEF_CHARS,
    DEFAULT_RATIO,
    INSPIRATIONS,
    NO_STYLE,
    RATIOS,
    STYLES,
    VARS_VERSION,
    GenerationKind,
    plain_text,
)

KEY_CHARS = 200


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


def checked(order: StillOrder) -> StillOrder:
    """The order with its brief cleaned and its style and ratio filled in. Raises InvalidInput."""
    brief = plain_text(order.brief)
    if not brief:
        raise InvalidInput("Say in a few words what the picture should show.", ["input", "brief"])
    if len(brief) > BRIEF_CHARS:
        raise InvalidInput(f"A brief has at most {BRIEF_CHARS:,} characters; this one has {len(brief):,}.", ["input", "brief"])
    style = None if order.style in {None, "", NO_STYLE} else order.style
    if style is not None and style not in STYLES:
        raise InvalidInput(f"A style is one of {', '.join(STYLES)}, or none.", ["input", "style"])
    ratio = order.ratio or DEFAULT_RATIO
    if ratio not in RATIOS:
        raise InvalidInput(f"A ratio is one of {', '.join(RATIOS)}.", ["input", "ratio"])
    if len(order.inspiration_image_urls) > INSPIRATIONS:
        raise InvalidInput(f"At most {INSPIRATIONS} inspiration pictures, please.", ["input", "assets", "inspirationImageUrls"])
    key = order.idempotency_key
    if key is not None and not 0 < len(key) <= KEY_CHARS:
        raise InvalidInput(f"An idempotency key has 1 to {KEY_CHARS} characters.", ["input", "idempotencyKey"])
    return StillOrder(**{**asdict(order), "brief": brief, "style": style, "ratio": ratio})


def fingerprint(order: StillOrder) -> str:
    """The hash of an order's input, so that the same key with another input is told apart."""
    asked = {name: value for name, value in asdict(order).items() if name != "idempotency_key"}
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


def new_vars(order: StillOrder, assets: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical variable map at accept (DESIGN section 6)."""
    return {
        "version": VARS_VERSION,
        "mode": GenerationKind.STILL,
        "assets": dict(assets),
        "scans": {
            "product_crt": None,
            "logo_crt": None,
            "inspiration_crt": [None] * len(assets["inspiration_image_urls"]),
            "input_still_crt": None,
            "output_still_crt": None,
        },
        "history": {"vision_intelligence": order.vision_intelligence, "style_history_csv": None},
        "inputs": {
            "brief": order.brief,
            "style": order.style or NO_STYLE,
            "ratio": order.ratio,
            "movement_style": None,
        },
        "prompts": {"clean_prompt": None},
        "feedback": {},
        "userMessages": {"scan_lines": [], "final_line": None},
        "statuses": [],
        "settings": dict(settings),
        "outputs": {},
        "meta": {},
    }
