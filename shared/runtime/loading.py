"""What a batch is decided on: its documents, and what is read beside them.

Everything is read in one query a collection, and nothing is written.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from shared.contracts import limits
from shared.contracts.errors import Bug
from shared.runtime.ports import Document, EventLog, StateStore, Tagged, TopicPartition
from shared.runtime.slot import Slot, Written
from shared.runtime.topology import Routed, Topology

STALE_READS_MAX: Final = 40
STALE_READ_WAIT_S: Final = 0.05


class Loading:
    """The steps of one topology that read the store."""

    def __init__(self, topology: Topology, event_log: EventLog, store: StateStore) -> None:
        self._topology = topology
        self._event_log = event_log
        self._store = store
        # Of the batch that is decided now: positions that will be durable before something of it
        # is published (None: to be read again), and those before something of it is written; and
        # the documents of the batch before, which are on their way to the store.
        self._taken: dict[TopicPartition, int] | None = None
        self._durable: dict[TopicPartition, int] = {}
        self._underway: Mapping[tuple[str, str], Written] = {}

    async def _load(self, routed: Sequence[Routed]) -> dict[tuple[str, str], Slot]:
        """Every document of the batch, and what is read beside it, in one query a collection."""
        topology = self._topology
        keys: dict[str, dict[str, int]] = {name: {} for name in topology.aggregates}
        asked: set[tuple[str, str]] = set()
        for item in routed:
            versions = keys[item.collection]
            if versions.get(item.key, -1) < item.beside_version:
                versions[item.key] = item.beside_version
            if not item.alone:
                asked.add((item.collection, item.key))
        slots: dict[tuple[str, str], Slot] = {}
        for collection, versions in keys.items():
            if not versions:
                continue
            wanted = {key: v for key, v in versions.items() if (collection, key) in asked}
            own, beside = await asyncio.gather(
                self._load_own(collection, versions), self._load_beside(collection, wanted)
            )
            aggregate = topology.aggregates[collection]
            for key in versions:
                slots[collection, key] = self._slot(
                    Slot(aggregate, own.get(key), beside.get(key)),
                    self._underway.get((collection, key)),
                )
        return slots

    def _slot(self, slot: Slot, before: Written | None) -> Slot:
        """With what its outbox must keep: where no crash was, what the batch before has caused."""
        if before is None:
            slot.owing = slot.document is not None and self._may_owe(slot.document)
        else:
            slot.owing, slot.kept = before.owing, before.caused
        return slot

    async def _load_own(self, collection: str, keys: Iterable[str]) -> dict[str, Document]:
        """What stands in the store, or will before anything that is decided on it is written."""
        underway = {
            key: self._underway[collection, key].document
            for key in keys
            if (collection, key) in self._underway
        }
        others = [key for key in keys if key not in underway]
        if not others:
            return underway
        found = await self._store.load(collection, others, outboxes=False)
        behind = [key for key, document in found.items() if self._may_owe(document)]
        if behind:  # a crash, or another owner, has left something; hardly ever
            found |= await self._store.load(collection, behind)
        return found | underway

    async def _load_beside(self, collection: str, versions: dict[str, int]) -> dict[str, Any]:
        """What is read beside documents of this collection, by their keys."""
        beside = self._topology.beside.get(collection)
        if beside is None or not versions:
            return {}
        if beside.by_tag:
            return await self._load_tagged(beside.collection, list(versions))
        return await self._load_versions(beside.collection, versions)

    async def _load_tagged(self, collection: str, keys: Sequence[str]) -> dict[str, Any]:
        """What the newest documents that carry a key's name as their tag come to."""
        wanted = {key: Tagged(*key.split(":", 1)) for key in keys}
        found = await self._store.tagged(
            collection, list(wanted.values()), each_max=limits.CALLS_BESIDE_MAX
        )
        return {
            key: self._topology.read_tagged([document.state for document in found.get(one, ())])
            for key, one in wanted.items()
        }

    async def _load_versions(self, collection: str, versions: dict[str, int]) -> dict[str, Any]:
        """The documents of the same keys, none older than the change that a record has told of."""
        beside: dict[str, Any] = {}
        waiting = list(versions)
        for _ in range(STALE_READS_MAX):
            found = await self._store.load(collection, waiting, outboxes=False)
            stale = []
            for key in waiting:
                document = found.get(key)
                version = 0
                if document is not None:
                    beside[key], version = self._topology.read_beside(document.state)
                if version < versions[key]:
                    stale.append(key)
            if not stale:
                return beside
            waiting = stale
            await asyncio.sleep(STALE_READ_WAIT_S)
        raise Bug(f"{collection} stays behind the changes told of it: {waiting[0]}")

    def _may_owe(self, document: Document) -> bool:
        """Whether a crash may have kept effects of it from the log; none is beyond a watermark."""
        partition = self._event_log.partition(document.key)
        for topic, offset in document.watermarks.items():
            if offset >= self._durable.get(TopicPartition(topic, partition), 0):
                return True
        return False
