"""A broker that starts together with us is waited for, and that is not said twice a second."""

import pytest
from structlog.testing import capture_logs

from shared.adapters.cluster import kafka
from shared.adapters.cluster.kafka import awaited
from shared.contracts.errors import Unavailable

pytestmark = pytest.mark.asyncio


class Broker:
    """Away for so many questions."""

    def __init__(self, away: int) -> None:
        self.left = away

    async def check(self) -> int:
        self.left -= 1
        if self.left >= 0:
            raise Unavailable("no broker")
        return 12


@pytest.mark.parametrize(("every_s", "lines_said"), [(60.0, 1), (0.0, 20)])
async def test_of_a_broker_that_is_away_one_line_is_said_now_and_then(
    every_s: float, lines_said: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "RETRY_S", 0.001)
    monkeypatch.setattr(kafka, "SAY_EVERY_S", every_s)
    with capture_logs() as lines:
        assert await awaited(Broker(20).check) == 12
    assert [line["event"] for line in lines] == ["broker_awaited"] * lines_said


async def test_whoever_waits_is_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "START_S", 0.0)
    monkeypatch.setattr(kafka, "RETRY_S", 0.001)
    with pytest.raises(Unavailable):
        await awaited(Broker(20).check)
