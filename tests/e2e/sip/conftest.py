"""A Kamailio and a floor of phones for each test: no dialog of one is listed to another."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kamailio import CallFloor, Kamailio, require_parts


@pytest.fixture
def kamailio(tmp_path: Path) -> Iterator[Kamailio]:
    require_parts()
    running = Kamailio(tmp_path).start()
    yield running
    running.stop()


@pytest.fixture
def floor(tmp_path: Path, kamailio: Kamailio) -> Iterator[CallFloor]:
    phones = CallFloor(tmp_path, kamailio)
    yield phones
    phones.end()
