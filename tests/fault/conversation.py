"""One call as its switch and its agents live it, from ring to wherever its plan leads."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from shared.contracts.envelope import Event
from tests.fault.client import Client
from tests.fault.switch import Switch, event

BREATH_S: Final = (0.01, 0.12)  # between two steps
CALLED_BACK_SHARE: Final = 0.4
CALLED_BACK_YEARS: Final = (2020, 2039)


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
        self._colleague = f"agent-{random.randint(1, 9)}"
        if self._colleague == agent:
            self._colleague = "agent-10"

    async def take(self, plan: str) -> None:
        """Lead it; each step waits until the one before is acknowledged."""
        for step in PLANS[plan]:
            await step(self)

    async def _asked_too_early(self) -> None:
        await self._refused_twice("WrongNumber", 404, "unknown_call")

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
        await self._client.seen(self.id, self._agent, "active")

    async def _transfer(self) -> None:
        """Another agent takes over; the first is in wrap-up while the call goes on."""
        first, self._agent = self._agent, self._colleague
        await self._tell(event(self.id, "agent_joined", {"agent_id": self._agent}), "active")
        await self._tell(event(self.id, "agent_left", {"agent_id": first}), "active")
        await self._client.dispose(self.id, first, "Referred")
        await self._dispose("Sale")

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
            await self._client.seen(self.id, self._agent, *phases)
        await self._breathe()

    async def _dispose(self, code: str, **more: object) -> None:
        """Now and then with a callback, whose time may be over or far away."""
        if self._random.random() < CALLED_BACK_SHARE:
            more["callback_at"] = f"{self._random.randint(*CALLED_BACK_YEARS)}-01-02T03:04:05Z"
        await self._client.dispose(self.id, self._agent, code, **more)
        await self._breathe()

    async def _clash(self) -> None:
        """Another request under a key that was used."""
        key = f"{self.id}-{self._agent}-Interested"
        await self._client.refused(
            self.id, self._agent, "DoNotCall", key, 422, "idempotency_conflict"
        )

    async def _refused_twice(self, code: str, status: int, problem: str) -> None:
        key = f"{self.id}-{code}"
        for _ in range(2):
            await self._client.refused(self.id, self._agent, code, key, status, problem)

    async def _breathe(self) -> None:
        await asyncio.sleep(self._random.uniform(*BREATH_S))

    async def _interested(self) -> None:
        await self._dispose("Interested")

    async def _in_a_hurry(self) -> None:
        await self._dispose("Interested", release_after=True)

    async def _not_interested(self) -> None:
        await self._dispose("NotInterested")

    async def _sale(self) -> None:
        await self._dispose("Sale")

    async def _late(self) -> None:
        await self._tell(event(self.id, "released", {}), "released")
        await self._dispose("Referred")


_C = Conversation
PLANS: Final[dict[str, tuple[Callable[[Conversation], Awaitable[None]], ...]]] = {
    "queue": (_C._talk, _C._interested, _C._hang_up),
    "replace": (_C._talk, _C._interested, _C._sale, _C._hang_up),
    "hurry": (_C._talk, _C._in_a_hurry, _C._hang_up),
    "wrap_up": (_C._talk, _C._hang_up, _C._not_interested),
    "correct": (_C._talk, _C._hang_up, _C._not_interested, _C._sale),
    "late": (_C._talk, _C._hang_up, _C._late),
    "never": (_C._talk, _C._hang_up),
    "clash": (_C._talk, _C._interested, _C._clash, _C._hang_up, _C._clash),
    "early": (
        _C._asked_too_early,
        _C._talk,
        _C._interested,
        _C._asked_too_early,
        _C._hang_up,
    ),
    "transfer": (_C._talk, _C._transfer, _C._hang_up),
}
"""By plan its steps."""
