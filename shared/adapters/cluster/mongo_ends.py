"""Where the log's partitions ended when somebody last looked.

A topic that was deleted and made anew begins at offset 0 again, while the documents remember the
offsets of the old one and would take every new record for one that they have applied. What is kept
here outlives the topic, so that a log shorter than it once was can be refused.
"""

from collections.abc import Mapping

from pymongo import UpdateOne

from shared.adapters.cluster.mongo_client import Database, bulk_written
from shared.adapters.cluster.mongo_waiting import Writes, answered


class Ends:
    """A row for each partition, by a name of the caller's choice; an end only ever grows."""

    def __init__(self, database: Database, writes: Writes) -> None:
        self._ends = database["ends"]
        self._writes = writes

    async def remember(self, ends: Mapping[str, int]) -> None:
        """Keep these ends, where they are beyond what is kept.

        Raises:
            Unavailable: any of them may have been kept.
        """
        if ends:
            bulk = [
                UpdateOne({"_id": name}, {"$max": {"end": end}}, upsert=True)
                for name, end in ends.items()
            ]
            await self._writes.settled("remember ends", bulk_written(self._ends, bulk))

    async def remembered(self) -> dict[str, int]:
        """Every end that is kept.

        Raises:
            Unavailable: the store did not answer.
        """
        cursor = self._ends.find({})
        rows = await answered("read ends", lambda: cursor.to_list(None))
        return {row["_id"]: int(row["end"]) for row in rows}
