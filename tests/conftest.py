"""What every test may ask for."""

import os
from collections.abc import Iterator

import pytest

from tests.support.parts import PartMissing, RealParts


@pytest.fixture(scope="session")
def real_parts() -> Iterator[RealParts]:
    """Real Kafka and mongod, each started when first asked for, once per run."""
    parts = RealParts()
    try:
        yield parts
    finally:
        parts.end()


@pytest.fixture(scope="session")
def kafka(real_parts: RealParts) -> str:
    """Bootstrap servers of a real broker."""
    try:
        return real_parts.bootstrap
    except PartMissing as missing:
        return _missing(missing)


@pytest.fixture(scope="session")
def mongo_url(real_parts: RealParts) -> str:
    """The URL of a real replica set, without a database."""
    try:
        return real_parts.mongo_url
    except PartMissing as missing:
        return _missing(missing)


def _missing(missing: PartMissing) -> str:
    if os.environ.get("CI") == "true":
        pytest.fail(str(missing))
    pytest.skip(str(missing))
