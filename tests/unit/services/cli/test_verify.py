"""The checker finds nothing in a good history, and each thing that was broken in one."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.cli.verify.checks import CHECKS, promise
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History, Snapshot
from shared.contracts.envelope import Message
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    SWITCH_COMMANDS,
    TELEPHONY_EVENTS,
    USER_EVENTS,
)
from shared.runtime.ports import Effect, TopicPartition
from tests.unit.services.cli.mutants import (
    add,
    aged,
    change,
    document,
    header,
    lose,
    of,
    state,
    the,
    told_again,
    with_data,
    with_header,
)

DEAD = f"{TELEPHONY_EVENTS}.dead"
Mutant = Callable[[Snapshot], Snapshot]


def run(snapshot: Snapshot) -> dict[str, Result]:
    history = History(snapshot)
    return {name: check(history) for name, check in CHECKS.items()}


def broken(snapshot: Snapshot) -> set[str]:
    return {name for name, result in run(snapshot).items() if result.violations}


def test_a_good_history_is_clean_and_every_check_had_something_to_look_at(good: Snapshot) -> None:
    for name, result in run(good).items():
        assert result.violations == [], name
        assert result.counted > 0, name
        assert result.notes == [], name


def test_every_check_says_what_it_promises() -> None:
    for check in CHECKS.values():
        assert promise(check).endswith(".")


def test_a_record_repeated_as_it_was_is_no_violation(good: Snapshot) -> None:
    for topic in (CALLS_CHANGED, DISPOSITION_EVENTS, USER_EVENTS, SWITCH_COMMANDS):
        again = add(good, good.records[topic][-1])
        assert broken(again) == set(), topic
        assert run(again)["sequences"].notes == ["1 repeated after a crash, the same each time"]


def test_a_gateway_s_own_documents_are_nobody_s_violation(good: Snapshot) -> None:
    own = replace(good.documents["calls"][0], collection="tokens", key="demo:ozonetel.demo")
    assert broken(replace(good, documents=good.documents | {"tokens": (own,)})) == set()


def test_a_history_whose_beginning_was_pruned_is_clean(good: Snapshot) -> None:
    times = sorted({r.timestamp_ms for records in good.records.values() for r in records})
    for before_ms in times:
        assert broken(aged(good, before_ms)) == set(), before_ms


def test_what_nobody_has_read_yet_is_not_asked_for(good: Snapshot) -> None:
    event = with_header(
        the(good, TELEPHONY_EVENTS, of("call.released", "demo:one")), "ce_id", "new"
    )
    request = the(good, DISPOSITION_REQUESTS, of(""))
    unread = add(add(good, event), with_data(request, idempotency_key="unread"))
    assert broken(replace(unread, positions=good.positions)) == set()
    assert broken(unread) == {"calls refold", "verdicts"}


APPLIED = of("disposition.saved", request_id="applied")


def _changed(call: str, rule: str) -> Any:
    def chosen(record: Any) -> bool:
        data = msgspec.json.decode(record.value)
        return bool(record.key == call and data["change"]["rule"] == rule)

    return chosen


def _phase(record: Any, agent: int, phase: str) -> Any:
    agents = msgspec.json.decode(record.value)["agents"]
    agents[agent]["phase"] = phase
    return with_data(record, agents=agents)


def _agent(state: dict[str, Any], **fields: Any) -> None:
    state["agents"][0] |= fields


def _entries(snapshot: Snapshot, alter: Callable[[list[Any]], None]) -> Snapshot:
    entries = list(snapshot.entries)
    alter(entries)
    return replace(snapshot, entries=tuple(entries))


def _outcomes(snapshot: Snapshot, alter: Callable[[list[Any]], None]) -> Snapshot:
    rows = sorted(snapshot.outcomes, key=lambda row: -row.revision)
    alter(rows)
    return replace(snapshot, outcomes=tuple(rows))


def _position(snapshot: Snapshot, group: str, topic: str, offset: int) -> Snapshot:
    where = TopicPartition(topic, 0)
    places = snapshot.positions[group] | {where: offset}
    return replace(snapshot, positions=snapshot.positions | {group: places})


def _outbox(stored: Any) -> Any:
    effect = Effect((TELEPHONY_EVENTS, 0, 10_000), Message(CALLS_CHANGED, "demo:one", (), b"{}"))
    return replace(stored, outbox=(effect,))


# check, what was broken, how
MUTANTS: list[tuple[str, str, Mutant]] = [
    (
        "offsets",
        "a record is gone from the middle",
        lambda s: replace(
            s,
            records=s.records
            | {TELEPHONY_EVENTS: s.records[TELEPHONY_EVENTS][:3] + s.records[TELEPHONY_EVENTS][4:]},
        ),
    ),
    (
        "offsets",
        "the newest record is gone",
        lambda s: replace(s, records=s.records | {CALLS_CHANGED: s.records[CALLS_CHANGED][:-1]}),
    ),
    ("positions", "beyond the end", lambda s: _position(s, "worker", CALLS_CHANGED, 10_000)),
    (
        "positions",
        "unread records were pruned",
        lambda s: _position(aged(s, 2**60), "callstate", TELEPHONY_EVENTS, 0),
    ),
    ("sequences", "one lost", lambda s: lose(s, CALLS_CHANGED, of("", "demo:two", version=2))),
    (
        "sequences",
        "a number skipped",
        lambda s: change(
            s, USER_EVENTS, of("", request_id="late"), lambda r: with_header(r, "ce_sequence", "9")
        ),
    ),
    (
        "sequences",
        "no number",
        lambda s: change(
            s,
            USER_EVENTS,
            of("", request_id="late"),
            lambda r: replace(r, headers=tuple(h for h in r.headers if h[0] != "ce_sequence")),
        ),
    ),
    (
        "sequences",
        "repeated with other words",
        lambda s: add(s, with_data(the(s, DISPOSITION_EVENTS, APPLIED), code="Sale")),
    ),
    (
        "sequences",
        "one id for two records",
        lambda s: change(
            s,
            DISPOSITION_EVENTS,
            APPLIED,
            lambda r: with_header(r, "ce_id", "disposition.events:demo:one:1"),
        ),
    ),
    (
        "envelopes",
        "another tenant in the envelope",
        lambda s: change(
            s, SWITCH_COMMANDS, of("agent.pause"), lambda r: with_header(r, "ce_tenant", "north")
        ),
    ),
    (
        "envelopes",
        "another tenant in the data",
        lambda s: change(
            s, SWITCH_COMMANDS, of("agent.pause"), lambda r: with_data(r, tenant="north")
        ),
    ),
    (
        "envelopes",
        "another call in the data",
        lambda s: change(s, USER_EVENTS, of(""), lambda r: with_data(r, call_id="other")),
    ),
    (
        "envelopes",
        "another subject",
        lambda s: change(s, USER_EVENTS, of(""), lambda r: with_header(r, "ce_subject", "other")),
    ),
    (
        "envelopes",
        "not readable",
        lambda s: change(s, USER_EVENTS, of(""), lambda r: replace(r, value=b"{}")),
    ),
    (
        "dead letters",
        "not as it came",
        lambda s: change(s, DEAD, of(""), lambda r: replace(r, value=b"else")),
    ),
    (
        "dead letters",
        "twice, and not the same",
        lambda s: add(s, replace(s.records[DEAD][0], value=b"else")),
    ),
    ("calls refold", "no dead letter", lambda s: lose(s, DEAD, of(""))),
    (
        "calls refold",
        "stored otherwise",
        lambda s: state(s, "calls", "demo:one", lambda v: v["call"].update(customer_id="78")),
    ),
    ("calls refold", "not stored", lambda s: document(s, "calls", "demo:one", lambda _: None)),
    (
        "calls refold",
        "stored from nothing",
        lambda s: document(s, "calls", "demo:two", lambda d: replace(d, key="demo:never-told")),
    ),
    (
        "calls refold",
        "an event that never happened",
        lambda s: add(
            s,
            with_header(
                the(s, TELEPHONY_EVENTS, of("call.released", "demo:one")), "ce_id", "another"
            ),
        ),
    ),
    (
        "calls refold",
        "another watermark",
        lambda s: document(
            s, "calls", "demo:one", lambda d: replace(d, watermarks={TELEPHONY_EVENTS: 0})
        ),
    ),
    (
        "calls refold",
        "told otherwise",
        lambda s: change(
            s, CALLS_CHANGED, of("", "demo:one", version=2), lambda r: with_data(r, by="system")
        ),
    ),
    (
        "calls refold",
        "a change too many",
        lambda s: told_again(s, CALLS_CHANGED, of("", "demo:one")),
    ),
    (
        "call versions",
        "the store is ahead of what was told",
        lambda s: state(s, "calls", "demo:one", lambda v: v["call"].update(version=99)),
    ),
    (
        "call versions",
        "not its sequence",
        lambda s: change(
            s, CALLS_CHANGED, of("", "demo:one", version=2), lambda r: with_data(r, version=3)
        ),
    ),
    (
        "phases",
        "an agent goes back",
        lambda s: change(
            s, CALLS_CHANGED, _changed("demo:one", "released"), lambda r: _phase(r, 0, "active")
        ),
    ),
    (
        "phases",
        "a call goes back",
        lambda s: change(
            s,
            CALLS_CHANGED,
            _changed("demo:one", "released"),
            lambda r: with_data(r, phase="active"),
        ),
    ),
    (
        "timers",
        "met twice",
        lambda s: told_again(s, CALLS_CHANGED, _changed("demo:three", "wrap_up_over")),
    ),
    (
        "timers",
        "met early",
        lambda s: change(
            s,
            CALLS_CHANGED,
            _changed("demo:three", "wrap_up_over"),
            lambda r: with_data(r, change={"at": "2026-11-21T14:00:00.000Z"}),
        ),
    ),
    (
        "verdicts",
        "forgotten",
        lambda s: state(s, "dispositions", "demo:one", lambda v: v["verdicts"].pop("late")),
    ),
    (
        "verdicts",
        "document lost",
        lambda s: document(s, "dispositions", "demo:nowhere", lambda _: None),
    ),
    (
        "verdicts",
        "of another request",
        lambda s: state(
            s,
            "dispositions",
            "demo:one",
            lambda v: v["verdicts"]["late"]["verdict"].update(code="Other"),
        ),
    ),
    (
        "verdicts",
        "nobody understands it, and no dead letter",
        lambda s: change(
            s, DISPOSITION_REQUESTS, of("", request_id="late"), lambda r: replace(r, value=b"?")
        ),
    ),
    (
        "verdicts told",
        "another one was told",
        lambda s: change(
            s,
            DISPOSITION_EVENTS,
            of("disposition.refused", request_id="absent"),
            lambda r: with_data(r, problem="unknown_call"),
        ),
    ),
    (
        "verdicts told",
        "never told",
        lambda s: lose(s, DISPOSITION_EVENTS, of("disposition.refused", request_id="absent")),
    ),
    (
        "verdicts told",
        "told two",
        lambda s: told_again(
            s,
            DISPOSITION_EVENTS,
            of("disposition.refused", request_id="absent"),
            outcome="saved",
        ),
    ),
    ("queued", "never applied", lambda s: lose(s, DISPOSITION_EVENTS, APPLIED)),
    (
        "queued",
        "applied twice",
        lambda s: told_again(s, DISPOSITION_EVENTS, APPLIED, revision=3),
    ),
    (
        "queued",
        "what was replaced is applied",
        lambda s: change(
            s, DISPOSITION_EVENTS, APPLIED, lambda r: with_data(r, request_id="replaced")
        ),
    ),
    (
        "queued",
        "applied while on the call",
        lambda s: change(s, DISPOSITION_EVENTS, APPLIED, lambda r: with_data(r, call_version=2)),
    ),
    (
        "queued",
        "another code applied",
        lambda s: change(s, DISPOSITION_EVENTS, APPLIED, lambda r: with_data(r, code="Sale")),
    ),
    (
        "revisions",
        "one missing",
        lambda s: change(
            s, USER_EVENTS, of("", request_id="late"), lambda r: with_data(r, revision=4)
        ),
    ),
    (
        "revisions",
        "two of one number",
        lambda s: change(
            s, USER_EVENTS, of("", request_id="late"), lambda r: with_data(r, revision=2)
        ),
    ),
    (
        "revisions",
        "told in another order",
        lambda s: change(
            change(s, DISPOSITION_EVENTS, APPLIED, lambda r: with_data(r, revision=2)),
            DISPOSITION_EVENTS,
            of("disposition.corrected", request_id="corrects"),
            lambda r: with_data(r, revision=1),
        ),
    ),
    (
        "stored dispositions",
        "not missed",
        lambda s: state(s, "dispositions", "demo:three", lambda v: _agent(v, missed=False)),
    ),
    (
        "stored dispositions",
        "another code",
        lambda s: state(
            s,
            "dispositions",
            "demo:one",
            lambda v: v["agents"][0]["disposition"].update(code="Other"),
        ),
    ),
    (
        "stored dispositions",
        "none",
        lambda s: state(s, "dispositions", "demo:one", lambda v: v["agents"][0].pop("disposition")),
    ),
    (
        "stored dispositions",
        "no longer queued",
        lambda s: state(s, "dispositions", "demo:live", lambda v: v["agents"][0].pop("queued")),
    ),
    (
        "missed",
        "twice",
        lambda s: told_again(s, DISPOSITION_EVENTS, of("disposition.missed")),
    ),
    (
        "missed",
        "beside a disposition",
        lambda s: change(
            s,
            DISPOSITION_EVENTS,
            of("disposition.corrected", request_id="corrects"),
            lambda r: with_header(r, "ce_type", "disposition.missed"),
        ),
    ),
    (
        "missed",
        "before the release",
        lambda s: change(
            s, DISPOSITION_EVENTS, of("disposition.missed"), lambda r: with_data(r, call_version=3)
        ),
    ),
    (
        "releases",
        "once too often",
        lambda s: add(
            s,
            with_header(
                the(s, TELEPHONY_EVENTS, lambda r: header(r, "ce_source") == "/aftercall/worker"),
                "ce_id",
                "once-more",
            ),
        ),
    ),
    (
        "quiescence",
        "a document is ahead",
        lambda s: document(
            s, "calls", "demo:one", lambda d: replace(d, watermarks={TELEPHONY_EVENTS: 10_000})
        ),
    ),
    ("quiescence", "an effect waits", lambda s: document(s, "calls", "demo:one", _outbox)),
    (
        "quiescence",
        "nobody's document",
        lambda s: replace(s, documents=s.documents | {"strange": s.documents["calls"][:1]}),
    ),
    ("history entries", "one is missing", lambda s: _entries(s, lambda e: e.pop())),
    (
        "history entries",
        "one says otherwise",
        lambda s: _entries(s, lambda e: e.append(replace(e.pop(), body=b"{}"))),
    ),
    (
        "history entries",
        "one from nowhere",
        lambda s: _entries(s, lambda e: e.append(replace(e[0], id="strange"))),
    ),
    ("outcomes", "one is missing", lambda s: _outcomes(s, lambda rows: rows.pop())),
    (
        "outcomes",
        "another code",
        lambda s: _outcomes(s, lambda rows: rows.append(replace(rows.pop(), code="Other"))),
    ),
    (
        "outcomes",
        "an older one",
        lambda s: _outcomes(s, lambda rows: rows.append(replace(rows.pop(0), revision=1))),
    ),
]


@pytest.mark.parametrize(
    ("check", "mutant"),
    [pytest.param(check, mutant, id=f"{check}: {what}") for check, what, mutant in MUTANTS],
)
def test_what_is_broken_is_found(good: Snapshot, check: str, mutant: Mutant) -> None:
    assert check in broken(mutant(good))


def test_every_check_has_something_that_breaks_it() -> None:
    assert {check for check, _, _ in MUTANTS} == set(CHECKS)
