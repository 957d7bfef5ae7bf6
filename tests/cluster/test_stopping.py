"""A service that is told to stop ends in time, whatever the broker does."""

import asyncio
import json
import signal
import time
from pathlib import Path

import pytest

from services.processes import STOP_S
from tests.support.parts import KafkaBroker
from tests.support.product import ClusterProduct

pytestmark = [pytest.mark.asyncio, pytest.mark.cluster]

SPARE_S = 3.0  # of a slow machine


async def test_with_the_broker_frozen_every_service_ends_in_time(
    broker: KafkaBroker, mongo_url: str, tmp_path: Path
) -> None:
    async with ClusterProduct(tmp_path / "data", broker.bootstrap, mongo_url) as product:
        assert isinstance(product, ClusterProduct)
        broker.freeze()
        await asyncio.sleep(1.0)  # so that each has something under way
        begun = time.monotonic()
        for process in product._processes.values():
            process.send_signal(signal.SIGTERM)
        for role, process in product._processes.items():
            await asyncio.to_thread(process.wait, 5 * STOP_S)
            took_s = time.monotonic() - begun
            print(f"{role} took {took_s:.1f} s, and ended with {process.returncode}")
            assert took_s < STOP_S + SPARE_S, product.log_path.read_text()[-3000:]
        broker.thaw()
        lines = product.log_path.read_text().splitlines()
        assert [line for line in lines if not isinstance(json.loads(line), dict)] == []
