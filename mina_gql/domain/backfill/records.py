"""Legacy sessions, generations, feedback and credit transactions as rows of `mega_generations`."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mina_gql.domain.backfill.values import LegacyRow, bare, is_whole, rounded, row_id
from mina_gql.domain.credits import Reason
from mina_gql.domain.pipeline import RATIOS, VARS_VERSION, EventType, FailureCode, GenerationKind, GenerationStatus
from mina_gql.domain.tags import tags_of

Row = dict[str, Any]
MAX_DELTA = 10_000_000
URL_CHARS = 2_000

_SIGNED = re.compile(r"x-amz-|x-goog-|signature=|sig=|token=|expires=|awsaccesskeyid", re.IGNORECASE)
_MOVING = {"motion", "video", "animation", "animate", "clip"}
_FAILED = {"failed", "failure", "error", "errored", "cancelled", "canceled", "timeout", "rejected"}
_MADE = {"succeeded", "success", "done", "completed", "complete", "finished", "ok", "ready"}
_LIKES = {"like", "liked", "up", "thumbs_up", "heart", "love", "positive"}
_DISLIKES = {"dislike", "disliked", "down", "thumbs_down", "negative"}
_UNFINISHED = "This one was never finished."
_CLIP_FILE = re.compile(r"\.(?:mp4|webm|mov)$", re.IGNORECASE)
_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "mp4": "video/mp4"}
# Words of old reasons, and what such a change was when it gave and when it took.
_REASONS = (
    (re.compile(r"expir", re.IGNORECASE), Reason.EXPIRY, Reason.EXPIRY),
    (re.compile(r"refund|chargeback|clawback|revert", re.IGNORECASE), Reason.REFUND, Reason.CLAWBACK),
    (re.compile(r"purchase|order|shopify|top.?up|pack|paid|bought", re.IGNORECASE), Reason.PURCHASE, Reason.CLAWBACK),
    (re.compile(r"grant|free|welcome|sign.?up|bonus|gift|promo|trial", re.IGNORECASE), Reason.GRANT, Reason.ADJUSTMENT),
    (
        re.compile(r"gener|image|still|editorial|motion|video|tweak|animat|charge|spend|usage|create", re.IGNORECASE),
        Reason.REFUND,
        Reason.CHARGE,
    ),
)
_OF_SHOP = re.compile(r"order|shopify", re.IGNORECASE)
_ORDER = re.compile(r"(?:gid://shopify/Order/)?(\d{6,})")


@dataclass(frozen=True, slots=True)
class MappedRow:
    """A legacy row as it will stand in MEGA. `about` is the generation (mg_id) it speaks of; `notes` say what was odd."""

    row: Row
    notes: tuple[str, ...] = ()
    about: str | None = None


def session_row(row: LegacyRow) -> MappedRow:
    """A visit."""
    id_ = row_id("session", row.key)
    ended = row.moment("ended_at")
    values = {
        **_common(row, "session", id_),
        "session_id": bare(id_),
        "title": row.text("title", "name"),
        "meta": {"client": row.object("meta", "metadata"), **({"ended_at": ended} if ended else {})},
    }
    return MappedRow(values)


def generation_row(row: LegacyRow) -> MappedRow:
    """A picture, a clip or what never became one; it has ended, whatever the old table says."""
    id_ = row_id("generation", row.key)
    url, notes = _public_url(row.first(("output_url", "image_url", "video_url", "url", "result_url")))
    kind, status = _kind(row, url), _status(row, url)
    prompt, error = row.text("prompt", "final_prompt", "clean_prompt"), status == GenerationStatus.ERROR
    failure: Row = {}
    if error and not _says(row, _FAILED):
        notes.append("unfinished, kept as failed")
        failure = {"failure": {"message": _UNFINISHED, "step_type": None, "retryable": False, "refunded": False}}
    output_key = row.text("output_key", "storage_key", "r2_key")
    values = {
        **_common(row, "generation", id_),
        "session_id": _bare_session(row),
        "type": "motion" if kind == GenerationKind.VIDEO else "image",
        "title": row.text("title"),
        "prompt": prompt,
        "output_url": url,
        "output_key": output_key,
        "provider": row.text("provider"),
        "model": row.text("model"),
        "latency_ms": row.whole("latency_ms", "duration_ms"),
        **{name: row.whole(name) for name in ("input_chars", "output_chars", "input_tokens", "output_tokens")},
        "content_type": "video" if kind == GenerationKind.VIDEO else "image",
        "status": "failed" if error else "succeeded",
        "error": FailureCode.INTERNAL if error else None,
        "meta": {"cost": max(0, row.whole("cost", "credits_used", "credits_cost") or 0), **failure},
        "mma_mode": kind,
        "mma_status": status,
        "mma_vars": _vars(row, kind, prompt, url, output_key),
    }
    return MappedRow(values, tuple(notes))


def ledger_row(row: LegacyRow) -> MappedRow:
    """A change of a balance, in whole matcha. Orders keep their number, so that the shop's webhooks do not credit them again."""
    id_ = row_id("credit_transaction", row.key)
    given, notes = row.first(("delta", "amount", "credits", "change")), []
    delta = rounded(given)
    if delta is None or abs(delta) > MAX_DELTA:
        delta, notes = 0, ["amount not usable, taken as 0"]
    elif not is_whole(given):
        notes = ["amount rounded to whole matcha"]
    reason, source = row.text("reason", "description", "kind"), row.text("source")
    ref_type, ref_id = row.text("ref_type", "reference_type"), row.text("ref_id", "reference_id", "order_id")
    meaning = _reason(" ".join(filter(None, (row.text("type"), reason, source, ref_type))), delta)
    order = _ORDER.fullmatch(ref_id) if ref_id and _OF_SHOP.search(f"{ref_type} {reason} {source}") else None
    about = row_id("generation", ref_id) if ref_id and ref_type and "gen" in ref_type.casefold() else None
    values = {
        **_common(row, "credit_transaction", id_),
        "generation_id": bare(about) if about else None,
        "delta": delta,
        "reason": meaning,
        "source": source or "legacy",
        "ref_type": "shopify_order" if order and delta > 0 else ref_type or "legacy",
        "ref_id": order[1] if order and delta > 0 else ref_id or bare(id_),
        "meta": {"reason": reason} if reason else {},
    }
    return MappedRow(values, tuple(notes), about)


def feedback_rows(row: LegacyRow, about: str | None, prompt: str | None) -> list[Row]:
    """Feedback as it was, and beside it the event that MMA reads: a like, a dislike, a download, or words (FEATURES M7).

    `about` is the generation (mg_id) it speaks of and `prompt` what that was made with, where both are known.
    """
    id_, comment = row_id("feedback", row.key), row.text("comment", "text", "message", "feedback")
    event, value = _verdict(row, comment)
    generation = bare(about) if about else None
    image, _ = _public_url(row.first(("image_url",)))
    video, _ = _public_url(row.first(("video_url",)))
    told: Row = {"context": "legacy", **({"text": comment} if comment else {})}
    if event in {EventType.LIKE, EventType.DISLIKE}:
        told |= {"value": value}
    if event != EventType.FEEDBACK and value:
        told |= {"tags": tags_of({}, prompt or row.text("prompt"))}
    kept = {
        **_common(row, "feedback", id_),
        "session_id": _bare_session(row),
        "generation_id": generation,
        "result_type": row.text("result_type", "type"),
        "prompt": row.text("prompt"),
        "comment": comment,
        "image_url": image,
        "video_url": video,
        "meta": {"event_id": f"mma_event:{bare(id_)}"},
    }
    heard = {
        **{name: kept[name] for name in ("session_id", "generation_id", "source_system", "deleted_at", "created_at")},
        "id": f"mma_event:{bare(id_)}",
        "record_type": "mma_event",
        "meta": {"event_type": event, "payload": told},
        "payload": {"feedback": id_},
    }
    return [kept, heard]


def closing_row(pass_id: str, row_name: str, closing_id: str, delta: int) -> Row:
    """The adjustment that makes a ledger add up; `row_name` is the keyed hash of the Pass, `closing_id` a fresh uuid."""
    return {
        "id": f"credit_transaction:adjust:backfill:{closing_id}",
        "record_type": "credit_transaction",
        "pass_id": pass_id,
        "delta": delta,
        "reason": Reason.ADJUSTMENT,
        "source": "backfill",
        "ref_type": "backfill",
        "ref_id": row_name,
        "source_system": "backfill",
    }


# ---------------------------------------------------------------- parts


def _common(row: LegacyRow, record_type: str, id_: str) -> Row:
    """What every row of the ledger has."""
    created_at = row.moment("created_at", "inserted_at", "started_at", "timestamp", "updated_at")
    return {
        "id": id_,
        "record_type": record_type,
        "platform": row.text("platform"),
        "client_version": row.text("client_version"),
        "os": row.text("os"),
        "browser": row.text("browser"),
        "device": row.text("device"),
        "meta": {},
        "payload": row.original,
        "source_system": "legacy",
        "deleted_at": row.moment("deleted_at"),
        "created_at": created_at,
        "updated_at": row.moment("updated_at") or created_at,
    }


def _bare_session(row: LegacyRow) -> str | None:
    session = row.text("session_id", "session")
    return bare(row_id("session", session)) if session else None


def _says(row: LegacyRow, words: set[str]) -> bool:
    return (row.text("status", "state") or "").casefold() in words


def _kind(row: LegacyRow, url: str | None) -> GenerationKind:
    said = {(row.text(name) or "").casefold() for name in ("type", "content_type", "mode", "result_type")}
    moves = any(word in _MOVING or word.startswith("video/") for word in said) or row.text("video_url") is not None
    return GenerationKind.VIDEO if moves or (url and _CLIP_FILE.search(urlsplit(url).path)) else GenerationKind.STILL


def _status(row: LegacyRow, url: str | None) -> GenerationStatus:
    """Done is what has an output, or says that it succeeded; nothing of the old studio is under way any more."""
    if _says(row, _FAILED):
        return GenerationStatus.ERROR
    said = row.text("status", "state")
    done = url is not None or _says(row, _MADE) or (said is None and row.text("error") is None)
    return GenerationStatus.DONE if done else GenerationStatus.ERROR


def _vars(row: LegacyRow, kind: GenerationKind, prompt: str | None, url: str | None, output_key: str | None) -> Row:
    """What is known of the variable map; parts that nobody wrote down are not there."""
    told = {
        **row.object("meta", "metadata", "settings"),
        **{name: value for name, value in row.columns.items() if value is not None},
    }
    inputs = {name: _short(told.get(name) or told.get(old)) for name, old in (("brief", "user_brief"), ("style", "style_preset"))}
    inputs["ratio"] = next((each for each in (told.get("ratio"), told.get("aspect_ratio")) if each in RATIOS), None)
    inputs["movement_style"] = _short(told.get("movement_style"))
    still, _ = _public_url(told.get("input_still_url") or told.get("reference_image_url"))
    product, _ = _public_url(told.get("product_image_url"))
    assets = {"product_image_url": product, "input_still_url": still}
    extension = urlsplit(url).path.rpartition(".")[2].lower() if url else ""
    outputs = {"url": url, "key": output_key, "content_type": _TYPES.get(extension)}
    return {
        "version": VARS_VERSION,
        "mode": kind,
        "inputs": _known(inputs),
        "assets": _known(assets),
        "prompts": _known({"clean_prompt": prompt}),
        "outputs": _known(outputs),
    }


def _known(values: Row) -> Row:
    return {name: value for name, value in values.items() if value is not None}


def _short(value: Any) -> str | None:
    return value.strip()[:4_000] or None if isinstance(value, str) else None


def _public_url(value: Any) -> tuple[str | None, list[str]]:
    """An address for good: http or https, without the query that signs it (seed 002, 0.3), and what was odd about it."""
    if not isinstance(value, str) or not value.strip():
        return None, []
    text = value.strip()
    try:
        parts = urlsplit(text)
    except ValueError:
        return None, ["address not usable, kept in the payload only"]
    if parts.scheme not in {"http", "https"} or not parts.netloc or len(text) > URL_CHARS:
        return None, ["address not usable, kept in the payload only"]
    if _SIGNED.search(parts.query):
        return urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), ["signed address, kept without its signature"]
    return text, []


def _reason(words: str, delta: int) -> Reason:
    """Why a balance changed, as the ledger calls it."""
    for pattern, given, taken in _REASONS:
        if pattern.search(words):
            return given if delta >= 0 else taken
    return Reason.ADJUSTMENT


def _verdict(row: LegacyRow, comment: str | None) -> tuple[EventType, bool]:
    """What feedback says. Where it says nothing at all it is a like: the old studio wrote those through `/feedback/like`."""
    said = {(row.text(name) or "").casefold() for name in ("type", "event_type", "action", "feedback_type", "reaction", "value")}
    liked, rating = row.flag("liked", "is_liked", "like"), row.whole("rating", "score")
    if row.flag("disliked", "is_disliked", "dislike") or said & _DISLIKES or (rating is not None and rating < 0):
        return EventType.DISLIKE, True
    if liked is not None or "unlike" in said:
        return EventType.LIKE, bool(liked) and "unlike" not in said
    if said & _LIKES or (rating is not None and rating >= 4):
        return EventType.LIKE, True
    if "download" in said:
        return EventType.DOWNLOAD, True
    return (EventType.FEEDBACK, False) if comment or rating is not None else (EventType.LIKE, True)
