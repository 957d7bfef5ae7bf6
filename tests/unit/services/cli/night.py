"""A night on which everything dies: seeded calls, and services that crash, freeze and come back.

The services are the real ones, over a log and a store in memory that share no transaction. A life
of a service begins as a new member of its group and ends at a random point of a batch: it crashes
there, or it freezes and thaws later as a zombie, when another has taken its place. In the end all
is worked off. `System` says what the services are made of; a broken one is a mutant.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from services.callstate.topology import CallstateTopology
from services.cli.verify.snapshot import Snapshot
from services.worker.history import HistoryProjection
from services.worker.letters import LetterProjection
from services.worker.topology import WorkerTopology
from shared.adapters.tenants_file import FileTenantDirectory
from shared.contracts.dispositions import Policy
from shared.contracts.envelope import Message, Record, ReplyTo
from shared.contracts.errors import Retryable
from shared.contracts.subjects import StatusPolicy
from shared.contracts.topics import GATEWAY_REPLIES, TELEPHONY_EVENTS, dead
from shared.runtime.commit import SeparateCommit
from shared.runtime.dead_letters import put_back, read_letters, returning
from shared.runtime.ports import (
    Answer,
    Batch,
    Commit,
    Consumer,
    StateStore,
    TopicPartition,
)
from shared.runtime.processor import Processor
from shared.runtime.projection import Projection
from shared.runtime.topology import Topology
from tests.support.clock import FakeClock
from tests.support.faults import POINTS, Crash, Fault, FaultyLog, FaultyStore
from tests.support.memory import MemoryHistoryStore, MemoryLog, MemoryStateStore
from tests.support.memory_letters import MemoryLetterStore
from tests.support.sweeps import Sweeps
from tests.unit.services.cli.shift import REPLACED, TENANTS, Teller, behind, taken

CALLS: Final = 10
TURNS_MAX: Final = 400  # to work off all that is left
CALLBACK_MS_MAX: Final = 60_000  # from the beginning; the night is longer
FREEZES: Final = ("before_save", "before_publish")
GONE: Final = ReplyTo("gone", "1")  # no answer ever arrives there


async def nothing_more(_: "Night") -> None:
    """Nobody else is there."""


def as_it_is(consumer: Consumer, _: "Night", __: Fault) -> Consumer:
    """The consumer, sound."""
    return consumer


class KeptReplies:
    """`Replies` over the log itself."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def send(self, answers: Sequence[Answer]) -> None:
        self._log.put(
            [Message(GATEWAY_REPLIES, one.reply_to.address, (), one.body) for one in answers]
        )


@dataclass(frozen=True)
class System:
    """What the services are made of.

    Attributes:
        consumer: wraps the log's; given what it may crash by.
        besides: what happens now and then that should not.
    """

    processor: type[Processor] = Processor
    projection: type[HistoryProjection] = HistoryProjection
    letters: type[LetterProjection] = LetterProjection
    store: Callable[[], MemoryStateStore] = MemoryStateStore
    consumer: Callable[[Consumer, "Night", Fault], Consumer] = as_it_is
    besides: Callable[["Night"], Awaitable[None]] = nothing_more
    commit: Callable[[StateStore], Commit] = SeparateCommit


class _Freezing:
    """`SeparateCommit`, standing still at a point."""

    def __init__(self, store: StateStore, point: str, frozen: asyncio.Event) -> None:
        self._store = store
        self._point = point
        self._frozen = frozen
        self.thawed = asyncio.Event()

    async def __call__(
        self, consumer: Consumer, batch: Batch, stored: Callable[[], Awaitable[None]]
    ) -> None:
        if self._point == "before_save":
            await self._stand_still()
        if batch.documents:
            await self._store.save(batch.documents)
        await stored()
        if self._point == "before_publish":
            await self._stand_still()
        await consumer.publish_and_advance(batch.messages, batch.positions)

    async def _stand_still(self) -> None:
        self._frozen.set()
        await self.thawed.wait()


class Night:
    """One seed of it."""

    def __init__(self, seed: int, system: System, clock: FakeClock | None = None) -> None:
        self.random = Random(seed)
        self._aside = Random(seed)  # for letters: what else happens goes by the other
        self.system = system
        self.clock = clock or FakeClock()
        self._began_ms = self.clock.now_ms()
        self.log = MemoryLog(self.clock, partitions=2)
        self.store = system.store()
        self.history = MemoryHistoryStore()
        self.letters = MemoryLetterStore()
        self._teller = Teller(self.clock, self.log)
        self._sweep = Sweeps(self.store, self.log, self.clock)
        self._topologies: tuple[Topology, ...] = (
            CallstateTopology(FileTenantDirectory(TENANTS)),
            WorkerTopology(),
        )
        self._zombies: list[tuple[asyncio.Task[None], asyncio.Event]] = []

    async def play(self) -> Snapshot:
        """The night, and what stands in the morning."""
        steps = self._plan()
        while steps:
            for step in steps[: self.random.randint(1, 12)]:
                await step()
                steps.pop(0)
            await self._live(rounds=self.random.randint(1, 4))
        for _ in range(3):  # until the last deadline has passed
            await self._live(rounds=3)
            self.clock.advance(31_000)
            await self._sweep.sweep()
        await self._thaw()
        await self._work_off()
        return taken(self.log, self.store, self.history, self.letters)

    def _plan(self) -> list[Callable[[], Awaitable[None]]]:
        """What happens on every call, in order, and all calls at once."""
        scripts = [self._script(number) for number in range(CALLS)]
        steps = []
        while scripts:
            script = self.random.choice(scripts)
            steps.append(script.pop(0))
            scripts = [left for left in scripts if left]
        return steps

    def _script(self, number: int) -> list[Callable[[], Awaitable[None]]]:
        random = self.random
        tenant = random.choice(TENANTS).id
        call, agent, other = f"{tenant}:c{number}", f"agent-{number}", f"other-{number}"
        asked = f"{call}-asked"
        # Few enough that calls meet at them, and that more than one batch decides on each.
        about = {"customer_id": number % 3, "campaign_id": "c1"} if number % 4 else {}
        steps: list[tuple[str, dict[str, Any]]] = [
            ("call.started", {"direction": "inbound", "agent_id": agent, **about}),
            ("call.answered", {"agent_id": agent}),
            *(("call.held", {}) for _ in range(random.randint(0, 3))),
        ]
        if random.random() < 0.6:
            steps.append(("ask", {"agent_id": agent, "request_id": asked}))
        if random.random() < 0.4:
            steps += [
                ("call.agent_joined", {"agent_id": other}),
                ("call.agent_left", {"agent_id": agent, "reason": "transfer"}),
                ("ask", {"agent_id": other, "release_after": random.random() < 0.5}),
            ]
        if random.random() < 0.3:
            steps.append(("bad", {}))
        if random.random() < 0.3:
            steps.append(("stray", {}))
        steps.append(("call.disconnected", {"by": "caller"}))
        if random.random() < 0.6:
            policy = REPLACED if random.random() < 0.5 else Policy()
            more = {"policy": policy, "pause_after": True, "release_after": random.random() < 0.5}
            steps.append(("ask", {"agent_id": agent, **more}))
        if random.random() < 0.5:
            steps.append(("ask", {"agent_id": agent, "request_id": asked}))  # again
        if random.random() < 0.4:
            steps.append(("call.released", {}))
        if random.random() < 0.5:
            steps.append(("ask", {"agent_id": agent}))
        for _ in range(random.randint(0, 3)):
            steps.insert(random.randint(0, len(steps)), ("wish", self._wish(number)))
        self._schedule(steps)
        return [self._step(call, kind, data) for kind, data in steps]

    def _schedule(self, steps: list[tuple[str, dict[str, Any]]]) -> None:
        """Callbacks with some of what is asked for."""
        for kind, data in steps:
            if kind in ("ask", "wish") and self.random.random() < 0.5:
                data["callback_ms"] = self._began_ms + self.random.randint(0, CALLBACK_MS_MAX)

    def _wish(self, number: int) -> dict[str, Any]:
        """Somebody else's word on a subject of these calls, perhaps said twice."""
        random = self.random
        policy = StatusPolicy(must_exist=random.random() < 0.7, avoid_in_call=random.random() < 0.5)
        status = random.choice(("Sale", "Fresh", None))
        return {
            "subject": random.choice((f"customer:{number % 3}", f"enrolment:c1/{number % 3}")),
            "status": status,
            "policy": policy,
            "request_id": f"wish-{status}-{random.randint(0, 9)}",
            "send_messages": random.random() < 0.3,
        }

    def _step(self, call: str, kind: str, data: dict[str, Any]) -> Callable[[], Awaitable[None]]:
        async def take() -> None:
            if kind == "ask":
                await self._teller.ask(call, code="Sale", reply_to=GONE, **data)
            elif kind == "wish":
                await self._teller.wish(call.split(":", maxsplit=1)[0], reply_to=GONE, **data)
            elif kind == "bad":
                await self.log.append([Message(TELEPHONY_EVENTS, call, (), b"what?")])
                await self._put_back()
            elif kind == "stray":
                self._put_elsewhere(self._teller.event(call, "call.held"))
            else:
                await self._teller.tell(call, kind, **data)

        return take

    def _put_elsewhere(self, message: Message) -> None:
        """As a writer with another partitioner does."""
        where = 1 - self.log.partition(message.key)
        records = self.log.records[TopicPartition(message.topic, where)]
        records.append(
            Record(
                message.topic,
                where,
                len(records),
                self.clock.now_ms(),
                message.key,
                message.headers,
                message.value,
            )
        )

    async def _put_back(self) -> None:
        """Some letter that there is, for the first time or again; a crash may cost its receipt."""
        letters, _ = read_letters(self.log.all(dead(TELEPHONY_EVENTS)))
        if letters and self._aside.random() < 0.2:
            await self.log.append([returning(self._aside.choice(letters))])
        elif letters:
            await put_back(self.log, [self._aside.choice(letters)])

    async def _live(self, rounds: int) -> None:
        """Some lives of some services, each to its end."""
        for _ in range(rounds):
            await self._sweep.sweep()
            await self.system.besides(self)
            topology = self.random.choice(self._topologies)
            if self.random.random() < 0.15:
                point = self.random.choice((None, "before_publish", "advanced"))
                for projection in self._projections():
                    await self._project(projection, point)
            elif self.random.random() < 0.25:
                await self._freeze(topology, self.random.choice(FREEZES))
            else:
                await self._die(topology, self.random.choice(POINTS))
            if self.random.random() < 0.15:
                await self._thaw()

    async def _die(self, topology: Topology, point: str) -> None:
        fault = Fault(point, waits=self.random.choice((0, 4)), random=self.random)
        processor, consumer = self._born(topology, fault, self.system.commit(self._faulty(fault)))
        with suppress(Crash, Retryable):
            for _ in range(self.random.randint(1, 4)):
                await processor.turn(consumer)
            fault.point = self.random.choice(POINTS)  # what is still on its way ends there
            await processor.turn(consumer)

    async def _freeze(self, topology: Topology, point: str) -> None:
        frozen = asyncio.Event()
        commit = _Freezing(self.store, point, frozen)
        processor, consumer = self._born(topology, Fault(), commit)
        turn = asyncio.create_task(processor.turn(consumer))
        standing = asyncio.create_task(frozen.wait())
        await asyncio.wait({turn, standing}, return_when=asyncio.FIRST_COMPLETED)
        standing.cancel()
        self._zombies.append((turn, commit.thawed))

    async def _thaw(self) -> None:
        """They go on as if nothing had happened, until somebody tells them."""
        for turn, thawed in self._zombies:
            thawed.set()
            await asyncio.wait({turn})
            if not isinstance(turn.exception(), Retryable | None):
                turn.result()
        self._zombies = []

    def _projections(self) -> tuple[Projection, ...]:
        return (
            self.system.projection(self.log, self.history, wait_s=0),
            self.system.letters(self.log, self.letters, wait_s=0),
        )

    async def _project(self, projection: Projection, point: str | None) -> None:
        fault = Fault(point)
        consumer = self._consumer(projection.group, projection.topics, fault)
        with suppress(Crash, Retryable):
            await projection.turn(consumer)

    async def _work_off(self) -> None:
        """Sound lives, until nothing is left to do."""
        for _ in range(TURNS_MAX):
            idle = not await self._sweep.sweep()
            for topology in self._topologies:
                if await behind(self.log, topology.group, topology.topics):
                    idle = False
                    commit = SeparateCommit(self.store)
                    processor, consumer = self._born(topology, Fault(), commit)
                    with suppress(Retryable):
                        await processor.turn(consumer)
            if idle:
                break
        for projection in self._projections():
            while await behind(self.log, projection.group, projection.topics):
                await self._project(projection, None)

    def _born(self, topology: Topology, fault: Fault, commit: Any) -> tuple[Processor, Consumer]:
        processor = self.system.processor(
            topology,
            event_log=self.log,
            store=self.store,
            commit=commit,
            replies=KeptReplies(self.log),
            records_max=self.random.randint(1, 12),
            wait_s=0,
            much=self.random.choice((1, 4, 100)),  # so that some decide ahead, and some do not
        )
        return processor, self._consumer(topology.group, topology.topics, fault)

    def _consumer(self, group: str, topics: Sequence[str], fault: Fault) -> Consumer:
        log = FaultyLog(self.log, fault, self.random)
        return self.system.consumer(log.consumer(group, topics), self, fault)

    def _faulty(self, fault: Fault) -> Any:
        return FaultyStore(self.store, fault)
