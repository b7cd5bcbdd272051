"""Logs: one line an event; for people in the embedded default, JSON elsewhere. Pass IDs, tokens and briefs never stand in one.

Our own lines and those of the libraries take the same way: fields of the request or run at hand, redaction, one line to stderr.
"""

import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from mina_gql.redaction import redact, tell_errors
from mina_gql.settings import Settings

_TELLS_URLS = ("httpx", "httpx2", "httpcore", "openai", "botocore", "aiobotocore", "urllib3", "uvicorn.access")
"""Libraries that write addresses, headers or bodies below WARNING; an access line of our own stands for uvicorn's."""


class _Stderr:
    """Whatever stderr is when a line is written."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(settings: Settings) -> None:
    """Set up structlog and the standard library's logging, to stderr."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    told: list[Processor] = [
        tell_errors,
        redact,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if settings.embedded else _json,
    ]
    structlog.configure(
        processors=[*shared, *told],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(_Stderr()),  # type: ignore[arg-type]  # it writes and flushes
        cache_logger_on_first_use=True,
    )
    _configure_libraries(max(level, logging.WARNING), [*shared, _first_line], told)


def _configure_libraries(level: int, before: list[Processor], told: list[Processor]) -> None:
    handler = logging.StreamHandler(_Stderr())
    handler.setFormatter(
        ProcessorFormatter(foreign_pre_chain=before, processors=[ProcessorFormatter.remove_processors_meta, *told])
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):  # started as `uvicorn …` it brings its own
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name in _TELLS_URLS:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("asyncpg").setLevel(logging.ERROR)  # its pool tells a traceback for each try while the database is away


def _first_line(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A library's message without what it lists below: asyncio prints whole tasks there, with their errors' words."""
    event["event"] = str(event["event"]).partition("\n")[0]
    record: logging.LogRecord | None = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    first = {name: event.pop(name, None) for name in ("timestamp", "level", "event")}
    return orjson.dumps({**first, **event}, default=_unprintable).decode()


def _unprintable(value: Any) -> str:
    return type(value).__name__
