"""The words and rules of the MMA pipeline: modes, statuses, failure codes, ids, ratios, deadlines."""

import re
import unicodedata
from datetime import timedelta
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5


class GenerationKind(StrEnum):
    """What is made; the value is `mg_mma_mode`."""

    STILL = "still"
    VIDEO = "video"


class GenerationStatus(StrEnum):
    """Where a generation stands; the value is `mg_mma_status`. The order is the order of a run; never backwards."""

    QUEUED = "queued"
    SCANNING = "scanning"
    PROMPTING = "prompting"
    GENERATING = "generating"
    POSTSCAN = "postscan"
    DONE = "done"
    ERROR = "error"


class StepStatus(StrEnum):
    """How a step stands; the value is `mg_status` of an `mma_step` row."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class FailureCode(StrEnum):
    """Why a generation ended in ERROR; the value is its `mg_error`."""

    CANCELLED = "CANCELLED"
    MODERATED = "MODERATED"
    PROVIDER_ERROR = "PROVIDER_ERROR"
    PROVIDER_TIMEOUT = "PROVIDER_TIMEOUT"
    PROVIDER_NOT_CONFIGURED = "PROVIDER_NOT_CONFIGURED"
    BAD_MODEL_OUTPUT = "BAD_MODEL_OUTPUT"
    ASSET_UNREADABLE = "ASSET_UNREADABLE"
    STORAGE_ERROR = "STORAGE_ERROR"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    INTERNAL = "INTERNAL"


class EventType(StrEnum):
    """What a person did; the value is `mg_meta.event_type` of an `mma_event` row."""

    LIKE = "like"
    DISLIKE = "dislike"
    DOWNLOAD = "download"
    PREFERENCE_SET = "preference_set"
    CREATE = "create"
    TWEAK = "tweak"
    FEEDBACK = "feedback"


RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "9:16", "16:9")
STYLES = ("minimal", "editorial", "luxury", "natural", "vibrant", "moody", "pastel", "monochrome")
MOVEMENT_STYLES = ("cinematic_smooth", "slow_push_in", "orbit", "parallax", "handheld", "still_life")
NO_STYLE = "None"
"""Stored where no style was chosen (seed 003, 4.2)."""
DEFAULT_RATIO = "1:1"
BRIEF_CHARS = 4_000
INSPIRATIONS = 4
LINE_CHARS = 140

VARS_VERSION = "2025-12-19"
LEASE = timedelta(seconds=15)
LEASE_RENEWAL = timedelta(seconds=5)
MAX_ATTEMPTS = 5
DEADLINES = {GenerationKind.STILL: timedelta(minutes=10), GenerationKind.VIDEO: timedelta(minutes=30)}
"""From the first start to the end (DESIGN section 6)."""
QUEUE_DEADLINE = timedelta(minutes=30)

_GENERATIONS = uuid5(NAMESPACE_URL, "mina:generation")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_NAMES_INTERNALS = re.compile(
    r"https?:|www\.|openai|replicate|seedream|kling|gpt|\bmodels?\b|\bprompt|\bscan|\bpipeline|\bprovider|\bvendor|\bjson\b|\bAI\b|\bMMA\b",
    re.IGNORECASE,
)


def new_generation_id() -> str:
    """A fresh bare generation id: a uuid4."""
    return str(uuid4())


def generation_id_for(pass_id: str, operation: str, idempotency_key: str) -> str:
    """The bare id that a Pass, an operation and an idempotency key always lead to, so the primary key decides races."""
    return str(uuid5(_GENERATIONS, f"{pass_id}\n{operation}\n{idempotency_key}"))


def generation_mg_id(bare: str) -> str:
    """The global id of a generation: `generation:<bare id>`."""
    return f"generation:{bare}"


def bare_id(record_type: str, given: str) -> str:
    """The bare id behind a global or bare one: inputs take either."""
    return given.removeprefix(f"{record_type}:")


def session_id(given: str | None) -> str | None:
    """`sess_<uuid>` from a bare uuid, a prefixed one, or none for a new one; None when it is neither (seed 003, conventions)."""
    if given is None:
        return f"sess_{uuid4()}"
    try:
        return f"sess_{UUID(bare_id('session', given.strip()).removeprefix('sess_'))}"
    except ValueError:
        return None


def plain_text(text: str) -> str:
    """Text of people or models as data: normalised, without control characters or surrogates, trimmed."""
    text = text.encode("utf-8", "ignore").decode()
    return unicodedata.normalize("NFC", _CONTROL.sub("", text)).strip()


def friendly_line(text: str | None) -> str | None:
    """A line fit for the person who waits, or None: one line, at most 140 characters, naming no step, tool or vendor."""
    if text is None:
        return None
    line = " ".join(plain_text(text).split())
    return line if 0 < len(line) <= LINE_CHARS and not _NAMES_INTERNALS.search(line) else None
