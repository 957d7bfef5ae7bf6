"""What stands on a dead topic: letters, receipts, and what is somebody else's."""

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from shared.contracts.envelope import Headers, Message, Record
from shared.contracts.errors import Poison, Unavailable
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.topics import TELEPHONY_EVENTS, dead
from shared.runtime import dead_letters
from shared.runtime.dead_letters import (
    all_letters,
    dead_letter,
    is_receipt,
    put_back,
    read_letters,
    receipt,
    returning,
)
from shared.runtime.letters import LetterRow
from tests.support.clock import START_MS, FakeClock
from tests.support.memory import MemoryLog

DEAD = dead(TELEPHONY_EVENTS)
POISON = Poison("bad_phase", "no such phase: \ud800")


def came(offset: int = 7, key: str = "demo:one", headers: Headers = (("x", b"y"),)) -> Record:
    return Record(TELEPHONY_EVENTS, 2, offset, START_MS, key, headers, b"what?")


def stood(message: Message, offset: int = 0, at_ms: int = START_MS) -> Record:
    """A message as it stands in the log."""
    return Record(message.topic, 2, offset, at_ms, message.key, message.headers, message.value)


def letter(number: int = 0, **changed: Any) -> LetterRow:
    ((row,), _) = read_letters([stood(dead_letter(came(**changed), POISON), number)])
    return row


def test_a_letter_is_hardly_larger_than_what_it_was() -> None:
    """A broker takes no record beyond a limit; a reason may name a field as long as a record."""
    wrong = Poison("bad_data", f"no such field: {'x' * 2_000_000}")
    headers = dead_letter(came(), wrong).headers
    assert sum(len(value) for _, value in headers) < 2_000


@pytest.mark.parametrize(("at_ms", "kept_ms"), [(-1, 0), (2**63 - 1, INSTANT_MS_MAX)])
def test_a_letter_of_an_impossible_time_has_one_that_can_be_written(
    at_ms: int, kept_ms: int
) -> None:
    letters, _ = read_letters([stood(dead_letter(came(), POISON), at_ms=at_ms)])
    assert letters[0].at_ms == kept_ms


def test_a_letter_says_what_it_was_and_why_it_is_there() -> None:
    row = letter(3, headers=(("ce_type", b"call.started"), ("x", b"\xff")))
    assert replace(row, headers=()) == LetterRow(
        place=f"{DEAD}/2/3",
        tenant="demo",
        topic=TELEPHONY_EVENTS,
        at_ms=START_MS,
        reason="bad_phase",
        detail="no such phase: ?",
        origin=f"{TELEPHONY_EVENTS}/2/7",
        key="demo:one",
        type="call.started",
        headers=(),
        value=b"what?",
    )
    assert row.headers[:2] == (("ce_type", b"call.started"), ("x", b"\xff"))


@pytest.mark.parametrize(
    ("key", "tenant"),
    [("demo:one", "demo"), ("demo:", "demo"), ("demo", ""), ("", ""), (":one", ""), ("a b:c", "")],
)
def test_the_tenant_is_the_one_that_the_key_names(key: str, tenant: str) -> None:
    assert (letter(key=key).tenant, letter(key=key).key) == (tenant, key)


def test_what_goes_back_is_what_came_and_says_which_letter_it_was() -> None:
    assert returning(letter(5)) == Message(
        TELEPHONY_EVENTS,
        "demo:one",
        (("x", b"y"), ("dead_put_back", f"{DEAD}/2/5".encode())),
        b"what?",
    )


def test_what_is_dead_again_is_a_letter_and_goes_back_under_its_new_place() -> None:
    again = dead_letter(stood(returning(letter(5)), 8), POISON)
    ((row,), returned) = read_letters([stood(again, 6)])
    assert (row.place, row.origin, returned) == (f"{DEAD}/2/6", f"{TELEPHONY_EVENTS}/2/8", {})
    assert returning(row).headers == (("x", b"y"), ("dead_put_back", f"{DEAD}/2/6".encode()))


def test_a_receipt_is_no_letter_and_the_latest_stands() -> None:
    row = letter()
    records = [stood(receipt(row), n, START_MS + at) for n, at in ((1, 5), (2, 9), (3, 7))]
    assert read_letters(records) == ([], {row.place: START_MS + 9})


def test_what_is_somebody_elses_is_passed_over() -> None:
    strange = came(headers=(("dead_origin", b"x"),))  # and stands on no dead topic
    assert read_letters([stood(Message(DEAD, "k", (), b"")), strange]) == ([], {})


def test_a_letter_without_a_reason_is_shown_all_the_same() -> None:
    ((row,), _) = read_letters([stood(Message(DEAD, "k", (("dead_origin", b"\xff"),), b""))])
    assert (row.reason, row.detail, row.origin, row.type) == ("", "", "\ufffd", None)


def test_all_letters_are_there_once_oldest_first_and_marked() -> None:
    one, other = dead_letter(came(1), POISON), dead_letter(came(2), POISON)
    records = [
        stood(one, 0, START_MS + 1),
        stood(one, 1, START_MS + 2),  # a crash has written it twice
        stood(other, 2, START_MS),
        stood(receipt(letter(0)), 3, START_MS + 3),
    ]
    assert [(row.place, row.put_back_ms) for row in all_letters(records)] == [
        (f"{DEAD}/2/2", None),
        (f"{DEAD}/2/0", START_MS + 3),
    ]


@dataclass
class Whole:
    """A log that appends wholly or not at all."""

    inner: MemoryLog
    appends_whole: bool = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.mark.asyncio
async def test_what_goes_back_and_its_receipt_stand_together_where_they_can() -> None:
    log: Any = Whole(MemoryLog(FakeClock()))
    log.inner.fail_next("append")
    with pytest.raises(Unavailable):
        await put_back(log, [letter()])
    assert log.inner.records == {}
    log.inner.fail_next("append", applied=True)
    with pytest.raises(Unavailable):
        await put_back(log, [letter()])
    assert [len(log.inner.all(topic)) for topic in (TELEPHONY_EVENTS, DEAD)] == [1, 1]


@pytest.mark.asyncio
async def test_else_no_receipt_stands_without_what_went_back() -> None:
    log = MemoryLog(FakeClock())
    for applied, stand in ((False, [0, 0]), (True, [1, 0])):
        log.fail_next("append", applied=applied)
        with pytest.raises(Unavailable):
            await put_back(log, [letter()])
        assert [len(log.all(topic)) for topic in (TELEPHONY_EVENTS, DEAD)] == stand


@pytest.mark.asyncio
async def test_many_go_back_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "CHUNK", 2)
    log = MemoryLog(FakeClock())
    await put_back(log, [letter(n) for n in range(5)])
    assert [len(log.all(topic)) for topic in (TELEPHONY_EVENTS, DEAD)] == [5, 5]


def test_a_receipt_is_told_from_a_letter_that_was_put_back_before() -> None:
    row = letter()
    again = dead_letter(stood(returning(row), 8), POISON)
    assert [is_receipt(stood(one)) for one in (receipt(row), again)] == [True, False]
