"""The file's tenant and what was changed of it: one tenant comes of both, the same each time."""

from typing import Any

import msgspec
import pytest

from shared.contracts.calls import WrapUpRules
from shared.contracts.overlays import (
    CODES_DEEP_MAX,
    CodeEntry,
    Overlay,
    Project,
    Settings,
    below,
    entries_of,
    keys_of,
    merged,
    next_expiry_ms,
)
from shared.contracts.tenants import Agent, Code, Credential, Tenant

NOW = 1_000_000
A, B = "a" * 64, "b" * 64
BASE = Tenant(
    id="acme",
    name="Acme",
    disposition_key="Outcome",
    wrap_up=WrapUpRules(seconds=7, disposition_key="Outcome"),
    project_ids=("1", "2"),
    project_time_zones={"1": "Asia/Tokyo"},
    campaign_ids=("spring",),
    subtenant_ids=("main", "north"),
    agents=(Agent(agent_id="ada", user_id=1), Agent(agent_id="bela", user_id=2)),
    codes=(
        Code(code="Sold", children=(Code(code="Phone", id=1), Code(code="Web", id=2))),
        Code(code="Not", id=3),
    ),
    credentials=(Credential(id="one", sha256=A, scopes=("read",)),),
)


def now(base: Tenant | None = BASE, **changes: Any) -> Tenant:
    tenant = merged("acme", base, Overlay(**changes), NOW)
    assert tenant is not None
    return tenant


def tree(codes: tuple[Code, ...]) -> dict[str, Any]:
    return {code.code: tree(code.children) for code in codes}


def test_without_changes_the_tenant_is_the_files() -> None:
    assert now() == BASE


def test_without_file_and_route_there_is_none() -> None:
    assert merged("acme", None, Overlay(), NOW) is None


def test_a_made_tenant_is_there_without_the_file() -> None:
    tenant = now(None, made=True, settings=Settings(name="New"))
    assert (tenant.id, tenant.name, tenant.agents, tenant.demo) == ("acme", "New", (), False)


def test_settings_that_were_set_win_and_the_others_follow_the_file() -> None:
    tenant = now(settings=Settings(corrections=False, disposition_key="Result"))
    assert not tenant.corrections
    assert tenant.name == "Acme"
    assert tenant.wrap_up == WrapUpRules(seconds=7, disposition_key="Result")


def test_items_are_replaced_in_place_added_behind_and_taken_out() -> None:
    kay = Agent(agent_id="kay")
    tenant = now(agents={"kay": kay, "ada": None, "bela": Agent(agent_id="bela", user_id=9)})
    assert tenant.agents == (Agent(agent_id="bela", user_id=9), kay)
    assert now(campaigns={"autumn": True, "spring": False}).campaign_ids == ("autumn",)
    assert now(subtenants={"south": True, "north": False}).subtenant_ids == ("main", "south")


def test_a_project_takes_its_time_zone_along() -> None:
    tenant = now(projects={"1": None, "2": Project(time_zone="Europe/Paris"), "3": Project()})
    assert tenant.project_ids == ("2", "3")
    assert tenant.project_time_zones == {"2": "Europe/Paris"}
    assert now(projects={"1": Project()}).project_time_zones == {}


CODES: list[tuple[str, dict[str, CodeEntry | None], dict[str, Any]]] = [
    ("behind", {"New": CodeEntry()}, {"Sold": {"Phone": {}, "Web": {}}, "Not": {}, "New": {}}),
    (
        "into a folder",
        {"Shop": CodeEntry(folder="Sold")},
        {"Sold": {"Phone": {}, "Web": {}, "Shop": {}}, "Not": {}},
    ),
    ("out", {"Web": None}, {"Sold": {"Phone": {}}, "Not": {}}),
    ("the folder out", {"Sold": None}, {"Not": {}}),
    (
        "in place",
        {"Sold": CodeEntry(label="Yes"), "Phone": CodeEntry(id=9, folder="Sold")},
        {"Sold": {"Phone": {}, "Web": {}}, "Not": {}},
    ),
    (
        "moved up",
        {"Web": CodeEntry(id=2)},
        {"Sold": {"Phone": {}}, "Not": {}, "Web": {}},
    ),
    (
        "moved with what is in it",
        {"Sold": CodeEntry(folder="Not")},
        {"Not": {"Sold": {"Phone": {}, "Web": {}}}},
    ),
    (
        "into one that comes later",
        {"Leaf": CodeEntry(folder="Branch"), "Branch": CodeEntry(folder="Phone")},
        {"Sold": {"Phone": {"Branch": {"Leaf": {}}}, "Web": {}}, "Not": {}},
    ),
]


@pytest.mark.parametrize(("_what", "changes", "expected"), CODES)
def test_codes(_what: str, changes: dict[str, CodeEntry | None], expected: dict[str, Any]) -> None:
    assert tree(now(codes=changes).codes) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"New": CodeEntry(folder="Nowhere")},
        {"Sold": CodeEntry(folder="Not"), "Not": CodeEntry(folder="Sold")},
    ],
)
def test_a_folder_that_is_not_there_holds_nothing(changes: dict[str, CodeEntry | None]) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        now(codes=changes)


@pytest.mark.parametrize("deep", [CODES_DEEP_MAX, CODES_DEEP_MAX + 1])
def test_only_so_many_codes_stand_in_one_another(deep: int) -> None:
    changes: dict[str, CodeEntry | None] = {
        f"c{n}": CodeEntry(folder=None if n == 1 else f"c{n - 1}") for n in range(1, deep + 1)
    }
    if deep > CODES_DEEP_MAX:
        with pytest.raises(ValueError, match="stand in one another"):
            now(None, made=True, codes=changes)
    else:
        assert len(dict(entries_of(now(None, made=True, codes=changes).codes))) == deep


def test_entries_tell_every_code_with_its_folder() -> None:
    assert dict(entries_of(BASE.codes)) == {
        "Sold": CodeEntry(),
        "Phone": CodeEntry(id=1, folder="Sold"),
        "Web": CodeEntry(id=2, folder="Sold"),
        "Not": CodeEntry(id=3),
    }
    assert below(BASE.codes, "Sold") == {"Phone", "Web"}
    assert below(BASE.codes, "Phone") == set()


KEY = Credential(id="one", sha256=B, older_sha256=A, older_until_ms=NOW + 1)


@pytest.mark.parametrize(("until_ms", "older"), [(NOW + 1, A), (NOW, None), (NOW - 1, None)])
def test_the_secret_before_ends_with_its_time(until_ms: int, older: str | None) -> None:
    key = msgspec.structs.replace(KEY, older_until_ms=until_ms)
    (live,) = now(credentials={"one": key}).credentials
    assert (live.sha256, live.older_sha256) == (B, older)


def test_a_revoked_key_opens_nothing_and_is_listed() -> None:
    revoked = msgspec.structs.replace(KEY, revoked_ms=NOW)
    overlay = Overlay(credentials={"one": revoked, "two": Credential(id="two", sha256=A)})
    assert [key.id for key in now(credentials=overlay.credentials).credentials] == ["two"]
    assert [key.id for key in keys_of(BASE, overlay)] == ["one", "two"]
    assert [key.id for key in keys_of(None, overlay)] == ["one", "two"]


def test_the_next_expiry_is_the_earliest_that_is_to_come() -> None:
    keys = {
        str(until): Credential(id=str(until), sha256=A, older_sha256=B, older_until_ms=until)
        for until in (NOW - 1, NOW, NOW + 5, NOW + 9)
    }
    assert next_expiry_ms(Overlay(credentials=keys), NOW) == NOW + 5
    assert next_expiry_ms(Overlay(), NOW) is None


def test_an_overlay_is_the_same_after_it_was_stored() -> None:
    overlay = Overlay(
        made=True,
        settings=Settings(name="", wrap_up=WrapUpRules(seconds=0)),
        agents={"ada": None, "kay": Agent(agent_id="kay", user_id=0)},
        codes={"Sold": None, "New": CodeEntry(needs_callback=True)},
        projects={"1": None, "2": Project()},
        campaigns={"spring": False},
        subtenants={"south": True},
        credentials={"one": KEY},
    )
    written = msgspec.json.encode(overlay)
    assert msgspec.json.decode(written, type=Overlay) == overlay
