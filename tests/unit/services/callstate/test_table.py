"""The table itself: no gap, no dead row, and drawn in the README as it is."""

from itertools import product

import pytest

from services.callstate.decider import _ROWS, TABLE
from services.callstate.standing import Stage, Standing
from shared.contracts.telephony import EVENT_TYPES, TIMER_DUE
from tests.support.state_table import README, drawn

NAMES_NOBODY = {"call.data_attached", "call.disconnected"}
NAMES_SOMEBODY = {"call.agent_joined", "call.agent_left", "call.wrap_up_extended"}


def can_be(event_type: str, stage: Stage, standing: Standing) -> bool:
    if event_type in NAMES_NOBODY and standing is not Standing.NOBODY:
        return False
    if event_type in NAMES_SOMEBODY and standing is Standing.NOBODY:
        return False
    if stage is Stage.UNKNOWN:
        return standing in (Standing.NOBODY, Standing.NEW)
    if stage is not Stage.ONGOING and standing in (Standing.RINGING, Standing.ACTIVE):
        return False
    return (stage, standing) != (Stage.RELEASED, Standing.WRAP_UP)


PLACES = [
    place
    for place in product(EVENT_TYPES, Stage, Standing)
    if can_be(*place) and place[0] != TIMER_DUE
]


@pytest.mark.parametrize(("event_type", "stage", "standing"), PLACES)
def test_every_case_has_a_row_that_always_fits(
    event_type: str, stage: Stage, standing: Standing
) -> None:
    rows = _ROWS[event_type, stage, standing]
    assert rows[-1].when is None


def test_no_row_hides_another() -> None:
    for rows in _ROWS.values():
        assert all(row.when is not None for row in rows[:-1]), rows


def test_every_timer_that_can_be_armed_has_a_row() -> None:
    for stage in (Stage.ONGOING, Stage.WRAP_UP):
        assert _ROWS[TIMER_DUE, stage, Standing.WRAP_UP][-1].when is None
    assert _ROWS[TIMER_DUE, Stage.ONGOING, Standing.NOBODY][-1].when is None


def test_the_readme_shows_the_table() -> None:
    readme = README.read_text()
    assert readme == drawn(readme), "run: python -m tests.support.state_table"


def test_the_readme_explains_every_rule() -> None:
    _, _, glossary = README.read_text().partition("## Rules by name")
    for rule in {row.rule for row in TABLE} | {"duplicate", "stale_timer", "recalled"}:
        assert f"`{rule}`" in glossary
