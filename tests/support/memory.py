"""A broker and a store in memory: separate, as real ones are, and able to fail on purpose.

What was written stays with `MemoryLog` and `MemoryStateStore`. A crash is played by dropping a
consumer and making a new one: the newest member of a group owns every partition, and whoever owned
them before is a zombie. What the ports leave open is played at its harshest: a conflicting `save`
writes the other documents, and a fenced `publish_and_advance` has already appended its messages.
"""

import asyncio
import base64
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from shared.adapters.clock import SystemClock
from shared.contracts.envelope import Message, Record
from shared.contracts.errors import PartitionsMoved, Unavailable, WriteConflict
from shared.contracts.instants import to_wire
from shared.runtime.history import (
    COUNTS_MAX,
    EVERYTHING,
    MISSED,
    Callback,
    CallbackPage,
    Count,
    Entry,
    OutcomePage,
    OutcomeRow,
)
from shared.runtime.ports import (
    Answer,
    Clock,
    Document,
    Page,
    Positions,
    Tagged,
    TopicPartition,
)


class Faults:
    """What shall go wrong next, by the name of the place where it does."""

    def __init__(self) -> None:
        self._planned: dict[str, list[tuple[bool, BaseException]]] = defaultdict(list)

    def plan(self, where: str, *, applied: bool, error: BaseException | None) -> None:
        planned = error or Unavailable(f"{where} was told to fail")
        self._planned[where].append((applied, planned))

    def left(self, where: str) -> int:
        """How often it is still to go wrong there."""
        return len(self._planned[where])

    def run(self, where: str, step: Callable[[], None]) -> None:
        """Take the step, and fail before or after it where that is planned."""
        if not self._planned[where]:
            step()
            return
        applied, error = self._planned[where].pop(0)
        if applied:
            step()
        raise error


class MemoryLog:
    """`EventLog`. Places that can fail: `append`, `poll`, `publish`, `advance`, `committed`."""

    appends_whole: Final = False

    def __init__(self, clock: Clock | None = None, *, partitions: int = 4) -> None:
        self.clock = clock or SystemClock()
        self.partitions = partitions
        self.records: dict[TopicPartition, list[Record]] = defaultdict(list)
        self.committed: dict[tuple[str, TopicPartition], int] = {}
        self.owners: dict[str, MemoryConsumer] = {}
        self.faults = Faults()
        self.appended = 0  # messages, by `append` alone
        self._last_ms = 0
        self._grew = asyncio.Event()

    def fail_next(
        self, where: str, *, applied: bool = False, error: BaseException | None = None
    ) -> None:
        """Let the next call at this place raise, before or after it has applied."""
        self.faults.plan(where, applied=applied, error=error)

    def move_partitions(self) -> None:
        """Assign anew: the next call of every owner raises `PartitionsMoved` once."""
        for owner in self.owners.values():
            owner.moved = True
        self.wake()

    def all(self, topic: str) -> list[Record]:
        """Every record of a topic, partition after partition."""
        return [record for place in self.places([topic]) for record in self.records[place]]

    def places(self, topics: Sequence[str]) -> list[TopicPartition]:
        return [TopicPartition(topic, n) for topic in topics for n in range(self.partitions)]

    def put(self, messages: Sequence[Message]) -> None:
        self._last_ms = max(self._last_ms, self.clock.now_ms())
        for message in messages:
            place = TopicPartition(message.topic, self.partition(message.key))
            self.records[place].append(
                Record(
                    topic=place.topic,
                    partition=place.partition,
                    offset=len(self.records[place]),
                    timestamp_ms=self._last_ms,
                    key=message.key,
                    headers=message.headers,
                    value=message.value,
                )
            )
        self.wake()

    def wake(self) -> None:
        self._grew.set()
        self._grew = asyncio.Event()

    async def woken(self, wait_s: float) -> bool:
        """Wait for anything new, an assignment included; False after `wait_s`."""
        try:
            await asyncio.wait_for(self._grew.wait(), wait_s)
        except TimeoutError:
            return False
        return True

    async def append(self, messages: Sequence[Message]) -> None:
        self.faults.run("append", lambda: self.put(messages))
        self.appended += len(messages)

    def consumer(self, group: str, topics: Sequence[str]) -> "MemoryConsumer":
        before = self.owners.get(group)
        if before is not None:
            before.moved = True
            del self.owners[group]
        consumer = MemoryConsumer(self, group, topics)
        self.owners[group] = consumer
        return consumer

    def partition(self, key: str) -> int:
        return zlib.crc32(key.encode()) % self.partitions

    async def ends(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        return {place: len(self.records[place]) for place in self.places(topics)}

    async def read(self, place: TopicPartition, offset: int, limit: int) -> list[Record]:
        return self.records[place][offset : offset + limit]

    async def positions(self, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        return {place: self.committed.get((group, place), 0) for place in self.places(topics)}

    async def grown(self, topics: Sequence[str], seen: Positions, wait_s: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            ends = await self.ends(topics)
            if any(end > seen.get(place, 0) for place, end in ends.items()):
                return True
            if not await self.woken(deadline - loop.time()):
                return False


class MemoryConsumer:
    """`Consumer`: owns every partition until a newer member of its group comes."""

    def __init__(self, log: MemoryLog, group: str, topics: Sequence[str]) -> None:
        self.moved = False
        self._log = log
        self._group = group
        self._topics = tuple(topics)
        self._next = self._stand()

    def _stand(self) -> dict[TopicPartition, int]:
        if self._log.owners.get(self._group, self) is not self:
            return {}
        committed = self._log.committed
        return {
            place: committed.get((self._group, place), 0)
            for place in self._log.places(self._topics)
        }

    def _check_moved(self) -> None:
        if self.moved:
            self.moved = False
            self._next = self._stand()
            raise PartitionsMoved(f"{self._group} was assigned anew")

    async def committed(self) -> dict[TopicPartition, int]:
        self._check_moved()
        self._log.faults.run("committed", lambda: None)
        return self._stand()

    async def poll(self, *, records_max: int, wait_s: float) -> list[Record]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            self._check_moved()
            self._log.faults.run("poll", lambda: None)
            records = self._take(records_max)
            if records or not await self._log.woken(deadline - loop.time()):
                return records

    def _take(self, records_max: int) -> list[Record]:
        taken: list[Record] = []
        for place, offset in self._next.items():
            some = self._log.records[place][offset : offset + records_max - len(taken)]
            self._next[place] += len(some)
            taken += some
        return taken

    async def publish_and_advance(self, messages: Sequence[Message], positions: Positions) -> None:
        self._check_moved()
        self._log.faults.run("publish", lambda: self._log.put(messages))
        self._check_moved()
        if not positions.keys() <= self._next.keys():
            raise PartitionsMoved(f"{self._group} no longer owns them")
        moved = {(self._group, place): position for place, position in positions.items()}
        self._log.faults.run("advance", lambda: self._log.committed.update(moved))

    async def rewind(self) -> None:
        self._check_moved()
        self._next = self._stand()

    async def close(self) -> None:
        if self._log.owners.get(self._group) is self:
            del self._log.owners[self._group]
        self._next = {}


class MemoryStateStore:
    """`StateStore`. Places that can fail: `load`, `save`, `find`, `tagged`, `due`."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], Document] = {}
        self.faults = Faults()
        self.loads = 0
        self.saves = 0

    def fail_next(
        self, where: str, *, applied: bool = False, error: BaseException | None = None
    ) -> None:
        """Let the next call at this place raise, before or after it has applied."""
        self.faults.plan(where, applied=applied, error=error)

    async def load(
        self, collection: str, keys: Sequence[str], *, outboxes: bool = True
    ) -> dict[str, Document]:
        self.faults.run("load", lambda: None)
        self.loads += 1
        found = {
            key: self.documents[collection, key]
            for key in keys
            if (collection, key) in self.documents
        }
        if outboxes:
            return found
        return {key: replace(document, outbox=b"") for key, document in found.items()}

    async def save(self, documents: Sequence[Document]) -> None:
        self.faults.run("save", lambda: self._write(documents))

    def _write(self, documents: Sequence[Document]) -> None:
        self.saves += 1
        missed: list[str] = []
        for document in documents:
            place = (document.collection, document.key)
            stored = self.documents.get(place)
            if (stored.revision if stored else 0) == document.revision - 1:
                self.documents[place] = document
            else:
                missed.append(document.key)
        if missed:
            raise WriteConflict(f"another revision of {', '.join(missed)}")

    def _of(self, collection: str) -> Iterable[Document]:
        return (document for (name, _), document in self.documents.items() if name == collection)

    async def find(
        self,
        collection: str,
        tenant: str,
        *,
        phase: str | None = None,
        tag: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        self.faults.run("find", lambda: None)
        found = [
            ((document.index.created_ms, document.key), document)
            for document in self._of(collection)
            if document.key.startswith(f"{tenant}:")
            and phase in (None, document.index.phase)
            and (tag is None or tag in document.index.tags)
        ]
        page, following = page_of(found, cursor, limit, (int, str))
        return Page(tuple(page), following)

    async def tagged(
        self, collection: str, wanted: Sequence[Tagged], *, each_max: int
    ) -> dict[Tagged, list[Document]]:
        self.faults.run("tagged", lambda: None)
        found: dict[Tagged, list[Document]] = {}
        for one in wanted:
            page = await self.find(collection, one.tenant, tag=one.tag, limit=each_max)
            if page.documents:
                found[one] = list(page.documents)
        return found

    async def due(
        self, collection: str, now_ms: int, *, after: tuple[int, str] = (-1, ""), limit: int = 1000
    ) -> list[Document]:
        self.faults.run("due", lambda: None)
        waiting = [
            ((document.index.due_ms, document.key), document)
            for document in self._of(collection)
            if document.index.due_ms is not None and document.index.due_ms <= now_ms
        ]
        waiting.sort(key=lambda row: row[0])
        return [document for place, document in waiting if place > after][:limit]


class MemoryHistoryStore:
    """`HistoryStore`. Places that can fail: `upsert`."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Entry] = {}
        self.newest: dict[tuple[str, str, str], OutcomeRow] = {}
        self.faults = Faults()

    def fail_next(
        self, where: str, *, applied: bool = False, error: BaseException | None = None
    ) -> None:
        """Let the next call at this place raise, before or after it has applied."""
        self.faults.plan(where, applied=applied, error=error)

    async def upsert(self, entries: Sequence[Entry], outcomes: Sequence[OutcomeRow]) -> None:
        self.faults.run("upsert", lambda: self._write(entries, outcomes))

    def _write(self, entries: Sequence[Entry], outcomes: Sequence[OutcomeRow]) -> None:
        for entry in entries:
            self.rows.setdefault((entry.tenant, entry.id), entry)
        for row in outcomes:
            place = (row.tenant, row.call_id, row.agent_id)
            stored = self.newest.get(place)
            if stored is None or _renews(row, stored):
                self.newest[place] = row

    async def entries(self, tenant: str, call_id: str) -> list[bytes]:
        return self._bodies(lambda entry: (entry.tenant, entry.call_id) == (tenant, call_id))

    async def of_request(self, tenant: str, request_id: str) -> list[bytes]:
        return self._bodies(lambda entry: (entry.tenant, entry.request_id) == (tenant, request_id))

    def _bodies(self, wanted: Callable[[Entry], bool]) -> list[bytes]:
        found = [entry for entry in self.rows.values() if wanted(entry)]
        found.sort(key=lambda entry: (entry.at_ms, entry.rank, entry.sequence, entry.id))
        return [entry.body for entry in found]

    async def outcomes(
        self,
        tenant: str,
        *,
        from_ms: int,
        to_ms: int,
        only: Mapping[str, str] = EVERYTHING,
        cursor: str | None = None,
        limit: int = 50,
    ) -> OutcomePage:
        found = [
            ((row.decided_ms, row.call_id, row.agent_id), row.body)
            for row in self._narrowed(tenant, only)
            if from_ms <= row.decided_ms < to_ms and row.code
        ]
        page, following = page_of(found, cursor, limit, (int, str, str))
        return OutcomePage(tuple(page), following)

    async def callbacks(
        self,
        tenant: str,
        *,
        from_ms: int,
        to_ms: int,
        only: Mapping[str, str] = EVERYTHING,
        cursor: str | None = None,
        limit: int = 50,
    ) -> CallbackPage:
        after = (from_ms, "", "") if cursor is None else _read_cursor(cursor, (int, str, str))
        found = sorted(
            ((row.callback_ms, row.call_id, row.agent_id), row.body)
            for row in self._narrowed(tenant, only)
            if row.callback_ms is not None and from_ms <= row.callback_ms < to_ms
        )
        found = [one for one in found if one[0] > after]
        more = len(found) > limit
        rows = tuple(Callback(place[0], body) for place, body in found[:limit])
        return CallbackPage(rows, _write_cursor(found[limit - 1][0]) if more else None)

    async def counts(
        self,
        tenant: str,
        *,
        group_by: Sequence[str],
        from_ms: int,
        to_ms: int,
        only: Mapping[str, str] = EVERYTHING,
        missed: bool = False,
        limit: int = COUNTS_MAX,
    ) -> list[Count]:
        counted: dict[tuple[str, ...], int] = defaultdict(int)
        for row in self._narrowed(tenant, only):
            if from_ms <= row.decided_ms < to_ms and (row.code or (missed and _missed(row))):
                counted[tuple(_group(row, name) for name in group_by)] += 1
        return [Count(group, count) for group, count in sorted(counted.items())[:limit]]

    def _narrowed(self, tenant: str, only: Mapping[str, str]) -> list[OutcomeRow]:
        return [
            row
            for row in self.newest.values()
            if row.tenant == tenant
            if all(getattr(row, name) == value for name, value in only.items())
        ]


class MemoryReplies:
    """`Replies`: keeps what was sent; forgets what it is told to lose."""

    def __init__(self) -> None:
        self.sent: list[Answer] = []
        self.gone: set[str] = set()

    async def send(self, answers: Sequence[Answer]) -> None:
        self.sent += [answer for answer in answers if answer.reply_to.address not in self.gone]


def _renews(row: OutcomeRow, stored: OutcomeRow) -> bool:
    lacking = stored.callback_ms is None and row.callback_ms is not None
    return row.revision > stored.revision or (row.revision == stored.revision and lacking)


def _missed(row: OutcomeRow) -> bool:
    return row.origin == MISSED


def _group(row: OutcomeRow, name: str) -> str:
    at = to_wire(row.decided_ms)
    columns = {
        "code": row.code,
        "agent_id": row.agent_id,
        "day": at[:10],
        "hour": at[:13],
        "origin": row.origin,
        "campaign_id": row.campaign_id or "",
        "project_id": row.project_id or "",
    }
    return columns[name]


def page_of(
    found: list[tuple[Any, Any]], cursor: str | None, limit: int, shape: tuple[type, ...]
) -> tuple[list[Any], str | None]:
    """Newest first, from the cursor on; the cursor is the place of the last row shown."""
    if cursor is not None:
        last = _read_cursor(cursor, shape)
        found = [row for row in found if row[0] < last]
    found.sort(key=lambda row: row[0], reverse=True)
    page = [row[1] for row in found[:limit]]
    if len(found) <= limit:
        return page, None
    return page, _write_cursor(found[limit - 1][0])


def _write_cursor(place: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _read_cursor(cursor: str, shape: tuple[type, ...]) -> tuple[Any, ...]:
    try:
        place = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except ValueError:
        raise ValueError("not a cursor of ours") from None
    if not isinstance(place, list) or tuple(map(type, place)) != shape:
        raise ValueError("not a cursor of ours")
    return tuple(place)
