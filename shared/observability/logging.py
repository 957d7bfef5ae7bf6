"""Logs: JSON lines on standard output, or coloured text on a terminal. Never keys or bodies."""

import logging
import sys
from functools import cache
from typing import Any, Final

import structlog

VALUE_CHARS_MAX: Final = 500
SECRET_WORDS: Final = ("authorization", "secret", "password", "token", "api_key", "comment")


def configure_logging(level: str = "info") -> None:
    """Set up structlog once per process."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s %(message)s")


@cache
def _is_secret(name: str) -> bool:
    """Field names are literals in the code, so there are few."""
    return any(word in name.lower() for word in SECRET_WORDS)


def _redact(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Cut long values and hide what a field's name says is secret."""
    for name, value in event.items():
        if _is_secret(name):
            event[name] = "***"
        elif isinstance(value, str) and len(value) > VALUE_CHARS_MAX:
            event[name] = value[:VALUE_CHARS_MAX] + "…"
    return event
