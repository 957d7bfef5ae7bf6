"""A broker and a mongod of the suite's own, for they are killed and frozen."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.network import DistantBroker
from tests.support.parts import MongoServer, Part, PartMissing


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
        broker = DistantBroker(folder / "kafka")
        broker.start()
        started.append(broker)
        mongod = MongoServer(folder / "mongod")
        mongod.start()
        started.append(mongod)
        yield broker, mongod
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    finally:
        for part in started:
            part.end()
        shutil.rmtree(folder, ignore_errors=True)
