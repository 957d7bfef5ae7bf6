"""What a record comes to in history and reports, and where its line stands in a call's history."""

from typing import Final, Literal, Protocol

import msgspec
from msgspec import Struct

from shared.contracts.envelope import Event, Record
from shared.contracts.instants import from_wire
from shared.contracts.topics import USER_EVENTS
from shared.runtime.history import Entry, OutcomeRow

_RANK: Final = {"event": 0, "timer": 0, "request": 1, "verdict": 2}
_USER_EVENT_RANK: Final = 3  # its sequence counts apart, and it follows what it tells of
STATUS_RANK: Final = 4  # in the history of the call that has caused it: likewise


class Line(Struct, frozen=True):
    """What one record comes to.

    Attributes:
        also: the same line in the history of the call that has caused it.
    """

    entry: Entry
    outcome: OutcomeRow | None = None
    also: Entry | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of its lines."""
        return (self.entry,) if self.also is None else (self.entry, self.also)


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
    rank = _USER_EVENT_RANK if record.topic == USER_EVENTS else _RANK[body.kind]
    return Entry(
        id=f"{record.topic}:{event.id}",
        tenant=event.tenant,
        call_id=event.subject,
        at_ms=from_wire(body.at),
        rank=rank,
        sequence=sequence,
        body=msgspec.json.encode(body),
        request_id=body.request_id,
    )
