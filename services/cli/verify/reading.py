"""Where the snapshot comes from: the embedded profile's file, or the cluster's broker and store.

A file is read in one transaction. The cluster shares none; `shared.adapters.cluster.reading` says
how everything is read at one moment nevertheless.
"""

from collections import defaultdict
from pathlib import Path
from typing import Final

from services.cli.verify.call_checks import TOPOLOGY as CALLSTATE
from services.cli.verify.disposition_checks import TOPOLOGY as WORKER
from services.cli.verify.snapshot import Snapshot
from services.settings import Settings
from services.worker.history import HistoryProjection
from services.worker.letters import LetterProjection
from shared.adapters.cluster.reading import read_contents as read_cluster_contents
from shared.adapters.embedded.reading import read_contents
from shared.runtime.contents import Contents
from shared.runtime.ports import Clock, Document

GROUPS: Final = {
    CALLSTATE.group: CALLSTATE.topics,
    WORKER.group: WORKER.topics,
    HistoryProjection.group: HistoryProjection.topics,
    LetterProjection.group: LetterProjection.topics,
}


def read_snapshot(data_dir: Path, now_ms: int) -> Snapshot:
    """Log and store as they stand together at one moment, whether or not the service runs.

    Raises:
        FileNotFoundError, SchemaRefused, sqlite3.Error: as `read_contents`.
    """
    return snapshot_of(read_contents(data_dir), now_ms)


async def read_cluster(
    configured: Settings, clock: Clock, *, at_rest: bool, within_s: float
) -> Snapshot:
    """Topics and store of the cluster profile, as they stood together at one moment.

    Raises:
        Unrest, TopicsRefused, StoreRefused, Unavailable: as `read_contents` of the cluster.
    """
    contents = await read_cluster_contents(
        configured.kafka_bootstrap or "",
        configured.mongo_url or "",
        GROUPS,
        driver=configured.mongo_driver,
        prefix=configured.topic_prefix,
        at_rest=at_rest,
        within_s=within_s,
    )
    return snapshot_of(contents, clock.now_ms())


def snapshot_of(contents: Contents, now_ms: int) -> Snapshot:
    """The same, as plain data that the checks take."""
    documents: dict[str, list[Document]] = defaultdict(list)
    for document in contents.documents:
        documents[document.collection].append(document)
    return Snapshot(
        taken_ms=now_ms,
        records={topic: tuple(records) for topic, records in contents.records.items()},
        ends=contents.ends,
        positions=contents.positions,
        documents={collection: tuple(found) for collection, found in documents.items()},
        entries=tuple(contents.entries),
        outcomes=tuple(contents.outcomes),
        letters=tuple(contents.letters),
        home=contents.home,
        starts=contents.starts,
        gaps=contents.gaps,
        apart=contents.apart,
        unreadable=tuple(contents.unreadable),
    )
