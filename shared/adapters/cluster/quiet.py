"""The client's own log lines, a few of them: with the broker away it writes thousands.

One line of each of its loggers goes on every `EVERY_S`, as a line of ours, with how many were left
out since the last; all are counted.
"""

import logging
import time
from collections import defaultdict
from typing import Final

import structlog

EVERY_S: Final = 10.0
CLIENT: Final = "aiokafka"

log = structlog.get_logger()


class Quiet(logging.Handler):
    """A handler for the client's root logger.

    Attributes:
        lines: how many it wrote, by level.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: dict[str, int] = defaultdict(int)
        self._said_at: dict[str, float] = {}
        self._unsaid: dict[str, int] = defaultdict(int)

    def emit(self, record: logging.LogRecord) -> None:
        """Count the line; let it through if its logger was silent for long enough."""
        self.lines[record.levelname] += 1
        now = time.monotonic()
        if now < self._said_at.get(record.name, -EVERY_S) + EVERY_S:
            self._unsaid[record.name] += 1
            return
        self._said_at[record.name] = now
        log.warning(
            "kafka_client",
            logger=record.name,
            said=record.getMessage(),
            unsaid=self._unsaid.pop(record.name, 0),
        )


def quiet_client() -> Quiet:
    """Let no line of the client go anywhere else; the same handler however often called."""
    logger = logging.getLogger(CLIENT)
    for handler in logger.handlers:
        if isinstance(handler, Quiet):
            return handler
    quiet = Quiet()
    logger.addHandler(quiet)
    logger.propagate = False
    return quiet
