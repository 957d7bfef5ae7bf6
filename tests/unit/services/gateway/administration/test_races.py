"""Many change one tenant at once, through several gateways: no change is lost."""

import asyncio

import pytest
from typing_extensions import override

from services.gateway.administration import desk
from services.gateway.administration.desk import TRIES
from shared.contracts.errors import WriteConflict
from shared.runtime.overlays import Stored
from tests.support.memory_overlays import MemoryOverlayStore
from tests.unit.services.gateway.administration.office import Office, open_office
from tests.unit.services.gateway.floor import ADMIN

pytestmark = pytest.mark.asyncio


class Slow(MemoryOverlayStore):
    """Lets others have a turn before it writes; may always be overtaken."""

    def __init__(self) -> None:
        super().__init__()
        self.saves = 0
        self.overtaken = False

    @override
    async def save(self, tenant_id: str, overlay: Stored) -> None:
        self.saves += 1
        await asyncio.sleep(0)
        if self.overtaken:
            raise WriteConflict(tenant_id)
        await super().save(tenant_id, overlay)


async def test_of_many_changes_through_two_gateways_none_is_lost() -> None:
    store = Slow()
    async with open_office(store) as one, open_office(store) as other:
        wanted = {f"c{number}" for number in range(6)}
        answers = await asyncio.gather(
            *(
                (one, other)[number % 2].ask("PUT", f"/campaigns/{name}", ADMIN)
                for number, name in enumerate(sorted(wanted))
            )
        )
        assert {status for status, _ in answers} == {201}
        assert store.saves > len(wanted)  # some were overtaken, and tried again
        for office in (one, other):
            _, page = await office.ask("GET", "/campaigns", ADMIN)
            assert wanted <= {row["campaign_id"] for row in page["rows"]}


async def test_who_is_overtaken_each_time_is_told_to_try_again() -> None:
    store = Slow()
    store.overtaken = True
    async with open_office(store) as office:
        status, problem = await office.ask("PUT", "/campaigns/spring", ADMIN)
    assert (status, problem["code"]) == (503, "unavailable")
    assert store.saves == TRIES


async def test_only_so_much_may_be_otherwise_than_in_the_file(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await office.ask("PUT", "/campaigns/spring", ADMIN))[0] == 201
    size = len(office.overlays.rows["demo"].body)
    monkeypatch.setattr(desk, "OVERLAY_BYTES_MAX", size)
    assert (await office.ask("PUT", "/campaigns/spring", ADMIN))[0] == 200
    status, problem = await office.ask("PUT", "/campaigns/sprint", ADMIN)
    assert (status, problem["code"]) == (422, "validation")
    assert len(office.overlays.rows["demo"].body) == size
