"""One fixture per question: which adapters run the suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.conformance.adapters import COMMITS, PROFILES, Parts, Profile


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest, tmp_path: Path) -> Profile:
    """To be opened by the test itself, more than once."""
    return PROFILES[request.param](tmp_path)


@pytest_asyncio.fixture
async def parts(profile: Profile) -> AsyncIterator[Parts]:
    async with profile.open() as opened:
        yield opened


@pytest.fixture(params=COMMITS)
def committing(request: pytest.FixtureRequest, tmp_path: Path) -> Profile:
    """Every way of committing; to be opened by the test itself."""
    return COMMITS[request.param](tmp_path)
