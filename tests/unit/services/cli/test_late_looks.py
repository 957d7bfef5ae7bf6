"""verify knows a decision that a record led to when it came again, after its write was late."""

from msgspec.structs import replace

from services.cli.verify.disposition_folds import TOLD_BY_WORKER, TOPOLOGY, Inputs, Replay
from services.cli.verify.fold import Fold
from services.worker.topology import COLLECTION, seen_again
from shared.contracts.envelope import Message, Record
from tests.unit.services.worker.field import NOW_MS, a_call, a_request, part
from tests.unit.services.worker.records import changed, record, requested

TALKING = a_call(part("ann", "active"), version=1)
WRAPPING_UP = a_call(part("ann", "wrap_up"), version=2)


def as_told(messages: tuple[Message, ...]) -> dict[str, list[Record]]:
    told: dict[str, list[Record]] = {topic: [] for topic in TOLD_BY_WORKER}
    for message in messages:
        told[message.topic].append(record(message))
    return told


def test_what_followed_when_a_request_came_again_is_found() -> None:
    request = record(requested(a_request()), offset=0, timestamp_ms=NOW_MS)
    change = record(changed(WRAPPING_UP), offset=0, timestamp_ms=NOW_MS + 40)
    routed = TOPOLOGY.route(request)
    first = Fold(TOPOLOGY, COLLECTION).attempt(request, routed, routed.input, TALKING)
    assert first is not None
    queued = Fold(TOPOLOGY, COLLECTION).after(first)
    second = queued.attempt(
        request, replace(routed, input=None), seen_again(routed.input), WRAPPING_UP
    )
    assert second is not None
    inputs = Inputs(
        requests=[(request, routed)],
        changes=[(change, TOPOLOGY.route(change))],
        calls={0: None, 1: TALKING, 2: WRAPPING_UP},
        told=as_told((*first.messages, *second.messages)),
    )

    (point, *_) = Replay(inputs).ways()

    assert point.fold.state == second.state
