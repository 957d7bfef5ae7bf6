"""The port of the projection: history entries and outcomes, upserted by effect id.

Everything in it can be rebuilt from the public topics; so writes are idempotent and need no
compare-and-set.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from msgspec import Struct


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the history of a call, or of a subject: then `call_id` is its name.

    Attributes:
        id: of the record it was read from (`{topic}:{ce_id}`); the upsert key.
        rank: among entries of one millisecond: event or timer 0, request 1, verdict (and callback
            due) 2, and 3 for a user event, which follows what it tells of.
        body: the entry as the API shows it, JSON.
    """

    id: str
    tenant: str
    call_id: str
    at_ms: int
    rank: int
    sequence: int
    body: bytes
    request_id: str | None = None


NOT_COUNTED: Final = ""
MISSED: Final = "missed"
"""The origin of what is no disposition: wrap-up has ended without one."""


class OutcomeRow(Struct, frozen=True, kw_only=True):
    """The newest disposition of one agent on one call; a higher `revision` replaces a lower.

    Or the newest status of a subject, which has its name as `call_id`, and no agent. Or that the
    agent has missed it: origin `MISSED`, revision 0, before any other.

    Attributes:
        code: `NOT_COUNTED`: there is none any more, or none yet, and no list shows the row.
        callback_ms: when to call back, as long as that stands; rows of programs that did not know
            it have none until they are written again.
    """

    tenant: str
    call_id: str
    agent_id: str
    revision: int
    code: str
    origin: str
    decided_ms: int
    campaign_id: str | None
    project_id: str | None
    body: bytes
    callback_ms: int | None = None


class Count(Struct, frozen=True):
    """One row of a report: the values of the grouped columns, and how many."""

    group: tuple[str, ...]
    count: int


class OutcomePage(Struct, frozen=True):
    """One page of outcomes (their bodies), newest first, and the cursor that continues it."""

    bodies: tuple[bytes, ...]
    next: str | None


class Callback(Struct, frozen=True):
    """When to call back, and the body of the outcome that says so."""

    callback_ms: int
    body: bytes


class CallbackPage(Struct, frozen=True):
    """One page of callbacks, the earliest first, and the cursor that continues it."""

    rows: tuple[Callback, ...]
    next: str | None


GROUPS = ("code", "agent_id", "day", "origin", "campaign_id", "project_id", "hour")
"""What a report may be grouped by. Days and hours are UTC: `2026-11-21`, `2026-11-21T14`."""

FILTERS = ("agent_id", "code", "origin", "campaign_id", "project_id")
"""What lists and reports may be narrowed by, each to one value."""

COUNTS_MAX: Final = 50_000

EVERYTHING: Final[Mapping[str, str]] = MappingProxyType({})
"""Narrowed by nothing."""


class HistoryStore(Protocol):
    """Rows of the projection.

    After `upsert` returns every row is durable. Writing a row again, or an older revision of an
    outcome, changes nothing, but that the same revision gives a row the callback that it lacks.
    After a crash some rows of an `upsert` may be missing.
    """

    async def upsert(self, entries: Sequence[Entry], outcomes: Sequence[OutcomeRow]) -> None:
        """Write all in one bulk."""
        ...

    async def entries(self, tenant: str, call_id: str) -> list[bytes]:
        """A call's entries in order: by (at_ms, rank, sequence)."""
        ...

    async def of_request(self, tenant: str, request_id: str) -> list[bytes]:
        """The entries that name this request, in the same order."""
        ...

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
        """Outcomes decided in [from, to), newest first.

        In `only` stand columns of `FILTERS`, each with the value that it must have.

        Raises:
            ValueError: the cursor is not one of ours.
            TooLong: see there.
        """
        ...

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
        """Callbacks of outcomes for times in [from, to), the earliest first.

        `only` and what is raised are as above.
        """
        ...

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
        """Outcomes decided in [from, to), counted by these columns of `GROUPS`, in group order.

        `only` is as above; `missed`: also what was missed, which has an empty code. Of more than
        `limit` counts it is open which are given.

        Raises:
            TooLong: see there.
        """
        ...
