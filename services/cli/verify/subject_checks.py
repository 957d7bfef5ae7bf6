"""Checks of subjects: decided once more, and asked for by what the calls' dispositions say.

A subject's document follows from its own requests alone, in their order, and from what its calls
said when they were read. That the log does not hold; but each request's answer was told, and there
are three things at most that calls can say: the one that leads to what was told is what was read.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import msgspec

from services.cli.verify.call_checks import beside_the_state
from services.cli.verify.disposition_checks import TOPOLOGY, finals_told
from services.cli.verify.fold import Fold, Item, routes
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History, message_of, place
from services.worker.effects import status_request_id
from services.worker.subject_model import Beside, CallbackTimed, Given
from services.worker.subject_topology import COLLECTION
from services.worker.subjects import asks_beside, decide
from shared.contracts.dispositions import DispositionTold
from shared.contracts.envelope import Message, Record
from shared.contracts.ids import is_subject_name
from shared.contracts.subjects import StatusRequest, StatusTold, subject_key, subjects_of
from shared.contracts.topics import (
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    SWITCH_COMMANDS,
    USER_EVENTS,
)
from shared.runtime.ports import Document

TOLD_OF_SUBJECTS: Final = (DISPOSITION_EVENTS, SWITCH_COMMANDS)
READ: Final = (Beside(), Beside(named=True), Beside(named=True, handled=True))

Rules = dict[str, str]  # by request the rule that decided it, as it was told


def subjects_refold(history: History) -> Result:
    """A stored subject is what the rules make of its requests, and so is what was told of it."""
    result = Result(of="subjects")
    requests = routes(history, TOPOLOGY, DISPOSITION_REQUESTS).of(COLLECTION)
    stored = {d.key: d for d in history.snapshot.documents.get(COLLECTION, ())}
    told, rules = _told(history), _rules(history)
    pruned = behind = 0
    for key in stored.keys() | requests.keys() | told.keys():
        document = stored.get(key)
        if not _whole(history, key, document):
            pruned += 1
        elif document is not None and history.ahead(TOPOLOGY.group, document):
            behind += 1
        else:
            result.counted += 1
            faults = _faults(key, requests.get(key, []), rules[key], told[key], document)
            for sentence in faults:
                result.wrong(sentence)
    result.note(pruned, "skipped: some of their records are no longer kept")
    result.note(behind, "skipped: stored, and not yet committed")
    return result


def _whole(history: History, key: str, document: Document | None) -> bool:
    topics = (*TOLD_OF_SUBJECTS, DISPOSITION_REQUESTS)
    if document is None:
        return history.since_ms(*topics, partition=history.snapshot.home(key)) == 0
    return history.whole(document, *topics)


def _told(history: History) -> dict[str, dict[str, list[Record]]]:
    """By subject's key and topic what was told of it, each record once, in order."""
    found: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for topic in TOLD_OF_SUBJECTS:
        for told in history.first_told(topic):
            if is_subject_name(told.event.subject):
                found[told.record.key][topic].append(told.record)
    return found


def _rules(history: History) -> dict[str, Rules]:
    found: dict[str, Rules] = defaultdict(dict)
    for told in history.first_told(DISPOSITION_EVENTS):
        if isinstance(told.data, StatusTold) and told.data.request_id is not None:
            found[told.record.key].setdefault(told.data.request_id, told.data.rule)
    return found


def _faults(
    key: str,
    items: list[Item],
    rules: Rules,
    told: dict[str, list[Record]],
    document: Document | None,
) -> Iterator[str]:
    name = f"subject {key}"
    fold = Fold(TOPOLOGY, COLLECTION)
    messages: list[Message] = []
    for record, routed in items:
        step = fold.attempt(record, routed, routed.input, _read(fold, routed.input, rules))
        if step is not None:
            fold = fold.after(step)
            messages += step.messages
    for topic in TOLD_OF_SUBJECTS:
        yield from _compare(name, topic, messages, told[topic])
    if document is None or fold.state is None:
        if (document is None) != (fold.state is None):
            yield f"{name} is {'not ' if document is None else ''}stored, wrongly"
        return
    if document.state != fold.body:
        yield f"{name} is stored otherwise than its requests say"
    if document.watermarks != fold.watermarks:
        yield f"{name} was last changed by {fold.watermarks}, not as stored"
    yield from beside_the_state(name, fold, document, fold.applied)


def _read(fold: Fold, given: Given, rules: Rules) -> Beside | None:
    """What the calls must have said for the answer that was told; any, where none leads to it."""
    if isinstance(given, CallbackTimed) or not asks_beside(given.request):
        return None
    rule = rules.get(given.request.request_id)
    for beside in READ:
        decision = decide(fold.state, given, beside)
        if rule is None and not decision.effects:
            return beside
        if rule is not None and getattr(decision.answer, "rule", None) == rule:
            return beside
    return READ[0]


def _compare(name: str, topic: str, messages: list[Message], told: list[Record]) -> Iterator[str]:
    expected = [message for message in messages if message.topic == topic]
    if len(told) != len(expected):
        yield f"{name} has {len(expected)} to tell on {topic}, and {len(told)} were told"
    for message, record in zip(expected, told, strict=False):
        if message != message_of(record):
            yield f"{place(record)} tells otherwise than the requests of {name} say"


def statuses_asked(history: History) -> Result:
    """Each final disposition asks for the status of its call's subjects, and nothing else does."""
    result = Result(of="statuses asked for")
    asked = _asked(history)
    due: set[str] = set()
    gone = 0
    for (key, _), finals in finals_told(history).items():
        for _, data in finals:
            for request_id, subject in _due(data):
                due.add(request_id)
                if request_id in asked:
                    result.counted += 1
                elif _forgotten(history, subject) or _ahead(history, key):
                    gone += 1
                else:
                    result.wrong(f"{key} has not asked for the status of {subject}")
    result.note(gone, "no longer kept, or not yet published")
    if any(where.topic in (DISPOSITION_EVENTS, USER_EVENTS) for where in history.kept):
        return result  # then a disposition may be gone, and what it has asked for not
    for request_id in asked.keys() - due:
        result.wrong(f"{place(asked[request_id])} asks for what no disposition was told of")
    return result


def _due(data: DispositionTold) -> Iterator[tuple[str, str]]:
    """The requests that follow from a final disposition, and their keys."""
    for subject in subjects_of(
        customer_id=data.customer_id,
        campaign_id=data.campaign_id,
        project_id=data.project_id,
        record_id=data.record_id,
    ):
        request_id = status_request_id(
            data.tenant, data.call_id, data.agent_id, data.revision or 0, subject
        )
        yield request_id, subject_key(data.tenant, subject)


def _asked(history: History) -> dict[str, Record]:
    """By request what the worker has asked for itself; a repeat has the same one."""
    found: dict[str, Record] = {}
    for record in history.snapshot.records.get(DISPOSITION_REQUESTS, ()):
        if ("ce_source", TOPOLOGY.source.encode()) in record.headers:
            request = msgspec.json.decode(record.value, type=StatusRequest)
            found.setdefault(request.request_id, record)
    return found


def _forgotten(history: History, key: str) -> bool:
    return history.since_ms(DISPOSITION_REQUESTS, partition=history.snapshot.home(key)) > 0


def _ahead(history: History, key: str) -> bool:
    document, _ = history.dispositions.get(key, (None, None))
    return document is not None and history.ahead(TOPOLOGY.group, document)
