"""Rows written once, whoever else has written them."""

from collections.abc import Sequence

from pymongo import InsertOne
from pymongo.errors import BulkWriteError

from shared.adapters.cluster.mongo_client import Collection, Row, bulk_written
from shared.adapters.cluster.mongo_errors import DUPLICATE_KEY


async def insert_missing(collection: Collection, rows: Sequence[Row]) -> list[Row]:
    """Write those that do not stand yet.

    Returns:
        The others.
    """
    try:
        await bulk_written(collection, [InsertOne(row) for row in rows])
    except BulkWriteError as error:
        refused = error.details["writeErrors"]
        if error.details["writeConcernErrors"] or any(
            one["code"] != DUPLICATE_KEY for one in refused
        ):
            raise
        return [rows[one["index"]] for one in refused]
    return []
