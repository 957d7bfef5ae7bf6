"""What an `OverlayStore` promises, whichever adapter it is."""

import asyncio

import pytest

from shared.contracts.errors import WriteConflict
from shared.runtime.overlays import OverlayStore, Stored
from tests.conformance.adapters import STORES, Parts, Profile

PROFILES = STORES
pytestmark = pytest.mark.asyncio


async def test_a_fresh_store_has_none(parts: Parts) -> None:
    assert await parts.overlays.versions() == {}
    assert await parts.overlays.load(["acme"]) == {}
    assert await parts.overlays.load([]) == {}


async def test_what_was_saved_is_loaded(parts: Parts) -> None:
    await parts.overlays.save("acme", Stored(1, b'{"\x00\xff'))
    await parts.overlays.save("other", Stored(1, b"{}"))
    await parts.overlays.save("acme", Stored(2, b"second"))
    assert await parts.overlays.versions() == {"acme": 2, "other": 1}
    assert await parts.overlays.load(["acme", "nobody"]) == {"acme": Stored(2, b"second")}


@pytest.mark.parametrize("version", [1, 2, 4])
async def test_a_version_that_does_not_follow_is_a_conflict_and_changes_nothing(
    parts: Parts, version: int
) -> None:
    await parts.overlays.save("acme", Stored(1, b"first"))
    await parts.overlays.save("acme", Stored(2, b"second"))
    with pytest.raises(WriteConflict):
        await parts.overlays.save("acme", Stored(version, b"mine"))
    assert await parts.overlays.load(["acme"]) == {"acme": Stored(2, b"second")}


async def test_there_is_no_second_version_without_a_first(parts: Parts) -> None:
    with pytest.raises(WriteConflict):
        await parts.overlays.save("acme", Stored(2, b"second"))
    assert await parts.overlays.versions() == {}


async def test_of_many_that_save_the_same_version_one_wins(parts: Parts) -> None:
    async def save(number: int) -> int | None:
        try:
            await parts.overlays.save("acme", Stored(1, b"%d" % number))
        except WriteConflict:
            return None
        return number

    (winner,) = [
        number for number in await asyncio.gather(*map(save, range(8))) if number is not None
    ]
    assert await parts.overlays.load(["acme"]) == {"acme": Stored(1, b"%d" % winner)}


async def test_more_tenants_than_one_query_takes(parts: Parts) -> None:
    names = [f"t{number}" for number in range(501)]
    await asyncio.gather(*(parts.overlays.save(name, Stored(1, name.encode())) for name in names))
    assert {
        name: stored.body.decode() for name, stored in (await parts.overlays.load(names)).items()
    } == {name: name for name in names}


async def test_what_was_saved_outlives_its_opening(profile: Profile) -> None:
    async with profile.open() as parts:
        await parts.overlays.save("acme", Stored(1, b"kept"))
    async with profile.open() as parts:
        overlays: OverlayStore = parts.overlays
        assert await overlays.load(["acme"]) == {"acme": Stored(1, b"kept")}
