"""Agents and switches who never give up: continuous load whose outcome is known call by call.

Some desks tell their events over HTTP, others write them straight to the topic, as switches may,
repeated and out of order. What is not acknowledged is sent again, the same bytes under the same id
or key. Whatever was acknowledged is kept, to be held against the product in the end.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Self

import aiohttp
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from shared.contracts.envelope import Event, to_message
from shared.contracts.ids import call_key
from shared.contracts.topics import TELEPHONY_EVENTS
from tests.support.cluster_product import PARTITIONS, Cluster
from tests.support.product import AGENT, SWITCH

HTTP_DESKS: Final = 10
TOPIC_DESKS: Final = 4
BURST_CALLS: Final = 12
ASKED_S: Final = 5.0  # then an agent gives up waiting, and asks again
WRITTEN_S: Final = 6.0
AGAIN_S: Final = 0.05
BREATH_S: Final = (0.01, 0.12)  # between two steps of a desk
SOURCE: Final = "/tests/switch"
UNSURE: Final = frozenset({202, 503})
JSON: Final = {"Content-Type": "application/json"}
CLOUD_EVENT: Final = {"Content-Type": "application/cloudevents+json"}
PLANS: Final = (
    "queue",
    "replace",
    "hurry",
    "wrap_up",
    "correct",
    "late",
    "never",
    "clash",
    "early",
)


@dataclass
class Told:
    """What the outside was told.

    Attributes:
        poison: calls of which nothing was told that could be understood.
        verdicts: by idempotency key, acknowledged; in the order of each call.
        refusals: by idempotency key the refused request's status and problem code.
        statuses: how often each was answered to a write; 0 where there was no answer.
        slowest_s: how long the slowest write took until it was acknowledged.
    """

    calls: set[str] = field(default_factory=set)
    poison: set[str] = field(default_factory=set)
    verdicts: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0


class Switch:
    """Writes events to the topic with a plain Kafka client, until they are acknowledged."""

    def __init__(self, cluster: Cluster) -> None:
        self._topic = cluster.prefix + TELEPHONY_EVENTS
        self._bootstrap = cluster.broker.bootstrap
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", request_timeout_ms=5000
        )
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._producer is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._producer.stop(), WRITTEN_S)

    async def write(self, events: Sequence[Event], *, astray: bool = False) -> None:
        """All, in this order; some may stand there twice.

        Args:
            astray: each in another partition than its key's, as by a foreign partitioner.
        """
        assert self._producer is not None
        messages = [
            to_message(event, TELEPHONY_EVENTS, call_key(event.tenant, event.subject))
            for event in events
        ]
        while True:
            with suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(WRITTEN_S):
                    sent = [
                        await self._producer.send(
                            self._topic,
                            key=message.key.encode(),
                            value=message.value,
                            headers=list(message.headers),
                            partition=(home(message.key) + astray) % PARTITIONS,
                        )
                        for message in messages
                    ]
                    await asyncio.gather(*sent)
                    return
            await asyncio.sleep(AGAIN_S)


def event(call: str, kind: str, data: dict[str, Any], *, ago_ms: int = 0) -> Event:
    """One event; the same kind of a call is the same event, however often it is told."""
    return Event(
        id=f"{call}-{kind}",
        source=SOURCE,
        type=f"call.{kind}",
        subject=call,
        time_ms=int(time.time() * 1000) - ago_ms,
        tenant="demo",
        data=json.dumps(data).encode(),
    )


def home(key: str) -> int:
    """The partition where the records of a key belong."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS)


def poison(call: str) -> Event:
    """An event that can't be understood."""
    return event(call, "started", {"no such field": 1})


def life(call: str, agent: str) -> list[Event]:
    """A whole call."""
    return [
        event(call, "started", {"direction": "inbound", "agent_id": agent}, ago_ms=3),
        event(call, "answered", {}, ago_ms=2),
        event(call, "disconnected", {"by": "caller"}),
    ]


class Client:
    """HTTP, asked again until there is an answer that means something."""

    def __init__(self, http: aiohttp.ClientSession, urls: Sequence[str], told: Told) -> None:
        self._http = http
        self._urls = urls
        self.told = told

    async def tell(self, told: Event) -> None:
        """Until applied: 202 says that it is in the log, and one cannot go on from there yet."""
        body = {
            "specversion": "1.0",
            "id": told.id,
            "source": told.source,
            "type": told.type,
            "subject": told.subject,
            "data": json.loads(told.data),
        }
        await self._insist("/v1/events", body, SWITCH | CLOUD_EVENT)

    async def dispose(self, call: str, agent: str, code: str, **more: object) -> dict[str, Any]:
        """Until there is a verdict."""
        key = f"{call}-{code}"
        body = {"agent_id": agent, "code": code, **more}
        verdict: dict[str, Any] = await self._dispose(call, key, body)
        self.told.verdicts[key] = verdict
        return verdict

    async def refused(
        self, call: str, agent: str, code: str, key: str, status: int, problem: str
    ) -> None:
        """Until it is refused, as it must be."""
        body = {"agent_id": agent, "code": code}
        answer = await self._dispose(call, key, body, accepted={status})
        assert answer["code"] == problem, f"{key}: {answer}"
        self.told.refusals[f"{key} {code}"] = (status, problem)

    async def _dispose(
        self, call: str, key: str, body: dict[str, Any], accepted: Collection[int] = (200,)
    ) -> Any:
        headers = AGENT | JSON | {"Idempotency-Key": key}
        return await self._insist(f"/v1/calls/{call}/disposition", body, headers, accepted)

    async def seen(self, call: str, *phases: str) -> Any:
        """The call, once it is in one of these phases and its agent is on it."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                url = f"{self._urls[0]}/v1/calls/{call}"
                async with self._http.get(url, headers=AGENT) as answer:
                    assert answer.status in {200, 404, 503}, f"{url} {answer.status}"
                    found = await answer.json()
                    if answer.status == 200 and found["agents"] and found["phase"] in phases:
                        return found
            await asyncio.sleep(AGAIN_S)

    async def decided(self, request_id: str) -> None:
        """Until the history has the verdict of a request."""
        url = f"{self._urls[0]}/v1/requests/{request_id}"
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._http.get(url, headers=AGENT) as answer:
                    assert answer.status in {200, 404, 503}, f"{url} {answer.status}"
                    if answer.status == 200 and (await answer.json())["outcome"] != "pending":
                        return
            await asyncio.sleep(AGAIN_S)

    async def _insist(
        self,
        path: str,
        body: dict[str, Any],
        headers: dict[str, str],
        accepted: Collection[int] = (200,),
    ) -> Any:
        """Send until acknowledged; whichever gateway is there."""
        sent, began = json.dumps(body), time.monotonic()
        turn = 0
        while True:
            url = self._urls[turn % len(self._urls)] + path
            turn += 1
            try:
                async with self._http.post(url, data=sent, headers=headers) as answer:
                    text = await answer.text()
                    self.told.statuses[answer.status] += 1
                    if answer.status in accepted:
                        self.told.slowest_s = max(self.told.slowest_s, time.monotonic() - began)
                        return json.loads(text)
                    assert answer.status in UNSURE, f"{path} {sent}: {answer.status} {text}"
            except (aiohttp.ClientError, TimeoutError):
                self.told.statuses[0] += 1
            await asyncio.sleep(AGAIN_S)


class Floor:
    """All desks. `urls`: of the gateways, which may come and go."""

    def __init__(self, cluster: Cluster, urls: list[str], seed: int) -> None:
        self.told = Told()
        self.stopping = False
        self._cluster = cluster
        self._urls = urls
        self._seed = seed

    async def work(self) -> None:
        """Until told to stop; calls that have begun are brought to their end."""
        timeout = aiohttp.ClientTimeout(total=ASKED_S)
        async with aiohttp.ClientSession(timeout=timeout) as http, Switch(self._cluster) as switch:
            client = Client(http, self._urls, self.told)
            async with asyncio.TaskGroup() as desks:
                for number in range(HTTP_DESKS):
                    desks.create_task(self._desk(client, None, number))
                for number in range(HTTP_DESKS, HTTP_DESKS + TOPIC_DESKS):
                    desks.create_task(self._desk(client, switch, number))
                desks.create_task(self._bursts(switch))

    async def _desk(self, client: Client, switch: Switch | None, number: int) -> None:
        random = Random(self._seed * 1000 + number)
        agent = f"agent-{number % 10 + 1}"
        turn = 0
        while not self.stopping:
            turn += 1
            call = Conversation(client, switch, random, f"c{number}-{turn}", agent)
            await call.take(random.choice(PLANS))
            self.told.calls.add(call.id)

    async def _bursts(self, switch: Switch) -> None:
        """Whole calls that nobody disposes of, written at once, repeated and jumbled."""
        random = Random(self._seed)
        turn = 0
        while not self.stopping:
            turn += 1
            calls = [f"b{turn}-{number}" for number in range(BURST_CALLS)]
            events = [one for call in calls for one in life(call, f"agent-{random.randint(1, 10)}")]
            events += random.sample(events, BURST_CALLS)
            random.shuffle(events)
            await switch.write(events)
            self.told.calls.update(calls)
            await switch.write(life(f"s{turn}", "agent-1"), astray=True)
            self.told.calls.add(f"s{turn}")
            await switch.write([poison(f"x{turn}")])
            self.told.poison.add(f"x{turn}")
            await asyncio.sleep(random.uniform(0.3, 1.2))


class Conversation:
    """One call, from ring to wherever its plan leads."""

    def __init__(
        self, client: Client, switch: Switch | None, random: Random, call: str, agent: str
    ) -> None:
        self.id = call
        self._client = client
        self._switch = switch
        self._random = random
        self._agent = agent

    async def take(self, plan: str) -> None:
        """Lead it; each step waits until the one before is acknowledged."""
        if plan == "early":
            await self._refused_twice("WrongNumber", 404, "unknown_call")
        await self._talk()
        if plan in {"queue", "replace", "hurry", "clash", "early"}:
            await self._dispose("Interested", release_after=plan == "hurry")
        if plan == "replace":
            await self._dispose("Sale")
        if plan == "early":
            await self._refused_twice("WrongNumber", 404, "unknown_call")
        if plan == "clash":
            await self._clash()
        await self._hang_up()
        if plan in {"wrap_up", "correct"}:
            await self._dispose("NotInterested")
        if plan == "correct":
            await self._dispose("Sale")
        if plan == "late":
            await self._tell(event(self.id, "released", {}), "released")
            await self._dispose("Referred")
        if plan == "clash":
            await self._clash()

    async def _talk(self) -> None:
        started = event(self.id, "started", {"direction": "inbound", "agent_id": self._agent})
        answered = event(self.id, "answered", {})
        if self._switch is None:
            await self._tell(started)
            await self._tell(answered)
            return
        both = [started, answered]
        self._random.shuffle(both)
        await self._switch.write(both)
        await self._client.seen(self.id, "active")

    async def _hang_up(self) -> None:
        gone = event(self.id, "disconnected", {"by": "caller"})
        await self._tell(gone, "wrap_up", "released")
        if self._random.random() < 0.2:  # a switch that repeats itself
            await self._tell(gone, "wrap_up", "released")

    async def _tell(self, told: Event, *phases: str) -> None:
        if self._switch is None:
            await self._client.tell(told)
        else:
            await self._switch.write([told])
            await self._client.seen(self.id, *phases)
        await self._breathe()

    async def _dispose(self, code: str, **more: object) -> None:
        await self._client.dispose(self.id, self._agent, code, **more)
        await self._breathe()

    async def _clash(self) -> None:
        """Another request under a key that was used."""
        key = f"{self.id}-Interested"
        await self._client.refused(
            self.id, self._agent, "DoNotCall", key, 422, "idempotency_conflict"
        )

    async def _refused_twice(self, code: str, status: int, problem: str) -> None:
        key = f"{self.id}-{code}"
        for _ in range(2):
            await self._client.refused(self.id, self._agent, code, key, status, problem)

    async def _breathe(self) -> None:
        await asyncio.sleep(self._random.uniform(*BREATH_S))
