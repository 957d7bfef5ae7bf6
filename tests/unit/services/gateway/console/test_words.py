"""The console says every rule in a sentence: those of the tables, and those beside them."""

import re
from importlib.resources import files

import pytest

from services.callstate.decider import TABLE
from services.worker import dispositions, subjects
from shared.contracts.messages import MESSAGES
from shared.contracts.topics import CALLS_CHANGED, GATEWAY_REPLIES, SWITCH_COMMANDS

SCRIPT = files("services.gateway.console").joinpath("words.js").read_text("utf-8")


def words(table: str) -> set[str]:
    """The names for which a table of the script has words."""
    _, _, rest = SCRIPT.partition(f"const {table} = {{")
    body, _, _ = rest.partition("\n};")
    return set(re.findall(r'^  "?([\w.]+)"?:', body, re.MULTILINE))


@pytest.mark.parametrize(
    "rules",
    [
        {row.rule for row in TABLE},
        {row.rule for row in dispositions.TABLE} | {dispositions.CONFLICT},
        {row.rule for row in subjects.TABLE} | {subjects.CONFLICT, subjects.TIMER.rule},
        {"admitted"},
    ],
    ids=["calls", "dispositions", "subjects", "requests"],
)
def test_each_rule_has_its_sentence(rules: set[str]) -> None:
    assert rules
    assert rules <= words("RULES")


def test_each_kind_of_entry_has_its_title() -> None:
    untold = {CALLS_CHANGED, GATEWAY_REPLIES, SWITCH_COMMANDS}
    types = {message.type for message in MESSAGES if message.topic not in untold}
    assert types - {"callback.timer_due"} <= words("TYPES")
