"""A broker and a mongod of the suite's own, for they are killed and frozen."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.network import DistantBroker
from tests.support.parts import MongoServer, Part, or_skipped


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The suite's own client has thousands of lines to say of a broker that is not there."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest.fixture(scope="session")
def parts_to_break() -> Iterator[tuple[DistantBroker, MongoServer]]:
    """Started once for all tests of the suite; each test leaves them running."""
    folder = Path(tempfile.mkdtemp(prefix="aftercall-fault-"))
    started: list[Part] = []
    try:
        with or_skipped():
            broker = DistantBroker(folder / "kafka")
            mongod = MongoServer(folder / "mongod")
        for one in (broker, mongod):
            one.start()
            started.append(one)
        yield broker, mongod
    finally:
        for part in started:
            part.end()
        shutil.rmtree(folder, ignore_errors=True)
