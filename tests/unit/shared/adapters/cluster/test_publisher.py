"""The client's producer is disposable; the one in its place is another."""

from typing import Any

import pytest
from aiokafka.errors import RequestTimedOutError

from shared.adapters.cluster.names import Names
from shared.adapters.cluster.publisher import Publisher, _Deadline
from shared.contracts.errors import Unavailable
from tests.support.clock import FakeClock

pytestmark = pytest.mark.asyncio


class Producers:
    """A publisher whose producers are only names; `ended`: those that were dropped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.publisher = Publisher("127.0.0.1:1", Names("", 1), FakeClock())
        self.ended: list[Any] = []
        monkeypatch.setattr(self.publisher, "_end", self.ended.append)

    async def fail(self, used: Any, *, now: Any) -> None:
        """Fail with this producer, while by now that one is there."""
        self.publisher._producer = now
        using = _Deadline(self.publisher, 5.0)
        await using.__aenter__()
        using.producer = used
        error = RequestTimedOutError()
        with pytest.raises(Unavailable):
            await using.__aexit__(type(error), error, None)


async def test_what_fails_drops_the_producer_that_it_used(monkeypatch: pytest.MonkeyPatch) -> None:
    producers = Producers(monkeypatch)
    await producers.fail("first", now="first")
    assert (producers.ended, producers.publisher._producer) == (["first"], None)


@pytest.mark.parametrize("used", ["first", None])
async def test_a_newer_producer_is_left_alone_by_what_failed_with_the_one_before(
    used: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    producers = Producers(monkeypatch)
    await producers.fail(used, now="second")
    assert (producers.ended, producers.publisher._producer) == ([], "second")
    assert producers.publisher.dropped == 0
