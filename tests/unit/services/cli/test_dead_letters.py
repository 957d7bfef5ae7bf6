"""Dead letters are shown with their reasons, and go back once, on purpose, to a stopped service."""

import asyncio
import json
from pathlib import Path

import pytest

from services.cli.dead_letters import _value
from shared.adapters.clock import SystemClock
from shared.adapters.embedded import open_embedded
from shared.adapters.embedded.reading import read_contents
from shared.contracts.topics import TELEPHONY_EVENTS, dead
from tests.unit.services.cli.typed import typed


def letters(data_dir: Path) -> list[dict[str, object]]:
    shown = typed("dead-letters", "list", "--json", "--data-dir", str(data_dir))
    rows: list[dict[str, object]] = json.loads(shown.stdout)
    return rows


def count(data_dir: Path) -> int:
    return len(read_contents(data_dir).records[TELEPHONY_EVENTS])


def test_a_letter_says_where_it_came_from_and_why(data_dir: Path) -> None:
    (letter,) = letters(data_dir)
    origin = str(letter.pop("origin"))
    assert origin.startswith(f"{TELEPHONY_EVENTS}/")
    assert letter.pop("at")
    assert letter == {
        "letter": f"{dead(TELEPHONY_EVENTS)}/{origin.split('/')[1]}/0",
        "reason": "bad_envelope",
        "detail": "attribute ce_id is missing",
        "key": "demo:bad",
        "type": None,
        "put_back": False,
    }


def test_nothing_goes_back_without_yes(own_dir: Path) -> None:
    before = count(own_dir)
    shown = typed("dead-letters", "put-back", "--all", "--data-dir", str(own_dir))
    assert (shown.exit_code, count(own_dir)) == (0, before)
    assert shown.stdout.endswith("1 would be put back; add --yes to do it\n")


def test_a_letter_goes_back_as_it_came_and_all_takes_it_once(own_dir: Path) -> None:
    before = count(own_dir)
    where = str(letters(own_dir)[0]["letter"])
    shown = typed("dead-letters", "put-back", where, "--yes", "--data-dir", str(own_dir))
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout == (
        f"{where} -> {TELEPHONY_EVENTS}\n1 put back; start the service to process them\n"
    )
    back = [r for r in read_contents(own_dir).records[TELEPHONY_EVENTS] if r.value == b"what?"]
    assert [record.key for record in back] == ["demo:bad", "demo:bad"]
    assert back[1].headers == (("dead_put_back", where.encode()),)
    assert letters(own_dir)[0]["put_back"] is True
    again = typed("dead-letters", "put-back", "--all", "--yes", "--data-dir", str(own_dir))
    assert again.stdout.startswith("0 put back")
    assert count(own_dir) == before + 1


def test_a_letter_goes_back_twice_only_where_that_is_meant(own_dir: Path) -> None:
    where, line = str(letters(own_dir)[0]["letter"]), ("--yes", "--data-dir", str(own_dir))
    typed("dead-letters", "put-back", where, *line)
    before = count(own_dir)
    refused = typed("dead-letters", "put-back", where, *line)
    assert (refused.exit_code, count(own_dir)) == (2, before)
    assert refused.stderr.startswith(f"aftercall: {where} was put back before; add --again ")
    assert typed("dead-letters", "put-back", where, "--again", *line).exit_code == 0
    assert typed("dead-letters", "put-back", "--all", "--again", *line).exit_code == 0
    assert count(own_dir) == before + 2


def test_a_letter_is_shown_whole(data_dir: Path) -> None:
    where = str(letters(data_dir)[0]["letter"])
    shown = typed("dead-letters", "show", where, "--data-dir", str(data_dir))
    assert shown.exit_code == 0
    assert "\nvalue: what?\n" in shown.stdout
    as_json = typed("dead-letters", "show", where, "--json", "--data-dir", str(data_dir))
    found = json.loads(as_json.stdout)
    assert (found["value"], found["headers"]["dead_reason"]) == ("what?", "bad_envelope")


def test_a_value_that_is_no_text_is_shown_as_base64() -> None:
    assert _value(b"\xff\x00") == {"value_base64": "/wA="}


def test_a_letter_that_is_not_there_is_a_mistake(own_dir: Path) -> None:
    shown = typed("dead-letters", "put-back", "a.dead/0/9", "--yes", "--data-dir", str(own_dir))
    assert shown.exit_code == 2
    assert shown.stderr.startswith("aftercall: there is no dead letter a.dead/0/9; see ")


@pytest.mark.asyncio
async def test_a_running_service_is_left_alone(own_dir: Path) -> None:
    before = count(own_dir)
    embedded = await open_embedded(own_dir, SystemClock())
    try:
        shown = await asyncio.to_thread(
            typed, "dead-letters", "put-back", "--all", "--yes", "--data-dir", str(own_dir)
        )
    finally:
        await embedded.close()
    assert shown.exit_code == 2
    assert "is in use by process" in shown.stderr
    assert shown.stderr.endswith("; while it runs, name its admin port by --url\n")
    assert count(own_dir) == before
