"""One fixture per question: which adapters run the suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.conformance.adapters import COMMITS, LOGS, REAL, STORES, Make, Parts, Profile

ALL: dict[str, Make] = {**LOGS, **STORES, **COMMITS}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A suite runs against the adapters that its module names in `PROFILES`."""
    if "profile" in metafunc.fixturenames:
        names = list(metafunc.module.PROFILES)
        marked = [pytest.param(n, marks=pytest.mark.cluster) if n in REAL else n for n in names]
        metafunc.parametrize("profile", marked, indirect=True)


@pytest.fixture
def profile(request: pytest.FixtureRequest, tmp_path: Path) -> Profile:
    """To be opened by the test itself, more than once."""
    return ALL[request.param](request, tmp_path)


@pytest_asyncio.fixture
async def parts(profile: Profile) -> AsyncIterator[Parts]:
    async with profile.open() as opened:
        yield opened
