"""What a source has published, kept in a list that tests can wait on."""

import asyncio
from collections.abc import Sequence

from shared.contracts.envelope import Event


class Told:
    """Takes events in batches. What stands in `failing` is raised first, one at a time."""

    def __init__(self, *failing: Exception) -> None:
        self.batches: list[list[Event]] = []
        self.failing = list(failing)
        self._grew = asyncio.Condition()

    async def publish(self, events: Sequence[Event]) -> None:
        if self.failing:
            raise self.failing.pop(0)
        async with self._grew:
            self.batches.append(list(events))
            self._grew.notify_all()

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]

    @property
    def ids(self) -> list[str]:
        """Event ids without the name of the switch."""
        return [event.id.partition(":")[2] for event in self.events]

    async def until(self, *ids: str, within_s: float = 5) -> None:
        """Wait until all of these have been told."""
        async with asyncio.timeout(within_s), self._grew:
            await self._grew.wait_for(lambda: set(ids) <= set(self.ids))

    async def until_types(self, *types: str, within_s: float = 20) -> list[Event]:
        """Wait until these have been told, each as often as it stands here."""

        def enough() -> bool:
            told = [event.type for event in self.events]
            return all(told.count(one) >= types.count(one) for one in types)

        async with asyncio.timeout(within_s), self._grew:
            await self._grew.wait_for(enough)
        return self.events
