"""Fields of a disposition, read."""

from typing import Any

import pytest
from msgspec.structs import replace

from services.gateway.dialects.vcc_live.answers import Stop, Wrong
from services.gateway.dialects.vcc_live.asker import Project
from services.gateway.dialects.vcc_live.fields import read_batch, read_wish
from shared.contracts import limits
from shared.contracts.instants import from_wire
from shared.contracts.tenants import Code
from tests.support.centre import demo_tenant

TENANT = replace(demo_tenant(), time_zone="Europe/Berlin", project_ids=("17", "18"))
TENANT = replace(TENANT, project_time_zones={"18": "Asia/Kolkata"})
HERE = Project(TENANT, "17")


@pytest.mark.parametrize(
    ("project_id", "written", "meant"),
    [
        ("17", "2027-01-10 11:00:00", "2027-01-10T10:00:00Z"),
        ("17", "2027-07-10 11:00:00", "2027-07-10T09:00:00Z"),
        ("18", "2027-07-10 11:00:00", "2027-07-10T05:30:00Z"),
        ("17", "2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),  # twice that night: the first
        ("17", "2017-10-10 11:00:00", "2017-10-10T09:00:00Z"),  # past, as on the page
    ],
)
def test_times_are_by_the_clock_on_the_projects_wall(
    project_id: str, written: str, meant: str
) -> None:
    said = {"dispositionid": 1, "next_calldate": written}
    wish = read_wish(said, {}, Project(TENANT, project_id))
    assert wish.callback_ms == from_wire(meant)


@pytest.mark.parametrize(
    "when",
    [
        "2027-01-10 11:00",
        "2027-1-10 11:00:00",
        "2027-01-10 24:00:00",
        "2027-01-10 11:00:00 ",
        "1969-01-10 11:00:00",
        "0001-01-01 00:00:00",
        "\uff12027-01-10 11:00:00",
        20270110,
        True,
        [],
    ],
)
def test_times_of_another_shape_are_wrong(when: Any) -> None:
    with pytest.raises(Wrong, match=r"^error\.invalid_next_calldate$"):
        read_wish({"dispositionid": 1, "next_calldate": when}, {}, HERE)


@pytest.mark.parametrize("given", ["1", " 1 ", 1])
def test_ids_are_texts_or_integers(given: Any) -> None:
    wish = read_wish({"dispositionid": given, "userid": given}, {}, HERE)
    assert (wish.code, wish.user_id) == ("Sale", "1")


@pytest.mark.parametrize("given", [True, 1.0, "", "-1", "1e0", "¹", "9" * 5_000, 10**30, {}, [1]])
def test_what_is_no_number_is_no_id(given: Any) -> None:
    with pytest.raises(Wrong, match="dispositionid"):
        read_wish({"dispositionid": given}, {}, HERE)
    with pytest.raises(Wrong, match="userid"):
        read_wish({"dispositionid": 1, "userid": given}, {}, HERE)


def test_null_leaves_what_is_common() -> None:
    common = {"dispositionid": 2, "userid": 3, "description": "common", "next_calldate": None}
    wish = read_wish(dict.fromkeys(common), common, HERE)
    assert (wish.code, wish.user_id, wish.comment) == ("Interested", "3", "common")


def test_a_folder_of_codes_can_not_be_chosen() -> None:
    folder = Code(code="Folder", id=50, children=(Code(code="Leaf", id=51),))
    project = Project(replace(TENANT, codes=(folder,)), "17")
    assert read_wish({"dispositionid": 51}, {}, project).code == "Leaf"
    with pytest.raises(Wrong, match="dispositionid"):
        read_wish({"dispositionid": 50}, {}, project)


def test_a_centre_that_lists_no_agents_takes_any_user() -> None:
    project = Project(replace(TENANT, agents=()), "17")
    assert read_wish({"dispositionid": 1, "userid": 4711}, {}, project).user_id == "4711"


@pytest.mark.parametrize("text", ["\ud800", "a\x00b"])
def test_a_description_that_no_store_could_hold_is_wrong(text: str) -> None:
    with pytest.raises(Wrong, match=r"^error\.invalid_description$"):
        read_wish({"dispositionid": 1, "description": text}, {}, HERE)


@pytest.mark.parametrize(
    ("given", "meant"), [(True, True), ("true", True), (" False ", False), (None, False)]
)
def test_switches_are_booleans_or_their_names(given: Any, *, meant: bool) -> None:
    batch = read_batch({"elements": [], "avoid_in_call": given})
    assert batch.avoid_in_call is meant
    wish = read_wish({"dispositionid": 1, "sendDispositionMessages": given}, {}, HERE)
    assert wish.send_messages is meant


def test_a_batch_has_as_many_elements_as_the_limit_says_and_not_one_more() -> None:
    most = limits.VCC_LIVE_ELEMENTS_MAX
    assert len(read_batch({"elements": [{}] * most}).elements) == most
    with pytest.raises(Stop, match=str(most)) as stop:
        read_batch({"elements": [{}] * (most + 1)})
    assert stop.value.status == 413
