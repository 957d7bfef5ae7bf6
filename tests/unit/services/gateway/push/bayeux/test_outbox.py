"""What waits for a client: in order, bounded, and sent again until it is acknowledged."""

import pytest

from services.gateway.push.bayeux.outbox import Outbox
from shared.contracts.limits import BAYEUX_QUEUE_BYTES_MAX, BAYEUX_QUEUE_MESSAGES_MAX


def filled(*messages: bytes, acks: bool = True) -> Outbox:
    outbox = Outbox(acks=acks)
    for message in messages:
        assert outbox.offer(message)
    return outbox


def test_without_acknowledgements_what_is_taken_is_gone() -> None:
    outbox = filled(b"1", b"2", acks=False)
    assert outbox.take() == [b"1", b"2"]
    assert not outbox.waiting
    assert outbox.take() == []


def test_what_is_not_acknowledged_comes_again_before_all_else() -> None:
    outbox = filled(b"1", b"2")
    assert (outbox.take(), outbox.batch) == ([b"1", b"2"], 1)
    outbox.offer(b"3")
    outbox.acknowledge(0)
    outbox.offer(b"4")
    assert (outbox.take(), outbox.batch) == ([b"1", b"2", b"3", b"4"], 2)
    outbox.acknowledge(1)
    assert (outbox.take(), outbox.batch) == ([b"1", b"2", b"3", b"4"], 3)
    outbox.acknowledge(3)
    assert not outbox.waiting
    assert outbox.take() == []


def test_only_what_came_after_the_batch_comes_again() -> None:
    outbox = filled(b"1")
    outbox.take()
    outbox.offer(b"2")
    outbox.take()
    outbox.acknowledge(1)
    assert outbox.take() == [b"2"]
    outbox.acknowledge(99)
    assert outbox.take() == []


@pytest.mark.parametrize("acks", [True, False])
def test_so_many_messages_and_no_more(acks: bool) -> None:
    outbox = filled(*[b"x"] * BAYEUX_QUEUE_MESSAGES_MAX, acks=acks)
    assert not outbox.offer(b"x")
    assert len(outbox.take()) == BAYEUX_QUEUE_MESSAGES_MAX
    assert outbox.offer(b"x") != acks, "sent and not acknowledged still takes its place"
    outbox.acknowledge(outbox.batch)
    assert outbox.offer(b"x")


@pytest.mark.parametrize("acks", [True, False])
def test_so_many_bytes_and_no_more(acks: bool) -> None:
    outbox = filled(b"x" * (BAYEUX_QUEUE_BYTES_MAX - 1), b"x", acks=acks)
    assert not outbox.offer(b"x")
    outbox.take()
    assert outbox.offer(b"x") != acks
    outbox.acknowledge(outbox.batch)
    assert outbox.offer(b"x")
    assert not filled(acks=acks).offer(b"x" * (BAYEUX_QUEUE_BYTES_MAX + 1))


def test_cleared_it_has_room_for_all() -> None:
    outbox = filled(b"x" * BAYEUX_QUEUE_BYTES_MAX)
    outbox.take()
    outbox.clear()
    assert outbox.offer(b"x" * BAYEUX_QUEUE_BYTES_MAX)
