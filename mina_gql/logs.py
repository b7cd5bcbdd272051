"""Logs: one line an event; for people in the embedded default, JSON elsewhere. Pass IDs, tokens and briefs never stand in one."""

import logging
import sys

import structlog
from structlog.typing import Processor

from mina_gql.settings import Settings


def configure(settings: Settings) -> None:
    """Set up structlog and the standard library's logging, to stderr."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    plain = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    machine: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *([plain] if settings.embedded else machine)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.getLogger("asyncpg").setLevel(logging.ERROR)  # its pool tells a traceback for each try while the database is away
    logging.basicConfig(
        level=max(level, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True
    )
