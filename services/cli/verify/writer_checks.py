"""Checks of who writes what, and where: single writers, partitions, tenants, decisions in order."""

from typing import Final

import msgspec

from services.callstate.model import COLLECTION as CALLS
from services.callstate.model import CallState
from services.cli.verify.call_checks import TOPOLOGY as CALLSTATE
from services.cli.verify.disposition_checks import TOPOLOGY as WORKER
from services.cli.verify.fold import routes
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History, message_of, place
from services.worker.subject_topology import COLLECTION as SUBJECTS
from shared.contracts.dispositions import DispositionTold
from shared.contracts.envelope import Record
from shared.contracts.subjects import SubjectDocument
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    SWITCH_COMMANDS,
    TOLD,
    USER_EVENTS,
)
from shared.runtime.ports import Document, unpack
from shared.runtime.topology import Topology

WRITERS: Final[dict[str, Topology]] = {
    CALLS_CHANGED: CALLSTATE,
    DISPOSITION_EVENTS: WORKER,
    USER_EVENTS: WORKER,
    SWITCH_COMMANDS: WORKER,
}


def writers(history: History) -> Result:
    """Only callstate tells of calls, only the worker of dispositions, each by its own numbers."""
    result = Result(of="told records")
    for topic in TOLD:
        source = WRITERS[topic].source
        for told in history.told[topic]:
            result.counted += 1
            event, key = told.event, told.record.key
            if event.source != source:
                result.wrong(f"{place(told.record)} is told by {event.source}, not by {source}")
            if event.id != f"{topic}:{key}:{event.sequence}":
                result.wrong(f"{place(told.record)} is not named by its topic, key and sequence")
    return result


def places(history: History) -> Result:
    """Each record stands where its key belongs; what a stranger put elsewhere has been moved."""
    result = Result(of="records")
    home = history.snapshot.home
    for topic in TOLD:
        for record in history.snapshot.records.get(topic, ()):
            result.counted += 1
            if home(record.key) != record.partition:
                result.wrong(f"{place(record)} belongs in partition {home(record.key)}")
    for topology in (CALLSTATE, WORKER):
        for topic in topology.topics:
            if topic not in TOLD:
                _moved(history, routes(history, topology, topic).moved, result)
    return result


def _moved(history: History, moved: list[Record], result: Result) -> None:
    result.counted += len(moved)
    standing = history.standing({message_of(record) for record in moved})
    forgotten = 0
    for record in moved:
        message = message_of(record)
        if standing[message]:
            standing[message] -= 1
        elif history.forgotten(message, record.timestamp_ms):
            forgotten += 1
        else:
            result.wrong(
                f"{place(record)} belongs in partition {history.snapshot.home(record.key)}, and "
                "was not moved there"
            )
    result.note(len(moved), "put elsewhere by a stranger, and moved")
    result.note(forgotten, "of them no longer kept where they belong")


def tenants(history: History) -> Result:
    """Nothing of one tenant or call stands under the name of another."""
    result = Result(of="documents")
    for collection, documents in history.snapshot.documents.items():
        for document in documents:
            result.counted += 1
            name = f"{collection} {document.key}"
            if collection == CALLS:
                _call_named(name, document, result)
            if collection == SUBJECTS:
                _subject_named(name, document, result)
            for effect in unpack(document.outbox):
                if _tenant(effect.message.key) != _tenant(document.key):
                    result.wrong(f"{name} holds an effect on {effect.message.key}")
    for key, (document, state) in history.dispositions.items():
        for kept in state.verdicts.values():
            if not document.key.endswith(f":{kept.verdict.call_id}"):
                result.wrong(f"dispositions {key} hold a verdict on {kept.verdict.call_id}")
    return result


def _tenant(key: str) -> str:
    return key.partition(":")[0]


def _call_named(name: str, document: Document, result: Result) -> None:
    call = msgspec.json.decode(document.state, type=CallState).call
    if document.key != f"{call.tenant}:{call.id}":
        result.wrong(f"{name} holds call {call.tenant}:{call.id}")


def _subject_named(name: str, document: Document, result: Result) -> None:
    subject = msgspec.json.decode(document.state, type=SubjectDocument).subject
    if document.key.partition(":")[2] != subject:
        result.wrong(f"{name} holds {subject}")


def decisions(history: History) -> Result:
    """No decision rests on an older call than the one before it, or on one that never was."""
    result = Result(of="decisions told")
    versions = {
        document.key: msgspec.json.decode(document.state, type=CallState).call.version
        for document in history.snapshot.documents.get(CALLS, ())
    }
    for source in (history.disposition_events, history.user_events):
        for key, rows in source.items():
            result.counted += len(rows)
            before = 0
            for told, data in rows:
                if data.call_version < before:
                    result.wrong(
                        f"{place(told.record)} was decided on version {data.call_version} of "
                        f"{key}, after one on {before}"
                    )
                before = max(before, data.call_version)
                _exists(f"{place(told.record)}", data, versions.get(key, 0), result)
    return result


def _exists(name: str, data: DispositionTold, newest: int, result: Result) -> None:
    if data.call_version > newest:
        result.wrong(f"{name} was decided on version {data.call_version}, the newest is {newest}")
