"""Dead letters of a running service, listed and put back from the command line."""

import pytest

from shared.contracts.envelope import Message
from shared.contracts.errors import Poison
from shared.contracts.topics import TELEPHONY_EVENTS, dead
from shared.runtime.dead_letters import dead_letter, read_letters
from tests.unit.services.cli.test_remote import OPERATOR, ask, asked, office
from tests.unit.services.gateway.administration.office import Office

__all__ = ["office"]

POISON = Poison("bad_envelope", "attribute ce_id is missing")


@pytest.fixture
def places(office: Office) -> list[str]:
    """Of three letters, the oldest first: two of the demo tenant, one of another."""
    for key, value in (("demo:c1", b"one"), ("demo:c2", b"\xff"), ("acme:c1", b"three")):
        office.log.put([Message(TELEPHONY_EVENTS, key, (("x", b"y"),), value)])
        (record,) = (r for r in office.log.all(TELEPHONY_EVENTS) if r.value == value)
        office.log.put([dead_letter(record, POISON)])
        office.clock.advance(1_000)
    rows, _ = read_letters(office.log.all(dead(TELEPHONY_EVENTS)))
    office.letters.rows = {row.place: row for row in rows}
    return [row.place for row in sorted(rows, key=lambda row: row.at_ms)]


def count(office: Office) -> int:
    return len(office.log.all(TELEPHONY_EVENTS))


def test_letters_are_listed_as_those_of_a_store_are(office: Office, places: list[str]) -> None:
    rows = asked(office, "dead-letters", "list", key=OPERATOR)
    assert [row["letter"] for row in rows] == places
    assert rows[0].pop("at")
    assert rows[0].pop("origin").startswith(f"{TELEPHONY_EVENTS}/")
    assert rows[0] == {
        "letter": places[0],
        "reason": "bad_envelope",
        "detail": "attribute ce_id is missing",
        "key": "demo:c1",
        "type": None,
        "put_back": False,
    }
    rows = asked(office, "dead-letters", "list")
    assert [row["letter"] for row in rows] == places[:2]


def test_more_than_a_page_of_them_is_listed(
    office: Office, places: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.cli.remote.PAGE", 2)
    rows = asked(office, "dead-letters", "list", key=OPERATOR)
    assert [row["letter"] for row in rows] == places


def test_a_letter_is_shown_whole(office: Office, places: list[str]) -> None:
    shown = asked(office, "dead-letters", "show", places[0])
    assert (shown["value"], shown["headers"]["x"]) == ("one", "y")
    assert asked(office, "dead-letters", "show", places[1])["value_base64"] == "/w=="


def test_nothing_goes_back_without_yes(office: Office, places: list[str]) -> None:
    shown = ask(office, "dead-letters", "put-back", "--all")
    assert (shown.exit_code, count(office)) == (0, len(places))
    assert shown.stdout.endswith("2 would be put back; add --yes to do it\n")


def test_letters_go_back_while_the_service_runs(office: Office, places: list[str]) -> None:
    line = ("dead-letters", "put-back", "--yes")
    shown = ask(office, *line, places[0])
    assert shown.stdout == f"{places[0]} -> {TELEPHONY_EVENTS}\n1 put back; they are read now\n"
    assert [row["put_back"] for row in asked(office, "dead-letters", "list")] == [True, False]
    refused = ask(office, *line, places[0])
    assert refused.stderr.startswith(f"aftercall: {places[0]} was put back before; add --again ")
    assert ask(office, *line, "--all").stdout.endswith("1 put back; they are read now\n")
    assert ask(office, *line, "--all").stdout == "0 put back; they are read now\n"
    assert count(office) == len(places) + 2
    assert ask(office, *line, "--again", places[0]).exit_code == 0
    assert count(office) == len(places) + 3


@pytest.mark.parametrize("place", ["{theirs}", "a.dead/0/9", "a.dead", "", "../../keys"])
def test_a_letter_that_is_not_there_is_one_line(
    office: Office, places: list[str], place: str
) -> None:
    place = place.format(theirs=places[2])
    for line in (("show", place), ("put-back", "--yes", place)):
        shown = ask(office, "dead-letters", *line)
        assert (shown.exit_code, len(shown.stderr.splitlines())) == (2, 1), shown.stderr
    assert count(office) == len(places)


def test_what_somebody_was_faster_with_is_told(office: Office, places: list[str]) -> None:
    row = office.letters.rows[places[0]]
    original = office.letters.page

    async def stale(*args: object, **kwargs: object) -> object:
        page = await original(*args, **kwargs)  # type: ignore[arg-type] # passed on as they came
        await office.letters.keep([], {row.place: row.at_ms})
        return page

    office.letters.page = stale  # type: ignore[method-assign, assignment] # put back between
    shown = ask(office, "dead-letters", "put-back", "--yes", places[0])
    assert (shown.exit_code, count(office)) == (2, len(places))
    assert shown.stderr.startswith("aftercall: it was put back at ")
