"""The checker finds nothing in a good history, and each thing that was broken in one."""

from collections.abc import Callable
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services import gateway
from services.cli.verify.checks import CHECKS, promise
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History, Snapshot
from shared.contracts.envelope import Message, Record
from shared.contracts.limits import DEAD_KEPT_MS
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    GATEWAY_REPLIES,
    SWITCH_COMMANDS,
    TELEPHONY_EVENTS,
    USER_EVENTS,
)
from shared.runtime.dead_letters import receipt
from shared.runtime.history import MISSED
from shared.runtime.ports import Effect, TopicPartition, pack, part
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

pytestmark = pytest.mark.slow

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
        assert (result.counted > 0) == (name != "answers"), name  # they pass through no log here
        assert result.notes == [], name


def test_every_check_says_what_it_promises() -> None:
    for check in CHECKS.values():
        assert promise(check).endswith(".")


def test_a_record_repeated_as_it_was_is_no_violation(good: Snapshot) -> None:
    for topic in (CALLS_CHANGED, DISPOSITION_EVENTS, USER_EVENTS, SWITCH_COMMANDS):
        again = add(good, good.records[topic][-1])
        assert broken(again) == set(), topic
        assert run(again)["sequences"].notes == ["1 repeated after a crash, the same each time"]


def test_an_answer_that_is_stored_is_no_violation(good: Snapshot) -> None:
    conflict = _verdict(good, "late") | {"problem": "idempotency_conflict", "outcome": "refused"}
    applied = {"event_id": "e", "call_id": "one", "outcome": "applied", "rule": "x", "version": 4}
    for body in (_verdict(good, "late"), conflict, applied):
        result = run(_answered(good, body))["answers"]
        assert (result.counted, result.violations) == (1, [])


def test_a_gateway_s_own_documents_are_nobody_s_violation(good: Snapshot) -> None:
    modules = [
        import_module(found.name) for found in walk_packages(gateway.__path__, "services.gateway.")
    ]
    collections = {module.COLLECTION for module in modules if hasattr(module, "COLLECTION")}
    assert collections >= {"rates", "tokens"}
    for name in collections:
        own = replace(good.documents["calls"][0], collection=name, key="demo:whatever")
        assert broken(replace(good, documents=good.documents | {name: (own,)})) == set(), name


def test_a_history_whose_beginning_was_pruned_is_clean(good: Snapshot) -> None:
    times = sorted({r.timestamp_ms for records in good.records.values() for r in records})
    for before_ms in times:
        assert broken(aged(good, before_ms)) == set(), before_ms
    for topic in good.records:
        assert broken(aged(good, 2**60, only=topic)) == set(), topic


# check, what it can't judge once everything old was pruned
SKIPPED = [
    ("calls refold", "11 skipped: some of their events are no longer kept"),
    ("timers", "skipped: their timer records are no longer kept"),
    ("verdicts told", "skipped: told so long ago that it is no longer kept"),
    ("queued", "skipped: queued so long ago that it is no longer kept"),
    ("stored dispositions", "calls skipped: some of what was told is no longer kept"),
    ("dead letters", "1 skipped: the records they came from are no longer kept"),
    ("callbacks", "1 skipped: scheduled so long ago that it is no longer kept"),
    ("history entries", "of records no longer kept"),
    ("outcomes", "told so long ago that it is no longer kept"),
]


@pytest.mark.parametrize(("check", "said"), SKIPPED)
def test_what_was_pruned_is_said_to_be_skipped(good: Snapshot, check: str, said: str) -> None:
    times = {r.timestamp_ms for records in good.records.values() for r in records}
    pruned = [aged(good, before_ms) for before_ms in times]
    pruned.append(aged(good, 2**60, only=TELEPHONY_EVENTS))
    notes = {note for snapshot in pruned for note in CHECKS[check](History(snapshot)).notes}
    assert any(said in note for note in notes), notes


def test_verdicts_older_than_they_are_kept_are_not_asked_for(good: Snapshot) -> None:
    def a_day_later(stored: dict[str, Any]) -> None:
        late = stored["verdicts"].pop("late")
        for kept in stored["verdicts"].values():
            kept["kept_ms"] += 24 * 3600 * 1000 + 1_000_000
        assert late

    later = run(state(good, "dispositions", "demo:one", a_day_later))["verdicts"]
    assert (later.violations, later.notes) == ([], ["1 older than their verdicts are kept"])


def test_documents_ahead_of_the_position_are_left_to_the_next_check(good: Snapshot) -> None:
    ahead = document(
        good, "calls", "demo:one", lambda d: replace(d, watermarks={TELEPHONY_EVENTS: 10_000})
    )
    results = run(ahead)
    assert results["calls refold"].violations == []
    assert results["calls refold"].notes == ["1 skipped: stored, and not yet committed"]


def test_what_was_put_elsewhere_and_moved_is_no_violation(good: Snapshot) -> None:
    """A copy of an event of a call that is over changes nothing but the call's history."""
    moved = run(_strayed(good, of("call.agent_joined", "demo:back"), moved=True))["places"]
    assert (moved.violations, moved.notes) == ([], ["1 put elsewhere by a stranger, and moved"])


def test_gaps_are_no_violation_where_strangers_may_write_in_transactions(good: Snapshot) -> None:
    where = TopicPartition(TELEPHONY_EVENTS, 0)
    marked = replace(
        good,
        records=good.records
        | {TELEPHONY_EVENTS: tuple(r for r in good.records[TELEPHONY_EVENTS] if r.offset != 3)},
        ends=good.ends | {where: good.ends[where] + 1},
        gaps=frozenset({TELEPHONY_EVENTS}),
        starts=dict.fromkeys(good.ends, 0),
    )
    result = run(marked)["offsets"]
    assert result.violations == []
    assert result.notes[0].endswith("gaps where strangers may have written in transactions")
    assert run(replace(marked, gaps=frozenset()))["offsets"].violations


def test_a_document_may_be_ahead_of_a_position_only_where_its_record_comes_again(
    good: Snapshot,
) -> None:
    ahead = document(
        good, "calls", "demo:one", lambda d: replace(d, watermarks={TELEPHONY_EVENTS: 10_000})
    )
    assert broken(replace(ahead, apart=True)) == {"quiescence"}
    behind = _position(good, "callstate", TELEPHONY_EVENTS, 1)
    assert "quiescence" in broken(behind)
    apart = run(replace(behind, apart=True))["quiescence"]
    assert apart.violations == []
    assert apart.notes[0].endswith(
        "ahead of the committed positions, until their records are read again"
    )


def test_what_nobody_has_read_yet_is_not_asked_for(good: Snapshot) -> None:
    event = with_header(
        the(good, TELEPHONY_EVENTS, of("call.released", "demo:one")), "ce_id", "new"
    )
    request = the(good, DISPOSITION_REQUESTS, of(""))
    unread = add(add(good, event), with_data(request, idempotency_key="unread"))
    assert broken(replace(unread, positions=good.positions)) == set()
    assert broken(unread) == {"calls refold", "dispositions refold", "verdicts"}


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
    return replace(stored, outbox=pack(part((effect,))))


def _caused(stored: Any, *, key: str = "demo:one", value: bytes) -> Any:
    """With an effect that is long behind, and is not what stands in the log."""
    headers = (("ce_id", b"calls.changed:demo:one:1"), ("ce_time", b"2026-11-21T14:00:00.000Z"))
    effect = Effect((TELEPHONY_EVENTS, 0, 0), Message(CALLS_CHANGED, key, headers, value))
    return replace(stored, outbox=pack(part((effect,))))


def _marked(snapshot: Snapshot, topic: str) -> Snapshot:
    """A watermark that is lower than it was."""
    return document(
        snapshot,
        "dispositions",
        "demo:one",
        lambda d: replace(d, watermarks=d.watermarks | {topic: d.watermarks[topic] - 1}),
    )


def _elsewhere(snapshot: Snapshot, key: str) -> Callable[[str], int]:
    """Another partition for this key than the one that it stands in."""
    home = snapshot.home(key)
    return lambda asked: home + 1 if asked == key else snapshot.home(asked)


def _strayed(snapshot: Snapshot, chosen: Callable[[Any], bool], *, moved: bool = False) -> Snapshot:
    """What a stranger put into a partition that is not its key's, and read there by callstate."""
    record = the(snapshot, TELEPHONY_EVENTS, chosen)
    others = {r.partition for r in snapshot.records[TELEPHONY_EVENTS]} - {record.partition}
    stray = with_header(replace(record, partition=min(others)), "ce_id", "stray")
    strayed = add(snapshot, stray)
    return add(strayed, replace(stray, partition=record.partition)) if moved else strayed


def _verdict(snapshot: Snapshot, request_id: str) -> dict[str, Any]:
    """The verdict on a request of `demo:one`."""
    (stored,) = (d for d in snapshot.documents["dispositions"] if d.key == "demo:one")
    verdict: dict[str, Any] = msgspec.json.decode(stored.state)["verdicts"][request_id]["verdict"]
    return verdict


def _answered(snapshot: Snapshot, body: dict[str, Any]) -> Snapshot:
    """With an answer in the log, as it is where gateways wait elsewhere."""
    value = msgspec.json.encode(body)
    answer = Record(GATEWAY_REPLIES, 0, 0, snapshot.taken_ms, "gateway", (), value)
    where = TopicPartition(GATEWAY_REPLIES, 0)
    return replace(
        snapshot,
        records=snapshot.records | {GATEWAY_REPLIES: (answer,)},
        ends=snapshot.ends | {where: 1},
    )


SOMEBODY = "/aftercall/gateway"


# check, what was broken, what is said of it, how
MUTANTS: list[tuple[str, str, str, Mutant]] = [
    (
        "offsets",
        "a record is gone from the middle",
        "follows offset",
        lambda s: replace(
            s,
            records=s.records
            | {TELEPHONY_EVENTS: s.records[TELEPHONY_EVENTS][:3] + s.records[TELEPHONY_EVENTS][4:]},
        ),
    ),
    (
        "offsets",
        "the newest record is gone",
        "its last record is",
        lambda s: replace(s, records=s.records | {CALLS_CHANGED: s.records[CALLS_CHANGED][:-1]}),
    ),
    (
        "positions",
        "beyond the end",
        "worker stands at 10000 of calls.changed/0, which ends at",
        lambda s: _position(s, "worker", CALLS_CHANGED, 10_000),
    ),
    (
        "positions",
        "unread records were pruned",
        "callstate stands at 0 of telephony.events/0, kept from",
        lambda s: _position(aged(s, 2**60), "callstate", TELEPHONY_EVENTS, 0),
    ),
    (
        "sequences",
        "one lost",
        "has sequence 3 after 1 for demo:two",
        lambda s: lose(s, CALLS_CHANGED, of("", "demo:two", version=2)),
    ),
    (
        "sequences",
        "a number skipped",
        "has sequence 9 after 1 for demo:one",
        lambda s: change(
            s, USER_EVENTS, of("", request_id="late"), lambda r: with_header(r, "ce_sequence", "9")
        ),
    ),
    (
        "sequences",
        "no number",
        "has no sequence",
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
        "and differs from it",
        lambda s: add(s, with_data(the(s, DISPOSITION_EVENTS, APPLIED), code="Sale")),
    ),
    (
        "sequences",
        "one id for two records",
        "has the id of disposition.events/0/0",
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
        "names another tenant than its key demo",
        lambda s: change(
            s, SWITCH_COMMANDS, of("agent.pause"), lambda r: with_header(r, "ce_tenant", "north")
        ),
    ),
    (
        "envelopes",
        "another tenant in the data",
        "names another tenant than its key demo",
        lambda s: change(
            s, SWITCH_COMMANDS, of("agent.pause"), lambda r: with_data(r, tenant="north")
        ),
    ),
    (
        "envelopes",
        "another call in the data",
        "names another call than its key one",
        lambda s: change(s, USER_EVENTS, of(""), lambda r: with_data(r, call_id="other")),
    ),
    (
        "envelopes",
        "another subject",
        "names another call than its key one",
        lambda s: change(s, USER_EVENTS, of(""), lambda r: with_header(r, "ce_subject", "other")),
    ),
    (
        "envelopes",
        "not readable",
        "can't be read",
        lambda s: change(s, USER_EVENTS, of(""), lambda r: replace(r, value=b"{}")),
    ),
    (
        "envelopes",
        "a key without a tenant",
        "the record key is not tenant:id",
        lambda s: change(s, USER_EVENTS, of(""), lambda r: replace(r, key="one")),
    ),
    (
        "calls refold",
        "what the rules can't decide",
        "demo:one can't be decided again",
        lambda s: change(
            s,
            TELEPHONY_EVENTS,
            of("call.started", "demo:one"),
            lambda r: replace(r, timestamp_ms=2**62),
        ),
    ),
    (
        "dead letters",
        "not as it came",
        "as it came",
        lambda s: change(s, DEAD, of(""), lambda r: replace(r, value=b"else")),
    ),
    (
        "dead letters",
        "twice, and not the same",
        "has dead letters that differ",
        lambda s: add(s, replace(s.records[DEAD][0], value=b"else")),
    ),
    (
        "calls refold",
        "no dead letter",
        "is bad_envelope, and no dead letter",
        lambda s: lose(s, DEAD, of("")),
    ),
    (
        "calls refold",
        "stored otherwise",
        "demo:one is stored otherwise than its events say",
        lambda s: state(s, "calls", "demo:one", lambda v: v["call"].update(customer_id="78")),
    ),
    (
        "calls refold",
        "not stored",
        "demo:one is not stored, wrongly",
        lambda s: document(s, "calls", "demo:one", lambda _: None),
    ),
    (
        "calls refold",
        "stored from nothing",
        "demo:never-told is stored, and the log has no event of it",
        lambda s: document(s, "calls", "demo:two", lambda d: replace(d, key="demo:never-told")),
    ),
    (
        "calls refold",
        "an event that never happened",
        "demo:one is stored otherwise than its events say",
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
        "demo:one was last changed by offset 4",
        lambda s: document(
            s, "calls", "demo:one", lambda d: replace(d, watermarks={TELEPHONY_EVENTS: 0})
        ),
    ),
    (
        "calls refold",
        "told otherwise",
        "tells otherwise than the events of demo:one say",
        lambda s: change(
            s, CALLS_CHANGED, of("", "demo:one", version=2), lambda r: with_data(r, by="system")
        ),
    ),
    (
        "calls refold",
        "a change too many",
        "demo:one changed 4 times, and 5 were told",
        lambda s: told_again(s, CALLS_CHANGED, of("", "demo:one")),
    ),
    (
        "calls refold",
        "effects numbered otherwise",
        "call demo:one has numbered its effects otherwise",
        lambda s: document(
            s, "calls", "demo:one", lambda d: replace(d, sequences={CALLS_CHANGED: 9})
        ),
    ),
    (
        "calls refold",
        "written too often",
        "call demo:one was written 99 times, 4 records changed it",
        lambda s: document(s, "calls", "demo:one", lambda d: replace(d, revision=99)),
    ),
    (
        "calls refold",
        "a deadline that the index does not know",
        "call demo:live can't be found by what it is",
        lambda s: document(
            s, "calls", "demo:live", lambda d: replace(d, index=replace(d.index, due_ms=None))
        ),
    ),
    (
        "calls refold",
        "an agent that the index does not know",
        "call demo:live can't be found by what it is",
        lambda s: document(
            s, "calls", "demo:live", lambda d: replace(d, index=replace(d.index, tags=()))
        ),
    ),
    (
        "call versions",
        "the store is ahead of what was told",
        "demo:one has version 99, 4 told",
        lambda s: state(s, "calls", "demo:one", lambda v: v["call"].update(version=99)),
    ),
    (
        "call versions",
        "not its sequence",
        "is version 3, not its sequence",
        lambda s: change(
            s, CALLS_CHANGED, of("", "demo:one", version=2), lambda r: with_data(r, version=3)
        ),
    ),
    (
        "phases",
        "an agent goes back",
        "agent-1 goes back from wrap_up to active",
        lambda s: change(
            s, CALLS_CHANGED, _changed("demo:one", "released"), lambda r: _phase(r, 0, "active")
        ),
    ),
    (
        "phases",
        "a call goes back",
        "demo:one goes back to active",
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
        "was met 2 times",
        lambda s: told_again(s, CALLS_CHANGED, _changed("demo:three", "wrap_up_over")),
    ),
    (
        "timers",
        "met early",
        "meets a deadline before its time",
        lambda s: change(
            s,
            CALLS_CHANGED,
            _changed("demo:three", "wrap_up_over"),
            lambda r: with_data(r, change={"at": "2026-11-21T14:00:00.000Z"}),
        ),
    ),
    (
        "places",
        "told in another partition",
        "belongs in partition",
        lambda s: replace(s, home=_elsewhere(s, "demo:one")),
    ),
    (
        "places",
        "put elsewhere and never moved",
        "and was not moved there",
        lambda s: _strayed(s, of("call.agent_joined", "demo:back")),
    ),
    (
        "writers",
        "told by somebody else",
        "is told by /aftercall/gateway, not by /aftercall/worker",
        lambda s: change(
            s, DISPOSITION_EVENTS, APPLIED, lambda r: with_header(r, "ce_source", SOMEBODY)
        ),
    ),
    (
        "writers",
        "a name of its own",
        "is not named by its topic, key and sequence",
        lambda s: change(s, CALLS_CHANGED, of(""), lambda r: with_header(r, "ce_id", "mine")),
    ),
    (
        "tenants",
        "another tenant's call",
        "calls demo:one holds call north:one",
        lambda s: state(s, "calls", "demo:one", lambda v: v["call"].update(tenant="north")),
    ),
    (
        "tenants",
        "another tenant's effect",
        "calls demo:one holds an effect on north:one",
        lambda s: document(
            s, "calls", "demo:one", lambda d: _caused(d, key="north:one", value=b"{}")
        ),
    ),
    (
        "tenants",
        "a verdict on another call",
        "dispositions demo:one hold a verdict on two",
        lambda s: state(
            s,
            "dispositions",
            "demo:one",
            lambda v: v["verdicts"]["late"]["verdict"].update(call_id="two"),
        ),
    ),
    (
        "decisions",
        "on an older call",
        "was decided on version 1 of demo:one, after one on",
        lambda s: change(
            s,
            DISPOSITION_EVENTS,
            of("disposition.corrected", request_id="corrects"),
            lambda r: with_data(r, call_version=1),
        ),
    ),
    (
        "decisions",
        "on a call that never was",
        "was decided on version 99, the newest is",
        lambda s: change(s, DISPOSITION_EVENTS, APPLIED, lambda r: with_data(r, call_version=99)),
    ),
    (
        "dispositions refold",
        "told otherwise",
        "follows from no record, by the rules",
        lambda s: change(s, DISPOSITION_EVENTS, APPLIED, lambda r: with_data(r, code="Sale")),
    ),
    (
        "dispositions refold",
        "a command that nobody asked for",
        "follows from no record, by the rules",
        lambda s: told_again(s, SWITCH_COMMANDS, of("agent.pause")),
    ),
    (
        "dispositions refold",
        "a command lost",
        "follows from no record, by the rules",
        lambda s: lose(s, SWITCH_COMMANDS, of("agent.release")),
    ),
    (
        "dispositions refold",
        "a release lost",
        "follows from no record, by the rules",
        lambda s: change(
            s,
            TELEPHONY_EVENTS,
            lambda r: header(r, "ce_source") == "/aftercall/worker",
            lambda r: with_header(r, "ce_source", "/switch"),
        ),
    ),
    (
        "subjects refold",
        "a status that nobody asked for",
        "subject demo:customer:78 is stored otherwise than its requests say",
        lambda s: state(
            s, "subjects", "demo:customer:78", lambda v: v["status"].update(code="Won")
        ),
    ),
    (
        "subjects refold",
        "a change lost",
        "subject demo:customer:78 has 4 to tell on disposition.events, and 3 were told",
        lambda s: lose(s, DISPOSITION_EVENTS, of("status.changed", "demo:customer:78")),
    ),
    (
        "subjects refold",
        "another code told",
        "tells otherwise than the requests of subject demo:customer:78 say",
        lambda s: change(
            s,
            DISPOSITION_EVENTS,
            of("status.changed", "demo:customer:78"),
            lambda r: with_data(r, code="Won"),
        ),
    ),
    (
        "subjects refold",
        "a message lost",
        "has 1 to tell on switch.commands, and 0 were told",
        lambda s: lose(s, SWITCH_COMMANDS, of("message.send")),
    ),
    (
        "subjects refold",
        "not stored",
        "subject demo:customer:79 is not stored, wrongly",
        lambda s: document(s, "subjects", "demo:customer:79", lambda _: None),
    ),
    (
        "subjects refold",
        "stored from nothing",
        "subject demo:customer:99 is stored, wrongly",
        lambda s: document(
            s, "subjects", "demo:customer:79", lambda d: replace(d, key="demo:customer:99")
        ),
    ),
    (
        "subjects refold",
        "a watermark moved",
        "subject demo:customer:79 was last changed by",
        lambda s: document(s, "subjects", "demo:customer:79", lambda d: replace(d, watermarks={})),
    ),
    (
        "subjects refold",
        "numbered otherwise",
        "subject demo:customer:78 has numbered its effects otherwise",
        lambda s: document(s, "subjects", "demo:customer:78", lambda d: replace(d, sequences={})),
    ),
    (
        "statuses asked",
        "one is not asked for",
        "demo:about has not asked for the status of demo:record:17/4711",
        lambda s: lose(
            s, DISPOSITION_REQUESTS, of("status.requested", "demo:record:17/4711", dialect="call")
        ),
    ),
    (
        "statuses asked",
        "one that no disposition asks for",
        "asks for what no disposition was told of",
        lambda s: change(
            s,
            DISPOSITION_REQUESTS,
            of("status.requested", dialect="native"),
            lambda r: with_header(r, "ce_source", "/aftercall/worker"),
        ),
    ),
    (
        "tenants",
        "another subject is stored there",
        "subjects demo:customer:78 holds customer:77",
        lambda s: state(
            s, "subjects", "demo:customer:78", lambda v: v.update(subject="customer:77")
        ),
    ),
    (
        "callbacks",
        "told twice",
        "tells of a callback that was told before",
        lambda s: told_again(s, DISPOSITION_EVENTS, of("callback.due")),
    ),
    (
        "callbacks",
        "told too soon",
        "tells of a callback before its time",
        lambda s: change(
            s,
            DISPOSITION_EVENTS,
            of("callback.due"),
            lambda r: with_data(r, decided_at="2020-01-01T00:00:00.000Z"),
        ),
    ),
    (
        "callbacks",
        "another time told",
        "tells of a callback that is not waited for",
        lambda s: change(
            s,
            DISPOSITION_EVENTS,
            of("callback.due", "demo:customer:82"),
            lambda r: with_data(r, callback_at="2020-01-01T00:00:00.000Z"),
        ),
    ),
    (
        "callbacks",
        "told of one that was taken away",
        "tells of a callback that is not waited for",
        lambda s: told_again(
            s, DISPOSITION_EVENTS, of("status.changed", "demo:customer:81"), as_type="callback.due"
        ),
    ),
    (
        "callbacks",
        "told of one that a late disposition has ended",
        "tells of a callback that revision 2 ended",
        lambda s: change(
            s,
            DISPOSITION_EVENTS,
            of("callback.due", "demo:soon"),
            lambda r: with_data(r, decided_at="2099-01-01T00:00:00.000Z"),
        ),
    ),
    (
        "dispositions refold",
        "a callback never told",
        "callback.due is owed on disposition.events, and was never told",
        lambda s: lose(s, DISPOSITION_EVENTS, of("callback.due", "demo:then")),
    ),
    (
        "dispositions refold",
        "a callback told of without its timer",
        "follows from no record, by the rules",
        lambda s: change(
            s,
            DISPOSITION_REQUESTS,
            of("callback.timer_due", "demo:then"),
            lambda r: with_data(r, revision=9),
        ),
    ),
    (
        "subjects refold",
        "a callback never told",
        "subject demo:customer:82 has 5 to tell on disposition.events, and 4 were told",
        lambda s: lose(s, DISPOSITION_EVENTS, of("callback.due", "demo:customer:82")),
    ),
    (
        "dispositions refold",
        "the last event lost",
        "disposition.missed is owed on disposition.events, and was never told",
        lambda s: lose(s, DISPOSITION_EVENTS, of("disposition.missed")),
    ),
    (
        "dispositions refold",
        "a refusal lost",
        "(unknown) was never decided",
        lambda s: lose(s, DISPOSITION_EVENTS, of("", request_id="unknown")),
    ),
    (
        "dispositions refold",
        "nothing stored",
        "dispositions of demo:three are not stored, wrongly",
        lambda s: document(s, "dispositions", "demo:three", lambda _: None),
    ),
    (
        "dispositions refold",
        "stored from nothing",
        "dispositions of demo:never are stored, wrongly",
        lambda s: document(s, "dispositions", "demo:three", lambda d: replace(d, key="demo:never")),
    ),
    (
        "dispositions refold",
        "a verdict that the rules do not give",
        "dispositions of demo:one are stored otherwise",
        lambda s: state(
            s,
            "dispositions",
            "demo:one",
            lambda v: v["verdicts"]["absent"]["verdict"].update(problem="unknown_call"),
        ),
    ),
    (
        "dispositions refold",
        "a comment that nobody gave",
        "dispositions of demo:one are stored otherwise",
        lambda s: state(
            s,
            "dispositions",
            "demo:one",
            lambda v: v["agents"][0]["disposition"].update(comment="?"),
        ),
    ),
    (
        "dispositions refold",
        "decided on another call",
        "dispositions of demo:one are stored otherwise",
        lambda s: state(s, "dispositions", "demo:one", lambda v: v.update(call_version=1)),
    ),
    (
        "dispositions refold",
        "another watermark of requests",
        "dispositions of demo:one were last changed by",
        lambda s: _marked(s, DISPOSITION_REQUESTS),
    ),
    (
        "dispositions refold",
        "another watermark of changes",
        "dispositions of demo:one were last changed by",
        lambda s: _marked(s, CALLS_CHANGED),
    ),
    (
        "dispositions refold",
        "effects numbered otherwise",
        "dispositions of demo:one has numbered its effects otherwise",
        lambda s: document(s, "dispositions", "demo:one", lambda d: replace(d, sequences={})),
    ),
    (
        "verdicts",
        "forgotten",
        "(late) has no verdict",
        lambda s: state(s, "dispositions", "demo:one", lambda v: v["verdicts"].pop("late")),
    ),
    (
        "verdicts",
        "document lost",
        "(unknown) has no verdict",
        lambda s: document(s, "dispositions", "demo:nowhere", lambda _: None),
    ),
    (
        "verdicts",
        "of another request",
        "(late) has the verdict of another request",
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
        "is bad_data, and no dead letter",
        lambda s: change(
            s, DISPOSITION_REQUESTS, of("", request_id="late"), lambda r: replace(r, value=b"?")
        ),
    ),
    (
        "verdicts told",
        "another one was told",
        "tells refused (agent_not_on_call) of absent",
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
        "absent of demo:one has a verdict that was never told",
        lambda s: lose(s, DISPOSITION_EVENTS, of("disposition.refused", request_id="absent")),
    ),
    (
        "verdicts told",
        "told two",
        "was told 2 verdicts: refused, saved",
        lambda s: told_again(
            s,
            DISPOSITION_EVENTS,
            of("disposition.refused", request_id="absent"),
            outcome="saved",
        ),
    ),
    (
        "answers",
        "a verdict that is not stored",
        "answers late saved (late), which is not stored",
        lambda s: _answered(s, _verdict(s, "late") | {"outcome": "saved"}),
    ),
    (
        "answers",
        "an event that was never applied",
        "answers of a version that is not stored",
        lambda s: _answered(
            s,
            {"event_id": "e", "call_id": "one", "outcome": "applied", "rule": "held", "version": 9},
        ),
    ),
    (
        "answers",
        "no answer at all",
        "is no answer of ours",
        lambda s: _answered(s, {}),
    ),
    (
        "queued",
        "never applied",
        "has left, and it was never applied",
        lambda s: lose(s, DISPOSITION_EVENTS, APPLIED),
    ),
    (
        "queued",
        "applied twice",
        "applies applied, which was not waiting",
        lambda s: told_again(s, DISPOSITION_EVENTS, APPLIED, revision=3),
    ),
    (
        "queued",
        "what was replaced is applied",
        "applies replaced, which was not waiting",
        lambda s: change(
            s, DISPOSITION_EVENTS, APPLIED, lambda r: with_data(r, request_id="replaced")
        ),
    ),
    (
        "queued",
        "applied while on the call",
        "applies while agent-1 is on the call",
        lambda s: change(s, DISPOSITION_EVENTS, APPLIED, lambda r: with_data(r, call_version=2)),
    ),
    (
        "queued",
        "another code applied",
        "applies another code than was queued",
        lambda s: change(s, DISPOSITION_EVENTS, APPLIED, lambda r: with_data(r, code="Sale")),
    ),
    (
        "revisions",
        "one missing",
        "has revisions [1, 2, 4], not [1, 2, 3]",
        lambda s: change(
            s, USER_EVENTS, of("", request_id="late"), lambda r: with_data(r, revision=4)
        ),
    ),
    (
        "revisions",
        "two of one number",
        "has revisions [1, 2, 2], not [1, 2, 3]",
        lambda s: change(
            s, USER_EVENTS, of("", request_id="late"), lambda r: with_data(r, revision=2)
        ),
    ),
    (
        "revisions",
        "told in another order",
        "is a later revision than",
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
        "agent-4 of demo:three: missed is False in the store",
        lambda s: state(s, "dispositions", "demo:three", lambda v: _agent(v, missed=False)),
    ),
    (
        "stored dispositions",
        "another code",
        "agent-1 of demo:one: another disposition is stored",
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
        "agent-1 of demo:one: another disposition is stored",
        lambda s: state(s, "dispositions", "demo:one", lambda v: v["agents"][0].pop("disposition")),
    ),
    (
        "stored dispositions",
        "no longer queued",
        "still-waiting was told to wait",
        lambda s: state(s, "dispositions", "demo:live", lambda v: v["agents"][0].pop("queued")),
    ),
    (
        "missed",
        "twice",
        "agent-4 has missed demo:three before",
        lambda s: told_again(s, DISPOSITION_EVENTS, of("disposition.missed")),
    ),
    (
        "missed",
        "beside a disposition",
        "agent-1 has disposed of demo:one before",
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
        "agent-4 is not released yet in demo:three",
        lambda s: change(
            s, DISPOSITION_EVENTS, of("disposition.missed"), lambda r: with_data(r, call_version=3)
        ),
    ),
    (
        "releases",
        "once too often",
        "2 releases in 1 wrap-ups",
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
        "callstate is at",
        lambda s: document(
            s, "calls", "demo:one", lambda d: replace(d, watermarks={TELEPHONY_EVENTS: 10_000})
        ),
    ),
    (
        "quiescence",
        "an effect waits",
        "not yet published",
        lambda s: document(s, "calls", "demo:one", _outbox),
    ),
    (
        "outbox",
        "caused and never told",
        "calls demo:one caused calls.changed:demo:one:1 by telephony.events/0/0, and the log",
        lambda s: document(s, "calls", "demo:one", lambda d: _caused(d, value=b"{}")),
    ),
    (
        "quiescence",
        "nobody's document",
        "belongs to nobody",
        lambda s: replace(s, documents=s.documents | {"strange": s.documents["calls"][:1]}),
    ),
    (
        "history entries",
        "one is missing",
        "has no line in the history",
        lambda s: _entries(s, lambda e: e.pop()),
    ),
    (
        "history entries",
        "one says otherwise",
        "has another line in the history",
        lambda s: _entries(s, lambda e: e.append(replace(e.pop(), body=b"{}"))),
    ),
    (
        "history entries",
        "one from nowhere",
        "strange is a line of the history",
        lambda s: _entries(s, lambda e: e.append(replace(e[0], id="strange"))),
    ),
    (
        "outcomes",
        "one is missing",
        "is not in the reports",
        lambda s: _outcomes(s, lambda rows: rows.pop()),
    ),
    (
        "outcomes",
        "another code",
        "was not told as reported",
        lambda s: _outcomes(s, lambda rows: rows.append(replace(rows.pop(), code="Other"))),
    ),
    (
        "outcomes",
        "an older one",
        "revision 4 is not in the reports",
        lambda s: _outcomes(s, lambda rows: rows.append(replace(rows.pop(0), revision=1))),
    ),
    ("letters", "one is missing", "is not among the letters", lambda s: replace(s, letters=())),
    (
        "letters",
        "one says otherwise",
        "is another letter than its topic says",
        lambda s: _letter(s, reason="other"),
    ),
    (
        "letters",
        "one from nowhere",
        "and on no dead topic",
        lambda s: replace(s, letters=(*s.letters, replace(s.letters[0], place=f"{DEAD}/0/99"))),
    ),
    (
        "letters",
        "one twice",
        "1 letters are listed twice",
        lambda s: replace(s, letters=(*s.letters, replace(s.letters[0], place=f"{DEAD}/0/99"))),
    ),
    (
        "letters",
        "marked without a receipt",
        "is not marked as its receipts say",
        lambda s: _letter(s, put_back_ms=1),
    ),
    (
        "letters",
        "not marked",
        "is not marked as its receipts say",
        lambda s: _put_back(s, 5),
    ),
    (
        "letters",
        "marked by an older receipt",
        "is not marked as its receipts say",
        lambda s: _letter(_put_back(_put_back(s, 5), 6), put_back_ms=5),
    ),
    (
        "outcomes",
        "a miss is missing",
        "revision 0 is not in the reports",
        lambda s: replace(s, outcomes=tuple(r for r in s.outcomes if r.origin != MISSED)),
    ),
    (
        "outcomes",
        "no callback",
        "was not told as reported",
        lambda s: replace(s, outcomes=tuple(replace(r, callback_ms=None) for r in s.outcomes)),
    ),
    (
        "outcomes",
        "a callback that nobody was told of",
        "has not scheduled this callback",
        lambda s: lose(s, DISPOSITION_EVENTS, of("callback.scheduled", "demo:then")),
    ),
    (
        "outcomes",
        "a subject's callback for another time",
        "has not scheduled this callback",
        lambda s: change(
            s,
            DISPOSITION_EVENTS,
            of("callback.scheduled", "demo:record:17/4711"),
            lambda r: with_data(r, callback_at="2026-11-21T14:00:00Z"),
        ),
    ),
]


def _letter(snapshot: Snapshot, **fields: Any) -> Snapshot:
    return replace(snapshot, letters=(replace(snapshot.letters[0], **fields),))


def _put_back(snapshot: Snapshot, at_ms: int) -> Snapshot:
    """One more receipt beside the letter, read by the projection."""
    (letter, *_) = (record for record in snapshot.records[DEAD])
    message = receipt(snapshot.letters[0])
    return add(
        snapshot,
        replace(letter, timestamp_ms=at_ms, headers=message.headers, value=message.value),
    )


def test_a_letter_that_was_put_back_is_marked(good: Snapshot) -> None:
    back = _put_back(_put_back(good, 5), 6)
    assert broken(_letter(back, put_back_ms=6)) == set()
    unread = replace(back, positions=good.positions)  # the projection may be done with them, or not
    for at_ms in (None, 5, 6, 7):  # or a gateway has told the store, by its own clock
        assert broken(_letter(unread, put_back_ms=at_ms)) == set()


def test_a_told_record_that_was_put_back_is_no_violation(good: Snapshot) -> None:
    told = good.records[CALLS_CHANGED][0]
    back = replace(told, headers=(*told.headers, ("dead_put_back", b"calls.changed.dead/0/0")))
    assert broken(add(good, back)) == set()


def test_a_letter_that_a_crash_wrote_twice_is_there_once(good: Snapshot) -> None:
    assert broken(add(good, good.records[DEAD][0])) == set()


def test_letters_that_are_not_kept_any_more_are_no_violation(good: Snapshot) -> None:
    late = good.taken_ms + DEAD_KEPT_MS
    assert broken(replace(good, letters=(), taken_ms=late)) == set()
    gone = replace(good, records=good.records | {DEAD: ()}, starts=good.ends)
    assert run(gone)["letters"].notes == ["1 of records no longer kept"]
    assert run(gone)["letters"].violations == []


@pytest.mark.parametrize(
    ("check", "said", "mutant"),
    [
        pytest.param(name, said, mutant, id=f"{name}: {what}")
        for name, what, said, mutant in MUTANTS
    ],
)
def test_what_is_broken_is_found(good: Snapshot, check: str, said: str, mutant: Mutant) -> None:
    assert said in "\n".join(run(mutant(good))[check].violations)


def test_every_check_has_something_that_breaks_it() -> None:
    assert {check for check, _, _, _ in MUTANTS} == set(CHECKS)
