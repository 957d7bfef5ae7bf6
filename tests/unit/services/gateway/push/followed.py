"""A small log of told events, and how to read what a follower is given of it."""

from collections.abc import Sequence
from typing import Any

import msgspec
from typing_extensions import override

from services.gateway.push.follower import Follower
from services.gateway.push.told import Told
from shared.contracts.envelope import Event, Record, to_message
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_EVENTS, SWITCH_COMMANDS, USER_EVENTS
from shared.runtime.ports import TopicPartition
from tests.support.clock import START_MS, FakeClock
from tests.support.memory import MemoryLog

TOPICS = (CALLS_CHANGED, DISPOSITION_EVENTS, USER_EVENTS, SWITCH_COMMANDS)
Place = tuple[str, int, int]


class ForgetfulLog(MemoryLog):
    """Keeps nothing before `oldest`; the offsets of what it keeps stay as they were."""

    def __init__(self, clock: FakeClock, *, partitions: int = 2) -> None:
        super().__init__(clock, partitions=partitions)
        self.oldest: dict[TopicPartition, int] = {}
        self.reads: list[TopicPartition] = []

    @override
    async def read(self, place: TopicPartition, offset: int, limit: int) -> list[Record]:
        self.faults.run("read", lambda: self.reads.append(place))
        return await super().read(place, max(offset, self.oldest.get(place, 0)), limit)


def tell(log: MemoryLog, number: int, *, topic: str = CALLS_CHANGED, tenant: str = "demo") -> None:
    """Append one told event, about one of five calls."""
    call = f"call-{number % 5}"
    event = Event(
        id=f"{tenant}-{topic}-{number}",
        source="/test",
        type=f"{topic}.test",
        subject=call,
        time_ms=START_MS + number,
        tenant=tenant,
        data=b'{"number":%d}' % number,
        sequence=number + 1,
    )
    log.put([to_message(event, topic, f"{tenant}:{call}")])


def tell_of(log: MemoryLog, number: int, *, topic: str, tenant: str, data: Any) -> None:
    """Append one told event with this data."""
    event = Event(
        id=str(number),
        source="/test",
        type="test",
        subject="call",
        time_ms=START_MS + number,
        tenant=tenant,
        data=msgspec.json.encode(data),
        sequence=number + 1,
    )
    log.put([to_message(event, topic, f"{tenant}:call-{number}")])


def tell_many(log: MemoryLog, count: int, start: int = 0) -> None:
    """Events that go around topics, calls, partitions and two tenants."""
    for number in range(start, start + count):
        tell(log, number, topic=TOPICS[number % 4], tenant="other" if number % 3 == 2 else "demo")


def ids_in(log: MemoryLog, tenant: str = "demo", topics: Sequence[str] = TOPICS) -> set[str]:
    """The ids of everything a follower of this tenant and these topics should get."""
    return {
        dict(record.headers)["ce_id"].decode()
        for topic in topics
        for record in log.all(topic)
        if record.key.startswith(f"{tenant}:")
    }


async def take_all(follower: Follower, wait_s: float = 0.0) -> list[Told]:
    """Take until two looks in a row give nothing."""
    told: list[Told] = []
    quiet = 0
    while quiet < 2:
        some = await follower.take(events_max=7, wait_s=wait_s)
        quiet = 0 if some else quiet + 1
        told += some
    return told


def in_order(told: Sequence[Told]) -> bool:
    """Whether the events of each topic and call came in their order."""
    last: dict[tuple[str, str], int] = {}
    for one in told:
        key = (one.topic, one.event.subject)
        number = one.event.sequence or 0
        if number <= last.get(key, 0):
            return False
        last[key] = number
    return True
