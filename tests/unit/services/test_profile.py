"""Which adapters a profile means: never others than were asked for."""

from pathlib import Path

import pytest

from services.profile import open_profile
from services.settings import Settings, SettingsError


@pytest.mark.asyncio
async def test_data_of_the_cluster_never_lands_in_a_local_file(tmp_path: Path) -> None:
    where = tmp_path / "data"
    asked = Settings(
        profile="cluster",
        kafka_bootstrap="nowhere:9",
        mongo_url="mongodb://nowhere",
        data_dir=where,
    )
    with pytest.raises(SettingsError, match="cluster is not in this version"):
        await open_profile(asked)
    assert not where.exists()
