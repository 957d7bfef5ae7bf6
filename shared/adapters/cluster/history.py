"""The projection on MongoDB: entries of calls, and the newest outcome of each agent on a call."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, Final

import msgspec
from pymongo import UpdateOne

from shared.adapters.cluster.mongo_client import (
    OPERATION_S,
    Collection,
    Database,
    Row,
    aggregated,
    bulk_written,
)
from shared.adapters.cluster.mongo_inserting import insert_missing
from shared.adapters.cluster.mongo_waiting import Writes, answered
from shared.adapters.cursor import Instant, read_cursor, write_cursor
from shared.contracts.errors import TooLong, Unavailable
from shared.contracts.instants import to_wire
from shared.runtime.history import (
    COUNTS_MAX,
    EVERYTHING,
    MISSED,
    NOT_COUNTED,
    Callback,
    CallbackPage,
    Count,
    Entry,
    OutcomePage,
    OutcomeRow,
)

REPORT_S: Final = 20.0  # 700,000 of a million rows are counted in less, on a busy machine
TOLD_S: Final = 1.0  # the server ends what takes too long so much before us, at most
REACH_S: Final = OPERATION_S  # of that: to learn whether there is a primary that answers at all
ENTRIES_PER_BATCH: Final = 1_000  # more than most calls have; the server would begin with 101

_HOUR_MS: Final = 3_600_000
_SHOWN: Final[Row] = {"body": 1}
_PLACED: Final[Row] = {"_id": 0, "body": 1, "decided_ms": 1, "call_id": 1, "agent_id": 1}
_AWAITED: Final[Row] = {"_id": 0, "body": 1, "callback_ms": 1, "call_id": 1, "agent_id": 1}
_IN_ORDER: Final = [("at_ms", 1), ("rank", 1), ("sequence", 1), ("_id", 1)]
_NEWEST: Final = [("decided_ms", -1), ("call_id", -1), ("agent_id", -1)]
_EARLIEST: Final = [("callback_ms", 1), ("call_id", 1), ("agent_id", 1)]
_HAS_CODE: Final[Row] = {"code": {"$ne": NOT_COUNTED}}
# What does not count is left out behind the index. By the match, a code that differs would make the
# server look at each key's bounds, and an alternative to that would make it fetch each row.
_NO_CODE: Final[Row] = {"$eq": ["$code", NOT_COUNTED]}
_NO_CODE_NOR_MISSED: Final[Row] = {"$and": [_NO_CODE, {"$ne": ["$origin", MISSED]}]}


def _beginning_of(length_ms: int) -> Row:
    return {"$subtract": ["$decided_ms", {"$mod": ["$decided_ms", length_ms]}]}


# Per column of a report what the server groups by, and how that reads.
_COLUMNS: Final[dict[str, tuple[str | Row, Callable[[Any], str]]]] = {
    "code": ("$code", str),
    "agent_id": ("$agent_id", str),
    "day": (_beginning_of(24 * _HOUR_MS), lambda at_ms: to_wire(at_ms)[:10]),
    "hour": (_beginning_of(_HOUR_MS), lambda at_ms: to_wire(at_ms)[:13]),
    "origin": ("$origin", str),
    "campaign_id": ({"$ifNull": ["$campaign_id", ""]}, str),
    "project_id": ({"$ifNull": ["$project_id", ""]}, str),
}


class MongoHistoryStore:
    """`HistoryStore` on one database."""

    def __init__(self, database: Database, writes: Writes) -> None:
        self._database = database
        self._history = database["history"]
        self._outcomes = database["outcomes"]
        self._writes = writes

    async def upsert(self, entries: Sequence[Entry], outcomes: Sequence[OutcomeRow]) -> None:
        """See `HistoryStore`."""
        if entries:
            rows = [_entry(entry) for entry in entries]
            await self._writes.settled("write history", insert_missing(self._history, rows))
        if outcomes:
            await self._writes.settled("write outcomes", _put(self._outcomes, _newest_of(outcomes)))

    async def entries(self, tenant: str, call_id: str) -> list[bytes]:
        """See `HistoryStore`."""
        return await self._bodies({"tenant": tenant, "call_id": call_id})

    async def of_request(self, tenant: str, request_id: str) -> list[bytes]:
        """See `HistoryStore`."""
        return await self._bodies({"tenant": tenant, "request_id": request_id})

    async def _bodies(self, wanted: Row) -> list[bytes]:
        found = self._history.find(wanted, _SHOWN, sort=_IN_ORDER, batch_size=ENTRIES_PER_BATCH)
        rows = await answered("read history", lambda: found.to_list(None))
        return [row["body"] for row in rows]

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
        """See `HistoryStore`."""
        wanted = [_within(tenant, "decided_ms", from_ms, to_ms), _HAS_CODE, dict(only)]
        if cursor is not None:
            wanted.append(_before(read_cursor(cursor, tuple[Instant, str, str])))
        found = self._outcomes.find(
            {"$and": wanted}, _PLACED, sort=_NEWEST, limit=limit + 1, batch_size=limit + 1
        )
        rows = await self._asked("list outcomes", lambda: found.to_list(None))
        return OutcomePage(
            tuple(row["body"] for row in rows[:limit]), _following(rows, limit, "decided_ms")
        )

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
        """See `HistoryStore`."""
        wanted = [_within(tenant, "callback_ms", from_ms, to_ms), dict(only)]
        if cursor is not None:
            wanted.append(_behind(read_cursor(cursor, tuple[Instant, str, str])))
        found = self._outcomes.find(
            {"$and": wanted}, _AWAITED, sort=_EARLIEST, limit=limit + 1, batch_size=limit + 1
        )
        rows = await self._asked("list callbacks", lambda: found.to_list(None))
        return CallbackPage(
            tuple(Callback(int(row["callback_ms"]), row["body"]) for row in rows[:limit]),
            _following(rows, limit, "callback_ms"),
        )

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
        """See `HistoryStore`. A disposition without a campaign or project counts under `""`."""
        columns = [_COLUMNS[name] for name in group_by]
        number = {"$sum": {"$cond": [_NO_CODE_NOR_MISSED if missed else _NO_CODE, 0, 1]}}
        pipeline: list[Row] = [
            {"$match": {"$and": [_within(tenant, "decided_ms", from_ms, to_ms), dict(only)]}},
            {"$group": {"_id": [place for place, _ in columns], "count": number}},
            {"$match": {"count": {"$gt": 0}}},
            {"$limit": limit},
        ]
        rows = await self._asked(
            "count outcomes", lambda: aggregated(self._outcomes, pipeline, limit + 1)
        )
        counts = [
            Count(
                tuple(read(value) for (_, read), value in zip(columns, row["_id"], strict=True)),
                row["count"],
            )
            for row in rows
        ]
        return sorted(counts, key=lambda count: count.group)

    async def _asked(self, doing: str, ask: Callable[[], Awaitable[list[Row]]]) -> list[Row]:
        """The answer to a question that may take longer than others.

        A report over many rows is given its time, but of a store that is away one hears soon.

        Raises:
            TooLong: it has had its time.
        """
        await answered("reach", lambda: self._database.command("ping"), within_s=REACH_S)
        began_s = monotonic()
        try:
            return await answered(doing, ask, within_s=REPORT_S)
        except Unavailable:
            if monotonic() - began_s < REPORT_S - TOLD_S:
                raise
        raise TooLong(f"{doing}: not within {REPORT_S:.0f} s")


def _within(tenant: str, time: str, from_ms: int, to_ms: int) -> Row:
    return {"tenant": tenant, time: {"$gte": from_ms, "$lt": to_ms}}


def _following(rows: Sequence[Row], limit: int, time: str) -> str | None:
    """The cursor that goes on after so many of these rows, if there are more."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return write_cursor((int(last[time]), last["call_id"], last["agent_id"]))


def _before(place: tuple[int, str, str]) -> Row:
    """What lists show after this place; written so that the index begins at its time."""
    decided_ms, call_id, agent_id = place
    return {
        "decided_ms": {"$lte": decided_ms},
        "$or": [
            {"decided_ms": {"$lt": decided_ms}},
            {"call_id": {"$lt": call_id}},
            {"call_id": call_id, "agent_id": {"$lt": agent_id}},
        ],
    }


def _behind(place: tuple[int, str, str]) -> Row:
    """The callbacks after this place; likewise."""
    callback_ms, call_id, agent_id = place
    return {
        "callback_ms": {"$gte": callback_ms},
        "$or": [
            {"callback_ms": {"$gt": callback_ms}},
            {"call_id": {"$gt": call_id}},
            {"call_id": call_id, "agent_id": {"$gt": agent_id}},
        ],
    }


def _entry(entry: Entry) -> Row:
    row = msgspec.structs.asdict(entry)
    row["_id"] = f"{entry.tenant}:{row.pop('id')}"
    if entry.request_id is None:
        del row["request_id"]
    return row


def _newest_of(outcomes: Iterable[OutcomeRow]) -> list[Row]:
    """One row for each agent on a call: of the highest revision."""
    newest: dict[str, OutcomeRow] = {}
    for outcome in outcomes:
        key = msgspec.json.encode((outcome.tenant, outcome.call_id, outcome.agent_id)).decode()
        if key not in newest or newest[key].revision < outcome.revision:
            newest[key] = outcome
    return [_outcome(key, row) for key, row in newest.items()]


def _outcome(key: str, outcome: OutcomeRow) -> Row:
    row = {"_id": key, **msgspec.structs.asdict(outcome)}
    if outcome.callback_ms is None:
        del row["callback_ms"]  # then it is in no index of callbacks
    return row


async def _put(collection: Collection, rows: Sequence[Row]) -> None:
    """Write those that do not stand yet; then, of the others, those that are newer."""
    standing = await insert_missing(collection, rows)
    if standing:
        await bulk_written(collection, [_renewed(row) for row in standing])


def _renewed(row: Row) -> UpdateOne:
    """Put this in the place of an older row, or of one that lacks its callback."""
    older: Row = {"revision": {"$lt": row["revision"]}}
    if "callback_ms" not in row:
        return UpdateOne({"_id": row["_id"], **older}, {"$set": row, "$unset": {"callback_ms": ""}})
    lacking = {"revision": row["revision"], "callback_ms": {"$exists": False}}
    return UpdateOne({"_id": row["_id"], "$or": [older, lacking]}, {"$set": row})
