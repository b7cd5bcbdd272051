"""Reading a legacy row whatever is in it: columns that are not there, words where numbers should be, times without a zone."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Self
from uuid import UUID

import orjson

NAME_CHARS = 200
INT_MAX = 2**31 - 1

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_IN_NAME = re.compile(r"pass[_:]", re.IGNORECASE)
_TRUE = {"true", "t", "yes", "y", "1", "on"}
_FALSE = {"false", "f", "no", "n", "0", "off"}
_MILLISECONDS_FROM = 100_000_000_000


class Unreadable(Exception):
    """A row that cannot be read as JSON; it is listed and left where it is."""


@dataclass(frozen=True, slots=True)
class LegacyRow:
    """A row of a legacy table. `key` names it there, `original` is the whole row as JSON, fit for PostgreSQL's jsonb.

    `columns` are its values by small name (`shopifyCustomerId` reads as `shopify_customer_id`).
    """

    table: str
    key: str
    original: orjson.Fragment
    columns: Mapping[str, Any]

    @classmethod
    def read(cls, table: str, key: str, text: str) -> Self:
        """A row from its JSON text. What jsonb cannot hold (NUL, half a surrogate pair) becomes U+FFFD. Raises Unreadable.

        Where a number is beyond jsonb, or what is nested too deep, the original is kept as `{"text": …}`.
        """
        try:
            if _ESCAPED.search(text):
                text = orjson.dumps(_storable(json.loads(text))).decode()
            original, columns = orjson.Fragment(text), orjson.loads(text)
        except ValueError:
            original, columns = orjson.Fragment(orjson.dumps({"text": storable(text)})), _leniently(text)
        named = {small_name(name): value for name, value in columns.items()}
        return cls(table, storable(key), original, named)

    def first(self, names: tuple[str, ...]) -> Any:
        """The first of these columns that holds anything."""
        for name in names:
            found = self.columns.get(name)
            if found is not None and found != "":
                return found
        return None

    def text(self, *names: str) -> str | None:
        """Words, without blanks around them."""
        found = self.first(names)
        if found is None:
            return None
        words = (
            found if isinstance(found, str) else orjson.dumps(found).decode() if isinstance(found, dict | list) else str(found)
        )
        return words.strip() or None

    def whole(self, *names: str) -> int | None:
        """A whole number that fits into a column; None for what is none."""
        found = rounded(self.first(names))
        return found if found is not None and abs(found) <= INT_MAX else None

    def flag(self, *names: str) -> bool | None:
        """True or false, also where it is said in words; None for what is neither."""
        found = self.first(names)
        words = str(found).strip().casefold()
        return True if words in _TRUE else False if words in _FALSE else None

    def moment(self, *names: str) -> str | None:
        """The first of these columns that is a moment, as RFC 3339."""
        for name in names:
            found = moment(self.columns.get(name))
            if found is not None:
                return found
        return None

    def object(self, *names: str) -> dict[str, Any]:
        """A JSON object, also where it was kept as text; empty for what is none."""
        found = self.first(names)
        if isinstance(found, str) and found.lstrip().startswith("{"):
            try:
                found = orjson.loads(found)
            except ValueError:
                return {}
        return found if isinstance(found, dict) else {}


def small_name(name: str) -> str:
    """A column's name as we call it: `shopifyCustomerId` is `shopify_customer_id`."""
    return name if name.islower() else _CAMEL.sub("_", name).lower()


def moment(value: object) -> str | None:
    """A moment as RFC 3339: ISO text (UTC where it says no zone), or seconds or milliseconds since 1970."""
    try:
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, int | float) or (isinstance(value, str) and value.strip().isdecimal()):
            number = float(value)
            found = datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)
        else:
            found = datetime.fromisoformat(str(value).strip())
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found.isoformat() if found.year >= 1900 else None


def rounded(value: object) -> int | None:
    """A number rounded to a whole one, halves away from zero; also from text. None for what is no finite number."""
    if value is None or isinstance(value, bool | dict | list):
        return None
    if isinstance(value, int):
        return value
    try:
        number = Decimal(str(value).strip())
        return int(number.to_integral_value(ROUND_HALF_UP)) if number.is_finite() and abs(number) < 10**18 else None
    except (InvalidOperation, ValueError):
        return None


def is_whole(value: object) -> bool:
    """Whether a number lost nothing by being rounded."""
    return rounded(value) is not None and Decimal(str(value).strip()) == rounded(value)


def uuid_of(value: str | None) -> str | None:
    """A UUID in its one spelling, or None."""
    try:
        return str(UUID(value)) if value else None
    except ValueError:
        return None


def row_id(record_type: str, key: str) -> str:
    """`<record type>:<key>`; a key that is too long, names a Pass or looks like one of our ledger ids is hashed."""
    ours = record_type == "credit_transaction" and key.count(":") > 0
    if len(key) > NAME_CHARS or ours or not key.isprintable() or _SECRET_IN_NAME.search(key):
        key = f"legacy-{hashlib.sha256(key.encode()).hexdigest()}"
    return f"{record_type}:{key}"


def bare(mg_id: str) -> str:
    """What stands behind the record type."""
    return mg_id.partition(":")[2]


def storable(text: str) -> str:
    """Text as PostgreSQL can keep it."""
    return _UNSTORABLE.sub("\ufffd", text)


def _leniently(text: str) -> dict[str, Any]:
    try:
        columns = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not readable as JSON ({type(error).__name__})") from error
    return {name: _storable(value) for name, value in columns.items() if not isinstance(value, dict | list)}


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {storable(name): _storable(each) for name, each in value.items()}
    return value if not isinstance(value, int) or abs(value) < 2**63 else str(value)
