"""Checks of stored documents against the positions and the log: at rest, and all told."""

from typing import Final

from services.cli.verify.call_checks import TOPOLOGY as CALLSTATE
from services.cli.verify.disposition_checks import TOPOLOGY as WORKER
from services.cli.verify.result import Result
from services.cli.verify.snapshot import History
from services.gateway.dialects.ozonetel.tokens import COLLECTION as TOKENS
from services.gateway.hits import COLLECTION as RATES
from shared.contracts.instants import from_wire
from shared.runtime.ports import Document, Effect, TopicPartition, unpack
from shared.runtime.topology import Topology

# Written by gateways, by compare-and-set; no record decides on it.
GATEWAYS_OWN: Final = frozenset({RATES, TOKENS})

OWNERS: Final[dict[str, Topology]] = {
    collection: topology for topology in (CALLSTATE, WORKER) for collection in topology.aggregates
}


def quiescence(history: History) -> Result:
    """No document is ahead of the committed positions, no effect waits to be published.

    Where log and store share no transaction, a document may be ahead of a position until its record
    is read again; then it waits for nothing but that.
    """
    result = Result(of="documents")
    waiting = 0
    for collection, documents in history.snapshot.documents.items():
        if collection in GATEWAYS_OWN:
            continue
        owner = OWNERS.get(collection)
        for document in documents:
            result.counted += 1
            if owner is None:
                result.wrong(f"{collection} {document.key} belongs to nobody")
            else:
                waiting += _at_rest(history, owner.group, document, result)
    result.note(waiting, "ahead of the committed positions, until their records are read again")
    return result


def _at_rest(history: History, group: str, document: Document, result: Result) -> bool:
    """Judge one document; True if it waits for records that are to be read again."""
    name = f"{document.collection} {document.key}"
    home = history.snapshot.home(document.key)
    places = [(topic, home, offset) for topic, offset in document.watermarks.items()]
    ahead = [place for place in places if _is_ahead(history, group, place)]
    for topic, part, offset in ahead:
        if not _comes_again(history, (topic, part, offset)):
            position = history.position_at(group, topic, part)
            result.wrong(f"{name} has offset {offset} of {topic} in it, {group} is at {position}")
    for effect in unpack(document.outbox):
        topic, part, offset = effect.source
        if not _is_ahead(history, group, effect.source):
            continue
        if not _comes_again(history, effect.source):
            result.wrong(f"{name} holds an effect of {topic}/{part}/{offset}, not yet published")
    return bool(ahead)


def _is_ahead(history: History, group: str, source: tuple[str, int, int]) -> bool:
    topic, part, offset = source
    return offset >= history.position_at(group, topic, part)


def _comes_again(history: History, source: tuple[str, int, int]) -> bool:
    """Whether its record stands in the log, and was stored ahead of the position in order."""
    topic, part, offset = source
    end = history.snapshot.ends.get(TopicPartition(topic, part), 0)
    return history.snapshot.apart and offset < end


def outbox(history: History) -> Result:
    """What a document has caused stands in the log as it was stored, once its record is behind."""
    result = Result(of="documents")
    due = [
        (document, effect)
        for collection, documents in history.snapshot.documents.items()
        for document in documents
        for effect in unpack(document.outbox)
        if collection in OWNERS and not _is_ahead(history, OWNERS[collection].group, effect.source)
    ]
    result.counted = sum(
        len(documents)
        for collection, documents in history.snapshot.documents.items()
        if collection in OWNERS
    )
    standing = history.standing({effect.message for _, effect in due})
    for document, effect in due:
        if not standing[effect.message] and not history.forgotten(effect.message, _time(effect)):
            topic, part, offset = effect.source
            result.wrong(
                f"{document.collection} {document.key} caused {_named(effect)} by "
                f"{topic}/{part}/{offset}, and the log does not have it"
            )
    return result


def _named(effect: Effect) -> str:
    return dict(effect.message.headers).get("ce_id", b"?").decode(errors="replace")


def _time(effect: Effect) -> int:
    """Of the record that caused it; it was published later."""
    try:
        return from_wire(dict(effect.message.headers)["ce_time"].decode())
    except (KeyError, ValueError):
        return 0
