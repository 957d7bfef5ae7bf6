"""Checks of requests: each has one verdict, kept and told alike, or is a dead letter."""

from collections import defaultdict
from typing import Final

import msgspec

from services.cli.verify.disposition_checks import APPLIED, TOPOLOGY
from services.cli.verify.disposition_folds import is_timer
from services.cli.verify.fold import routes
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History, Told, place
from services.worker.dispositions import CONFLICT
from services.worker.kept import Kept
from services.worker.model import DispositionsState, Requested
from services.worker.subject_model import SubjectState
from services.worker.subject_topology import COLLECTION as SUBJECTS
from services.worker.topology import CALLS, COLLECTION
from shared.contracts import limits
from shared.contracts.callbacks import CALLBACK_DUE, CALLBACK_SCHEDULED
from shared.contracts.calls import CallDocument, EventOutcome
from shared.contracts.dispositions import DispositionTold, Outcome, Verdict
from shared.contracts.envelope import Record
from shared.contracts.subjects import StatusVerdict
from shared.contracts.topics import (
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    GATEWAY_REPLIES,
    USER_EVENTS,
)

Answer = Verdict | StatusVerdict | EventOutcome

CALLBACKS: Final = frozenset({CALLBACK_SCHEDULED, CALLBACK_DUE})

_DECODERS: Final[tuple[msgspec.json.Decoder[Answer], ...]] = (
    msgspec.json.Decoder(Verdict),
    msgspec.json.Decoder(StatusVerdict),
    msgspec.json.Decoder(EventOutcome),
)


def verdicts(history: History) -> Result:
    """Every request that the worker is done with has its verdict kept, under its key."""
    result = Result(of="requests")
    found = routes(history, TOPOLOGY, DISPOSITION_REQUESTS)
    for record, poison in found.poison:
        if not history.put_aside(record):
            result.wrong(f"{place(record)} is {poison.reason}, and no dead letter")
    expired = 0
    for key, items in found.of(COLLECTION).items():
        state = history.dispositions[key][1] if key in history.dispositions else None
        for record, routed in items:
            if is_timer((record, routed)):
                continue
            result.counted += 1
            expired += _kept(record, routed.input, state, result)
    result.note(expired, "older than their verdicts are kept")
    return result


def _kept(
    record: Record, given: Requested, state: DispositionsState | None, result: Result
) -> bool:
    """Judge the verdict on one request; True if it is no longer kept."""
    request = given.request
    kept = None if state is None else state.verdicts.get(request.idempotency_key)
    if kept is not None:
        _judge(record, given, kept, result)
    elif state is not None and _expired(record, state):
        return True
    else:
        result.wrong(f"{place(record)} ({request.request_id}) has no verdict")
    return False


def _judge(record: Record, given: Requested, kept: Kept[Verdict], result: Result) -> None:
    request, verdict = given.request, kept.verdict
    if kept.body_hash != request.body_hash:
        return  # a conflict: answered so, neither kept nor told
    about = (verdict.call_id, verdict.agent_id, verdict.code)
    if about != (given.call_id, request.agent_id, request.code):
        result.wrong(f"{place(record)} ({request.request_id}) has the verdict of another request")


def _expired(record: Record, state: DispositionsState) -> bool:
    """Whether the verdict may have been dropped, by age or by number."""
    newest_ms = max((kept.kept_ms for kept in state.verdicts.values()), default=0)
    too_old = record.timestamp_ms < newest_ms - limits.IDEMPOTENCY_KEPT_MS
    return too_old or len(state.verdicts) >= limits.VERDICTS_PER_CALL_MAX


def verdicts_told(history: History) -> Result:
    """A verdict kept is the one that was told; no request is ever told two."""
    result = Result(of="verdicts")
    told = _verdicts_told(history)
    pruned = 0
    for key, (document, state) in history.dispositions.items():
        if history.ahead(TOPOLOGY.group, document):
            continue
        for kept in state.verdicts.values():
            result.counted += 1
            found = told.get((key, kept.verdict.request_id), [])
            if found:
                _agree(key, kept.verdict, found, result)
            elif _since(history, key) >= kept.kept_ms:
                pruned += 1
            else:
                result.wrong(
                    f"{kept.verdict.request_id} of {key} has a verdict that was never told"
                )
    for (key, request_id), found in told.items():
        if len(found) > 1:
            shown = ", ".join(str(data.outcome) for _, data in found)
            result.wrong(f"{request_id} of {key} was told {len(found)} verdicts: {shown}")
    result.note(pruned, "skipped: told so long ago that it is no longer kept")
    return result


def _since(history: History, key: str) -> int:
    home = history.snapshot.home(key)
    return history.since_ms(DISPOSITION_EVENTS, USER_EVENTS, partition=home)


def _verdicts_told(history: History) -> dict[tuple[str, str], list[tuple[Told, DispositionTold]]]:
    """By call and request what was told in answer to it, not what followed from it later."""
    found: dict[tuple[str, str], list[tuple[Told, DispositionTold]]] = defaultdict(list)
    for source in (history.disposition_events, history.user_events):
        for key, rows in source.items():
            for told, data in rows:
                if data.request_id is not None and _answers(told, data):
                    found[key, data.request_id].append((told, data))
    return found


def _answers(told: Told, data: DispositionTold) -> bool:
    if told.event.type in CALLBACKS or data.rule in APPLIED:
        return False
    if told.record.topic == USER_EVENTS:  # else saved, and told there beside it
        return data.outcome is Outcome.USER_EVENT
    return True


def _agree(
    key: str, verdict: Verdict, found: list[tuple[Told, DispositionTold]], result: Result
) -> None:
    kept = (verdict.outcome, verdict.code, verdict.agent_id, verdict.problem, verdict.rule)
    for told, data in found:
        if (data.outcome, data.code, data.agent_id, data.problem, data.rule) != kept:
            result.wrong(
                f"{place(told.record)} tells {data.outcome} ({data.rule}) of {verdict.request_id} "
                f"of {key}, {verdict.outcome} ({verdict.rule}) was answered"
            )


def answers(history: History) -> Result:
    """Nobody was answered what is not stored: answers that the log keeps are the kept verdicts."""
    result = Result(of="answers")
    kept = _kept_verdicts(history)
    newest = _newest_versions(history)
    for record in history.snapshot.records.get(GATEWAY_REPLIES, ()):
        result.counted += 1
        answer = _read_answer(record)
        if answer is None:
            result.wrong(f"{place(record)} is no answer of ours")
        elif isinstance(answer, EventOutcome):
            if answer.version > newest.get(answer.call_id, 0):
                result.wrong(f"{place(record)} answers of a version that is not stored")
        elif answer.problem != CONFLICT and answer not in kept[_about(answer), answer.request_id]:
            result.wrong(
                f"{place(record)} answers {answer.request_id} {answer.outcome} "
                f"({answer.rule}), which is not stored"
            )
    return result


def _about(verdict: Verdict | StatusVerdict) -> str:
    return verdict.call_id if isinstance(verdict, Verdict) else verdict.subject


def _kept_verdicts(history: History) -> dict[tuple[str, str], list[Verdict | StatusVerdict]]:
    """By call or subject and request the verdicts kept with them."""
    found: dict[tuple[str, str], list[Verdict | StatusVerdict]] = defaultdict(list)
    verdicts: list[Verdict | StatusVerdict] = [
        kept.verdict
        for _, state in history.dispositions.values()
        for kept in state.verdicts.values()
    ]
    for document in history.snapshot.documents.get(SUBJECTS, ()):
        state = msgspec.json.decode(document.state, type=SubjectState)
        verdicts += [kept.verdict for kept in state.verdicts.values()]
    for verdict in verdicts:
        found[_about(verdict), verdict.request_id].append(verdict)
    return found


def _newest_versions(history: History) -> dict[str, int]:
    """By call id the newest version of any tenant's call of this id; answers name no tenant."""
    newest: dict[str, int] = {}
    for document in history.snapshot.documents.get(CALLS, ()):
        call = msgspec.json.decode(document.state, type=CallDocument).call
        newest[call.id] = max(newest.get(call.id, 0), call.version)
    return newest


def _read_answer(record: Record) -> Answer | None:
    for decoder in _DECODERS:
        try:
            return decoder.decode(record.value)
        except msgspec.DecodeError:
            continue
    return None
