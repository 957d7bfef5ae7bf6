"""Logs: JSON lines on standard error, or coloured text on a terminal. Never keys or bodies.

What other libraries say goes through the same processors, so that every line is one JSON object.
Each is written at once, with its end: processes that share a file or a pipe don't mix their lines.
"""

import logging
import sys
from functools import cache
from typing import Any, Final

import structlog
from structlog.stdlib import ProcessorFormatter

VALUE_CHARS_MAX: Final = 500
SECRET_WORDS: Final = ("authorization", "secret", "password", "token", "api_key", "comment")


def configure_logging(level: str = "info") -> None:
    """Set up structlog, and the standard library's logging and warnings, once per process."""
    chain: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
        structlog.processors.format_exc_info,
    ]
    render = _renderer()
    structlog.configure(
        processors=[*chain, render],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_others(chain, render)])
    logging.captureWarnings(capture=True)


def _renderer() -> structlog.typing.Processor:
    if sys.stderr.isatty():
        return structlog.dev.ConsoleRenderer()
    return structlog.processors.JSONRenderer()


def _others(
    chain: list[structlog.typing.Processor], render: structlog.typing.Processor
) -> logging.Handler:
    """Writes the lines of other libraries like ours, with the name of their logger."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *chain],
            processors=[ProcessorFormatter.remove_processors_meta, render],
        )
    )
    return handler


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
