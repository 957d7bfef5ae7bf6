"""What only a close look at a change shows: what is kept of it in the overlay."""

import pytest
from msgspec.structs import replace

from services.gateway.administration import changes
from services.gateway.administration.changes import REVOKED_KEPT_MAX, Secret, Seen
from shared.contracts.errors import Refused
from shared.contracts.overlays import CodeEntry, Overlay, Project, merged
from shared.contracts.tenants import Agent, Code, Credential, Tenant

NOW = 1_000_000
A, B, C, D = "a" * 64, "b" * 64, "c" * 64, "d" * 64
BASE = Tenant(
    id="acme",
    agents=(Agent(agent_id="ada", password_sha256=A),),
    codes=(Code(code="Sold", children=(Code(code="Phone"),)),),
    project_ids=("1",),
    campaign_ids=("spring",),
    subtenant_ids=("main", "north"),
    credentials=(Credential(id="one", sha256=A, scopes=("read",)),),
)
BLANK = Overlay()


def seen(overlay: Overlay = BLANK, base: Tenant | None = BASE, now_ms: int = NOW) -> Seen:
    return Seen(base, overlay, merged("acme", base, overlay, now_ms), 1, now_ms)


def test_what_the_file_has_is_marked_as_gone_and_the_rest_forgotten() -> None:
    assert changes.remove_agent(seen(), "ada").agents == {"ada": None}
    assert changes.remove_project(seen(), "1").projects == {"1": None}
    assert changes.remove_campaign(seen(), "spring").campaigns == {"spring": False}
    assert changes.remove_subtenant(seen(), "north").subtenants == {"north": False}
    assert changes.remove_code(seen(), "Sold").codes == {"Sold": None, "Phone": None}
    of_routes = Overlay(
        made=True,
        agents={"kay": Agent(agent_id="kay")},
        projects={"2": Project()},
        campaigns={"autumn": True},
        subtenants={"main": True, "south": True},
        codes={"New": CodeEntry(), "In": CodeEntry(folder="New")},
    )
    for base in (BASE, None):
        there = seen(of_routes, base)
        assert changes.remove_agent(there, "kay").agents == {}
        assert changes.remove_project(there, "2").projects == {}
        assert changes.remove_campaign(there, "autumn").campaigns == {}
        assert changes.remove_subtenant(there, "south").subtenants == {"main": True}
        assert changes.remove_code(there, "New").codes == {}


@pytest.mark.parametrize(
    "remove",
    [
        changes.remove_agent,
        changes.remove_project,
        changes.remove_campaign,
        changes.remove_subtenant,
        changes.remove_code,
        changes.revoke_key,
    ],
)
def test_who_is_not_there_can_not_go(remove: changes.Change) -> None:
    there = seen()
    assert remove(there, "nobody") is there.overlay  # type: ignore[call-arg] # each takes an id


def test_a_code_can_not_stand_in_itself_or_below() -> None:
    for folder in ("Sold", "Phone"):
        with pytest.raises(Refused):
            changes.put_code(seen(), "Sold", {"folder": folder})


def test_there_is_nothing_to_set_where_there_is_no_tenant() -> None:
    nobody = seen(base=None)
    with pytest.raises(Refused, match="not_found"):
        changes.set_settings(nobody, {}, whole=False)
    assert changes.make_tenant(nobody).made
    assert changes.make_tenant(seen()) is BLANK
    assert changes.remove_tenant(nobody) == Overlay()


def test_of_the_revoked_the_newest_are_kept_and_all_that_the_file_has() -> None:
    overlay = changes.revoke_key(seen(), "one")
    for number in range(REVOKED_KEPT_MAX + 1):
        at = seen(overlay, now_ms=NOW + number)
        fresh = Credential(id=f"k{number}", sha256=B)
        overlay = changes.make_key(at, fresh)
        overlay = changes.revoke_key(replace(at, overlay=overlay), fresh.id)
    assert len(overlay.credentials) == REVOKED_KEPT_MAX + 1
    assert "k0" not in overlay.credentials
    assert overlay.credentials["one"].revoked_ms == NOW


def test_a_key_revoked_where_the_file_has_no_tenant() -> None:
    overlay = changes.make_key(seen(Overlay(made=True), None), Credential(id="two", sha256=B))
    overlay = changes.revoke_key(seen(overlay, None), "two")
    assert overlay.credentials["two"].revoked_ms == NOW


def rotated(key: Credential, grace_s: int, ends: str | None, now_ms: int = NOW) -> Credential:
    at = seen(Overlay(credentials={key.id: key}), now_ms=now_ms)
    after = changes.rotate_key(at, key.id, Secret(C), grace_s, ends)  # type: ignore[arg-type] # from a table
    return after.credentials[key.id]


TWO = Credential(id="one", sha256=B, older_sha256=A, older_until_ms=NOW + 5_000)
ROTATIONS = [
    (replace(TWO, older_sha256=None, older_until_ms=None), 10, None, B, NOW + 10_000),
    (TWO, 10, "older", B, NOW + 10_000),
    (TWO, 10, "newer", A, NOW + 5_000),  # it was promised no longer
    (TWO, 2, "newer", A, NOW + 2_000),
    (TWO, 0, "older", None, None),
    (TWO, 0, "newer", None, None),
    (replace(TWO, older_until_ms=NOW), 10, None, B, NOW + 10_000),  # it is over by now
]


@pytest.mark.parametrize(("key", "grace_s", "ends", "older", "until_ms"), ROTATIONS)
def test_never_more_than_two_secrets_are_live(
    key: Credential, grace_s: int, ends: str | None, older: str | None, until_ms: int | None
) -> None:
    after = rotated(key, grace_s, ends)
    assert (after.sha256, after.older_sha256, after.older_until_ms) == (C, older, until_ms)


def test_a_key_keeps_its_kind_and_its_name() -> None:
    key = Credential(id="one", sha256=A, kind="basic", name="crm")
    there = seen(Overlay(credentials={"one": key}))
    assert changes.change_key(there, "one", "basic", None, ()) is there.overlay
    assert changes.change_key(there, "one", "basic", "b", ()).credentials["one"].name == "b"
    for kind, key_id in (("bearer", "one"), ("basic", "nobody")):
        with pytest.raises(Refused):
            changes.change_key(there, key_id, kind, None, ())
