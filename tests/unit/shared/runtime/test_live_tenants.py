"""The directory follows what any process has changed, and is never half new, nor without an end."""

import asyncio
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from shared.contracts.errors import WriteConflict
from shared.contracts.overlays import CodeEntry, Overlay, Settings
from shared.contracts.tenants import Agent, Code, Credential, Tenant
from shared.runtime.live_tenants import Known, LiveTenantDirectory, Unfit
from shared.runtime.overlays import Stored
from shared.runtime.tenants import TenantBook
from tests.support.clock import FakeClock
from tests.support.memory_overlays import MemoryOverlayStore

pytestmark = pytest.mark.asyncio


def digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def key(key_id: str, secret: str, **more: Any) -> Credential:
    return Credential(id=key_id, sha256=digest(secret), **more)


ACME = Tenant(id="acme", codes=(Code(code="Sale"),), credentials=(key("one", "acme-key"),))
OTHER = Tenant(id="other", credentials=(key("one", "other-key"),))


class Office:
    """Two processes on one store."""

    def __init__(self) -> None:
        self.store, self.clock = MemoryOverlayStore(), FakeClock()
        self.here, self.there = self.opened(), self.opened()

    def opened(self) -> LiveTenantDirectory:
        return LiveTenantDirectory([ACME, OTHER], self.store, self.clock, refresh_s=0.001)

    async def change(self, tenant_id: str, **changes: Any) -> None:
        """Somebody else's change."""
        version = self.here.known(tenant_id).version
        await self.here.save(tenant_id, Known(version + 1, Overlay(**changes)))

    def put(self, tenant_id: str, body: bytes, version: int = 1) -> None:
        self.store.rows[tenant_id] = Stored(version, body)


@pytest.fixture
def office() -> Office:
    return Office()


async def test_who_changes_knows_it_at_once_and_others_at_their_next_look(office: Office) -> None:
    await office.change("acme", credentials={"two": key("two", "fresh")})
    assert office.here.find("bearer", b"fresh") is not None
    assert office.there.find("bearer", b"fresh") is None
    assert await office.there.refresh() == {}
    assert office.there.find("bearer", b"fresh") is not None
    assert office.there.get("acme") == office.here.get("acme")


async def test_a_start_reads_all_there_is(office: Office) -> None:
    await office.change("new", made=True, settings=Settings(name="New"))
    fresh = office.opened()
    await fresh.start()
    assert [tenant.id for tenant in fresh.all()] == ["acme", "other", "new"]


async def test_what_has_not_changed_is_the_very_same(office: Office) -> None:
    before = office.here.get("other")
    await office.change("acme", settings=Settings(name="Acme"))
    assert office.here.get("other") is before  # others cache by it


async def test_a_look_without_news_reads_versions_alone(office: Office) -> None:
    await office.change("acme", settings=Settings(name="Acme"))
    await office.there.refresh()
    office.store.rows["acme"] = Stored(1, b"never read")
    assert await office.there.refresh() == {}


async def test_a_found_credential_stands_until_it_is_revoked(office: Office) -> None:
    found = office.here.find("bearer", b"acme-key")
    assert found is not None
    await office.change("acme", settings=Settings(name="Acme"))
    assert office.here.stands(found)
    revoked = msgspec.structs.replace(ACME.credentials[0], revoked_ms=1)
    await office.change("acme", credentials={"one": revoked})
    assert not office.here.stands(found)


async def test_a_secret_before_stands_for_its_own_time(office: Office) -> None:
    until_ms = office.clock.now_ms() + 1_000
    two = key("one", "newer", older_sha256=digest("acme-key"), older_until_ms=until_ms)
    await office.change("acme", credentials={"one": two})
    older = office.here.find("bearer", b"acme-key")
    newer = office.here.find("bearer", b"newer")
    assert older is not None
    assert newer is not None
    assert older.credential.id == newer.credential.id
    office.clock.advance(1_000)
    await office.here.refresh()
    assert not office.here.stands(older)
    assert office.here.stands(newer)


async def test_a_secret_ends_while_the_store_is_away(office: Office) -> None:
    until_ms = office.clock.now_ms() + 1_000
    two = key("one", "newer", older_sha256=digest("acme-key"), older_until_ms=until_ms)
    await office.change("acme", credentials={"one": two})
    office.store.away = True
    office.clock.advance(1_000)
    running = asyncio.create_task(office.here.run())
    try:
        async with asyncio.timeout(5):
            while office.here.find("bearer", b"acme-key") is not None:
                await asyncio.sleep(0.001)
    finally:
        running.cancel()
    assert office.here.find("bearer", b"newer") is not None


async def test_while_the_store_is_away_the_last_known_stays_and_it_is_said_once(
    office: Office,
) -> None:
    await office.change("acme", settings=Settings(name="Acme"))
    with capture_logs() as logs:
        running = asyncio.create_task(office.there.run())
        try:
            async with asyncio.timeout(5):
                while office.there.known("acme").version < 1:
                    await asyncio.sleep(0.001)
                office.store.away = True
                await asyncio.sleep(0.05)
                office.store.away = False
                await office.change("acme", settings=Settings(name="Acme 2"))
                while office.there.known("acme").version < 2:
                    await asyncio.sleep(0.001)
        finally:
            running.cancel()
    assert [one["event"] for one in logs] == ["tenants_not_refreshed", "tenants_refreshed_again"]


UNFIT = [
    b"{",
    b'{"agents": {"ada": 7}}',
    msgspec.json.encode(Overlay(codes={"New": CodeEntry(folder="Nowhere")})),
    msgspec.json.encode(Overlay(settings=Settings(time_zone="Mars/Olympus"))),
]


@pytest.mark.parametrize("body", UNFIT)
async def test_what_does_not_fit_changes_nothing_but_refuses_a_start(
    office: Office, body: bytes
) -> None:
    await office.change("other", settings=Settings(name="Other"))
    office.put("acme", body)
    assert list(await office.there.refresh()) == ["acme"]
    assert office.there.get("acme") == ACME
    assert office.there.known("other").version == 1
    with pytest.raises(Unfit, match="acme"):
        await office.opened().start()


async def test_what_does_not_fit_is_said_once(office: Office) -> None:
    office.put("acme", b"{")
    with capture_logs() as logs:
        running = asyncio.create_task(office.there.run())
        try:
            async with asyncio.timeout(5):
                while office.store.versions_asked < 5:
                    await asyncio.sleep(0.001)
        finally:
            running.cancel()
    assert [one["event"] for one in logs] == ["tenant_not_refreshed"]


async def test_what_does_not_hold_is_not_written(office: Office) -> None:
    twice = {"a": Agent(agent_id="a", user_id=1), "b": Agent(agent_id="b", user_id=1)}
    with pytest.raises(ValueError, match="user id 1 stands twice"):
        await office.change("acme", agents=twice)
    assert not office.store.rows


async def test_of_two_changes_of_one_version_one_is_lost_loudly(office: Office) -> None:
    await office.change("acme", settings=Settings(name="Acme"))
    with pytest.raises(WriteConflict):
        await office.there.save("acme", Known(1, Overlay(settings=Settings(name="Mine"))))
    await office.there.newest("acme")
    tenant = office.there.get("acme")
    assert tenant is not None
    assert tenant.name == "Acme"


async def test_older_news_are_none(office: Office) -> None:
    await office.change("acme", settings=Settings(name="Acme"))
    await office.change("acme", settings=Settings(name="Acme 2"))
    office.put("acme", msgspec.json.encode(Overlay()), version=1)
    await office.here.newest("acme")
    assert office.here.known("acme").version == 2


async def test_a_secret_that_two_tenants_came_to_at_once_opens_neither(office: Office) -> None:
    ada: dict[str, Agent | None] = {
        "ada": Agent(agent_id="ada", password_sha256=digest("password"))
    }
    await office.change("acme", agents=ada)
    with pytest.raises(ValueError, match="take another"):
        await office.here.save("other", Known(1, Overlay(agents=ada)))
    # Nobody has seen the other's change: both are stored.
    await office.there.save("other", Known(1, Overlay(agents=ada)))
    with capture_logs() as logs:
        await office.here.refresh()
    assert office.here.find("genesys", b"password", "ada") is None
    assert [one["event"] for one in logs] == ["credentials_open_the_same_door"]
    await office.change("acme")
    found = office.here.find("genesys", b"password", "ada")
    assert found is not None
    assert found.tenant.id == "other"


async def test_twins_of_one_tenant_open_nothing_either_whatever_else_changes() -> None:
    twins = Tenant(id="acme", credentials=(key("one", "same"), key("two", "same")))
    book = TenantBook([twins]).changed({"other": OTHER})
    assert book.find("bearer", b"same") is None
    assert len(book.twins) == 1
    assert book.changed({"acme": None}).all() == (OTHER,)
