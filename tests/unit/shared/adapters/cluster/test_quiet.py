"""A few of the client's lines, and how many there were."""

import logging
import time

import pytest
import structlog
from structlog.testing import capture_logs

from shared.adapters.cluster import quiet as quiet_module
from shared.adapters.cluster.quiet import CLIENT, Quiet, quiet_client


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Quiet:
    """A new one in place of the process's own."""
    logger = logging.getLogger(CLIENT)
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(quiet_module, "log", structlog.get_logger())  # a used one stays as it is
    return quiet_client()


def test_one_line_of_each_logger_and_the_number_of_the_others(
    quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    conn, fetcher = logging.getLogger("aiokafka.conn"), logging.getLogger("aiokafka.fetcher")
    with capture_logs() as lines:
        for number in range(5):
            conn.error("no connection %s", number)
        fetcher.warning("no records")
        now[0] += quiet_module.EVERY_S
        conn.error("no connection still")
    told = [(line["logger"], line["said"], line["unsaid"]) for line in lines]
    assert told == [
        ("aiokafka.conn", "no connection 0", 0),
        ("aiokafka.fetcher", "no records", 0),
        ("aiokafka.conn", "no connection still", 4),
    ]
    assert quiet.lines == {"ERROR": 6, "WARNING": 1}


def test_what_is_no_warning_is_nothing(quiet: Quiet) -> None:
    with capture_logs() as lines:
        logging.getLogger("aiokafka.conn").info("connected")
    assert lines == []
    assert quiet.lines == {}


def test_it_is_set_up_once(quiet: Quiet) -> None:
    assert quiet_client() is quiet
    with capture_logs() as lines:
        logging.getLogger("aiokafka.conn").error("once")
    assert len(lines) == 1
    assert not logging.getLogger(CLIENT).propagate  # and goes nowhere else
