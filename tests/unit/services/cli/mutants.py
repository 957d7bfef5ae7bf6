"""Ways to break a good history: one thing at a time, as a bug or a bad disk would."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from services.cli.verify.snapshot import Snapshot
from shared.contracts.envelope import Record
from shared.runtime.ports import Document, TopicPartition

Chosen = Callable[[Record], bool]


def header(record: Record, name: str) -> str:
    return dict(record.headers).get(name, b"").decode()


def with_header(record: Record, name: str, value: str) -> Record:
    headers = tuple((n, value.encode() if n == name else v) for n, v in record.headers)
    return replace(record, headers=headers)


def with_data(record: Record, **fields: Any) -> Record:
    data = msgspec.json.decode(record.value)
    change = fields.pop("change", None)
    if change is not None:
        data["change"] |= change
    return replace(record, value=msgspec.json.encode(data | fields))


def of(kind: str, call: str = "", **data: Any) -> Chosen:
    """Records of this CloudEvents type, of this call, whose data says so."""

    def chosen(record: Record) -> bool:
        if kind not in ("", header(record, "ce_type")) or call not in ("", record.key):
            return False
        found = msgspec.json.decode(record.value) if data else {}
        return data.items() <= found.items()

    return chosen


def the(snapshot: Snapshot, topic: str, chosen: Chosen) -> Record:
    """The first record of a topic that is chosen; there must be one."""
    return next(record for record in snapshot.records[topic] if chosen(record))


def change(
    snapshot: Snapshot, topic: str, chosen: Chosen, alter: Callable[[Record], Record]
) -> Snapshot:
    """The first chosen record is another one."""
    target = the(snapshot, topic, chosen)
    records = tuple(alter(r) if r is target else r for r in snapshot.records[topic])
    return replace(snapshot, records=snapshot.records | {topic: records})


def lose(snapshot: Snapshot, topic: str, chosen: Chosen) -> Snapshot:
    """The first chosen record is gone, and nobody sees it by the offsets."""
    target = the(snapshot, topic, chosen)
    where = TopicPartition(topic, target.partition)
    records = []
    for record in snapshot.records[topic]:
        later = record.partition == target.partition and record.offset > target.offset
        if record is not target:
            records.append(replace(record, offset=record.offset - 1) if later else record)
    return replace(
        snapshot,
        records=snapshot.records | {topic: tuple(records)},
        ends=snapshot.ends | {where: snapshot.ends[where] - 1},
        positions=_moved(snapshot, where, -1),
    )


def add(snapshot: Snapshot, like: Record) -> Snapshot:
    """One more record, read by every group."""
    where = TopicPartition(like.topic, like.partition)
    end = snapshot.ends[where]
    before = [r for r in snapshot.records[like.topic] if r.partition <= like.partition]
    after = snapshot.records[like.topic][len(before) :]
    records = (*before, replace(like, offset=end), *after)
    return replace(
        snapshot,
        records=snapshot.records | {like.topic: records},
        ends=snapshot.ends | {where: end + 1},
        positions=_moved(snapshot, where, 1),
    )


def _moved(
    snapshot: Snapshot, where: TopicPartition, by: int
) -> dict[str, dict[TopicPartition, int]]:
    return {
        group: {place: p + by if place == where else p for place, p in places.items()}
        for group, places in snapshot.positions.items()
    }


def told_again(
    snapshot: Snapshot, topic: str, chosen: Chosen, *, as_type: str = "", **fields: Any
) -> Snapshot:
    """One more record like the chosen one, or of another type, with the next sequence."""
    like = the(snapshot, topic, chosen)
    numbers = [int(header(r, "ce_sequence")) for r in snapshot.records[topic] if r.key == like.key]
    number = max(numbers) + 1
    record = with_header(like, "ce_sequence", str(number))
    record = with_header(record, "ce_id", f"{topic}:{like.key}:{number}")
    record = with_header(record, "ce_type", as_type or header(like, "ce_type"))
    return add(snapshot, with_data(record, **fields))


def document(
    snapshot: Snapshot, collection: str, key: str, alter: Callable[[Document], Document | None]
) -> Snapshot:
    """One stored document is another one, or gone."""
    found = (alter(d) if d.key == key else d for d in snapshot.documents[collection])
    kept = tuple(d for d in found if d is not None)
    return replace(snapshot, documents=snapshot.documents | {collection: kept})


def state(
    snapshot: Snapshot, collection: str, key: str, alter: Callable[[dict[str, Any]], None]
) -> Snapshot:
    """The state in one stored document is another one."""

    def altered(stored: Document) -> Document:
        value = msgspec.json.decode(stored.state)
        alter(value)
        return replace(stored, state=msgspec.json.encode(value))

    return document(snapshot, collection, key, altered)


def aged(snapshot: Snapshot, before_ms: int, only: str = "") -> Snapshot:
    """What is older is pruned; the newest record of each partition stays, as it does for real."""
    kept: dict[str, tuple[Record, ...]] = {}
    for topic, records in snapshot.records.items():
        kept[topic] = tuple(
            record
            for record in records
            if only not in ("", topic)
            or record.timestamp_ms >= before_ms
            or record.offset == snapshot.ends[TopicPartition(topic, record.partition)] - 1
        )
    return replace(snapshot, records=kept)
