"""Which adapters a profile means: never others than were asked for."""

from pathlib import Path
from typing import Any

import pytest

from services import profile
from services.profile import open_profile
from services.settings import Settings, SettingsError
from shared.adapters.cluster.topics import TopicsRefused
from shared.contracts.errors import Unavailable

pytestmark = pytest.mark.asyncio


def cluster(data_dir: Path) -> Settings:
    return Settings(
        profile="cluster",
        kafka_bootstrap="broker:9092",
        mongo_url="mongodb://store/calls",
        mongo_driver="pymongo",
        topic_prefix="blue.",
        instance="worker-1",
        data_dir=data_dir,
    )


@pytest.mark.parametrize(
    ("refused", "told"),
    [(TopicsRefused("12 partitions"), SettingsError), (Unavailable("no broker"), Unavailable)],
)
async def test_data_of_the_cluster_never_lands_in_a_local_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Exception,
    told: type[Exception],
) -> None:
    asked: list[tuple[Any, ...]] = []

    async def refuse(*addresses: Any, **more: Any) -> None:
        asked.append((*addresses[:2], more))
        raise refused

    monkeypatch.setattr(profile, "open_cluster", refuse)
    with pytest.raises(told, match=str(refused)):
        await open_profile(cluster(tmp_path / "data"))
    named = {"driver": "pymongo", "prefix": "blue.", "instance": "worker-1"}
    assert asked == [("broker:9092", "mongodb://store/calls", named)]
    assert not (tmp_path / "data").exists()
