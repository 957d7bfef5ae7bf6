"""What every test may ask for."""

from collections.abc import Iterator

import pytest

from tests.support.parts import RealParts, or_skipped


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
    with or_skipped():
        return real_parts.bootstrap


@pytest.fixture(scope="session")
def mongo_url(real_parts: RealParts) -> str:
    """The URL of a real replica set, without a database."""
    with or_skipped():
        return real_parts.mongo_url
