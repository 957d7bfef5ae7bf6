"""Where the snapshot comes from: the file of the embedded profile, in one read transaction."""

from collections import defaultdict
from pathlib import Path

from services.cli.verify.snapshot import Snapshot
from shared.adapters.embedded.reading import read_contents
from shared.runtime.contents import Contents
from shared.runtime.ports import Document


def read_snapshot(data_dir: Path, now_ms: int) -> Snapshot:
    """Log and store as they stand together at one moment, whether or not the service runs.

    Raises:
        FileNotFoundError, SchemaRefused, sqlite3.Error: as `read_contents`.
    """
    return snapshot_of(read_contents(data_dir), now_ms)


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
        home=contents.home,
        starts=contents.starts,
        gaps=contents.gaps,
        apart=contents.apart,
    )
