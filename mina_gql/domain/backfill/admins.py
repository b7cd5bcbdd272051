"""Legacy admin rows as rows of `mega_admin`: kept to be read, never in force by themselves."""

import hashlib
import re
from typing import Any

import orjson

from mina_gql.domain.backfill.records import MappedRow, Row
from mina_gql.domain.backfill.values import LegacyRow, bare, row_id, uuid_of
from mina_gql.domain.config import RUNTIME_DEFAULTS

_HASH = re.compile(r"[0-9a-fA-F]{32,128}")
_TOKENS = ("session_hash", "hash", "token", "session_token", "session_id")


def admin_row(row: LegacyRow, record_type: str) -> MappedRow:
    """A legacy admin row of this record type."""
    row = _without_tokens(row) if record_type == "admin_session" else row
    notes: list[str] = []
    values = {**_common(row, record_type), **_BY_TYPE[record_type](row, notes)}
    return MappedRow(values, tuple(notes))


def _common(row: LegacyRow, record_type: str) -> Row:
    created_at = row.moment("created_at", "inserted_at", "timestamp", "first_seen_at", "updated_at")
    return {
        "id": row_id(record_type, row.key),
        "record_type": record_type,
        "user_id": uuid_of(row.text("user_id", "admin_user_id", "actor_user_id")),
        "email": row.text("email", "admin_email", "actor_email"),
        "ip": row.text("ip", "ip_address"),
        "user_agent": row.text("user_agent"),
        "meta": {},
        "payload": row.original,
        "source_system": "legacy",
        "deleted_at": row.moment("deleted_at"),
        "created_at": created_at,
        "updated_at": row.moment("updated_at") or created_at,
    }


def _session(row: LegacyRow, _: list[str]) -> Row:
    return {
        "session_hash": bare(row_id("admin_session", row.key)),
        "first_seen_at": row.moment("first_seen_at", "created_at"),
        "last_seen_at": row.moment("last_seen_at", "updated_at"),
    }


def _audit(row: LegacyRow, _: list[str]) -> Row:
    detail = row.first(("detail", "details", "payload", "meta"))
    return {
        "action": f"legacy.{row.text('action', 'event') or 'unknown'}",
        "route": row.text("route", "path"),
        "method": row.text("method"),
        "status": row.whole("status", "status_code"),
        "detail": detail if isinstance(detail, dict) else None if detail is None else {"detail": detail},
    }


def _profile(row: LegacyRow, _: list[str]) -> Row:
    return {
        "profile_id": uuid_of(row.text("id", "profile_id")),
        "shopify_customer_id": row.text("shopify_customer_id", "shopify_id"),
    }


def _runtime(row: LegacyRow, notes: list[str]) -> Row:
    """Knobs that have a name of ours would be in force at once, unchecked: those stay in the payload."""
    flat = row.object("runtime_flat", "flat", "config", "data", "value") or _single(row)
    ours = sorted(flat.keys() & RUNTIME_DEFAULTS.keys())
    if ours:
        notes.append(f"knobs with names of ours are not in force, set them anew: {', '.join(ours)}")
    id_ = row.whole("id", "runtime_id")
    return {"runtime_id": id_, "runtime_flat": {name: value for name, value in flat.items() if name not in ours}}


def _single(row: LegacyRow) -> Row:
    """A table of one knob a row."""
    key = row.text("key", "name")
    return {key: row.columns.get("value")} if key else {}


def _config(row: LegacyRow, _: list[str]) -> Row:
    """Switched off: what the old studio was told is not what this one understands."""
    return {
        "key": row.text("key") or row.key,
        "value": _json(row.first(("value", "config", "data")) or {}),
        "meta": {"enabled": False},
    }


def _json(value: Any) -> Any:
    """A value as it was, also where it was kept as text."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return value


def _without_tokens(row: LegacyRow) -> LegacyRow:
    """A session by the hash of its token: where the old table kept the token itself, it is not carried over (FEATURES P8)."""
    known = {name: _hashed(value) for name, value in row.columns.items() if name in _TOKENS and isinstance(value, str)}
    if all(known[name] == row.columns[name] for name in known):
        return LegacyRow(row.table, _hashed(row.key), row.original, row.columns)
    columns = {**row.columns, **known}
    return LegacyRow(row.table, _hashed(row.key), orjson.Fragment(orjson.dumps(columns)), columns)


def _hashed(token: str) -> str:
    return token if _HASH.fullmatch(token) else hashlib.sha256(token.encode()).hexdigest()


_BY_TYPE = {
    "admin_session": _session,
    "admin_audit": _audit,
    "profile": _profile,
    "runtime_config": _runtime,
    "app_config": _config,
}
