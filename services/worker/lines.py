"""What a record comes to in history and reports, and where its line stands in a call's history."""

from typing import Final, Literal, Protocol

import msgspec
from msgspec import Struct

from shared.contracts.envelope import Event, Record
from shared.contracts.instants import from_wire
from shared.contracts.topics import DISPOSITION_EVENTS, USER_EVENTS
from shared.runtime.history import Entry, OutcomeRow

_RANK: Final = {"event": 0, "timer": 0, "request": 1, "verdict": 2}
# By topic: a callback's time follows the verdict that has scheduled it, and is numbered with it; a
# user event's sequence counts apart, and it follows what it tells of.
_RANK_ON: Final = {DISPOSITION_EVENTS: 2, USER_EVENTS: 3}
STATUS_RANK: Final = 4  # in the history of the call that has caused it: likewise


class Line(Struct, frozen=True):
    """What one record comes to.

    Attributes:
        entry: None where it says nothing by itself.
        also: the same line in the history of the call that has caused it.
    """

    entry: Entry | None = None
    outcome: OutcomeRow | None = None
    also: Entry | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of its lines."""
        return tuple([entry for entry in (self.entry, self.also) if entry is not None])


class Body(Protocol):
    """What every line says, as the API shows it."""

    @property
    def at(self) -> str:
        """When."""
        ...

    @property
    def kind(self) -> Literal["event", "timer", "request", "verdict"]:
        """What kind of line it is."""
        ...

    @property
    def request_id(self) -> str | None:
        """The request that it is about, if any."""
        ...


def an_entry(record: Record, event: Event, body: Body, sequence: int) -> Entry:
    """The line of a record in the history of the call, or the subject, that it is about."""
    return Entry(
        id=f"{record.topic}:{event.id}",
        tenant=event.tenant,
        call_id=event.subject,
        at_ms=from_wire(body.at),
        rank=_RANK_ON.get(record.topic) or _RANK[body.kind],
        sequence=sequence,
        body=msgspec.json.encode(body),
        request_id=body.request_id,
    )
