"""Agents and switches who never give up: continuous load whose outcome is known call by call.

Some desks tell their events over HTTP, others write them straight to the topic, as switches may,
repeated, out of order, into the wrong partition, or such that nobody can understand them.
"""

import asyncio
from random import Random
from typing import Final

import aiohttp

from tests.fault.client import ASKED_S, Client, Told
from tests.fault.conversation import PLANS, Conversation
from tests.fault.switch import Switch, life, poison
from tests.support.cluster_product import Cluster

HTTP_DESKS: Final = 10
TOPIC_DESKS: Final = 4
BURST_CALLS: Final = 12


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
            await call.take(random.choice(tuple(PLANS)))
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
