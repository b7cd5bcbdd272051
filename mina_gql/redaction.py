"""What of a log line may be told: no words, addresses or secrets of people. The last line of defence, not the first."""

import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from structlog.typing import EventDict, WrappedLogger

_SECRET_NAMES = frozenset(
    {"authorization", "brief", "cookie", "email", "feedback", "headers", "pass_id", "password", "query", "secret", "token"}
)
_HIDDEN = "[…]"
_PATTERNS = (
    (re.compile(r"\bpass:[a-z]+:[^\s\"'<>(),;]+"), "[pass]"),
    (re.compile(r"eyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?"), "[token]"),
    (re.compile(r"\b(Bearer|bearer|Basic) +[\w.~+/=-]{6,}"), r"\1 [token]"),
    (re.compile(r"\b(?:sk-|r8_|whsec_|shp[a-z]{2}_)[\w/+=-]{6,}"), "[key]"),
    (re.compile(r"([a-z][a-z0-9+]{0,15}://)[^\s/@\"'<>]{1,300}@", re.IGNORECASE), r"\1[…]@"),
    (re.compile(r"((?:https?|wss?)://[^\s?#\"'<>]+)[?#][^\s\"'<>]*", re.IGNORECASE), r"\1?[…]"),
    (re.compile(r"(/(?:uploads|history/pass)/)(?!\{\w+\}(?![^\s\"'<>]))[^\s\"'<>]+"), r"\1[…]"),  # but not a route's pattern
    (re.compile(r"[^\s\"'<>()=:,;@]{1,64}@[\w-]+(?:\.[\w-]+)+"), "[email]"),
)
_SUSPECT = re.compile(r"pass:|eyJ|@|://|sk-|r8_|whsec_|shp[a-z]|/uploads/|/history/pass/|bearer|basic", re.IGNORECASE)
"""What every pattern has something of: most texts have none of it, and are looked at once."""
_MOST_CHARS = 16_000
_CHAIN = 5


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A processor: every value as it may be told."""
    return {name: _HIDDEN if name in _SECRET_NAMES else _tame(value) for name, value in event.items()}


def tell_errors(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A processor: `exc_info` becomes `exception`, a traceback in which errors are told by `told`."""
    given = event.pop("exc_info", None)
    if given:
        error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]
        if error is not None:
            event["exception"] = "\n".join(_traceback(error))
    return event


def told(error: BaseException) -> str:
    """An error in a few words: its type, and its own words where they cannot be a person's.

    Of what libraries raise only the type is told: a ValueError quotes the value, a database its row.
    """
    name, module = type(error).__qualname__, type(error).__module__
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return " ".join([name, state, *filter(None, [getattr(error, "constraint_name", None)])])
    ours = module == "mina_gql" or module.startswith("mina_gql.")
    harmless = isinstance(error, OSError | AttributeError | NameError | ImportError | TypeError) and module == "builtins"
    words = str(error) if ours or harmless else ""
    return f"{name}: {words}" if words else name


def _traceback(error: BaseException, depth: int = 0) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth < _CHAIN:
        yield from _traceback(cause, depth + 1)
        yield "which led to:"
    yield "Traceback (most recent call last):"
    yield from (line.rstrip() for line in traceback.format_tb(error.__traceback__))
    yield told(error)
    if isinstance(error, BaseExceptionGroup) and depth < _CHAIN:
        for inner in error.exceptions:
            yield from _traceback(inner, depth + 1)


def _tame(value: Any) -> Any:
    match value:
        case str():
            return _clean(value)
        case None | bool() | int() | float():
            return value
        case BaseException():
            return _clean(told(value))
        case Mapping():
            return {str(name): _HIDDEN if name in _SECRET_NAMES else _tame(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_tame(each) for each in value]
        case _:
            return _clean(str(value))


def _clean(text: str) -> str:
    if len(text) > _MOST_CHARS:
        text = text[:_MOST_CHARS].rpartition(" ")[0] + " …"  # between words: half an address is no longer seen to be one
    if _SUSPECT.search(text) is not None:
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
    return text
