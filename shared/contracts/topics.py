"""The topics: one table, the only place where a topic is named."""

from typing import Final, Literal

from msgspec import Struct

TELEPHONY_EVENTS: Final = "telephony.events"
CALLS_CHANGED: Final = "calls.changed"
DISPOSITION_REQUESTS: Final = "disposition.requests"
DISPOSITION_EVENTS: Final = "disposition.events"
USER_EVENTS: Final = "user.events"
SWITCH_COMMANDS: Final = "switch.commands"
GATEWAY_REPLIES: Final = "gateway.replies"


class Topic(Struct, frozen=True):
    """One topic. What its records may be stands in `messages`.

    Attributes:
        name: as on the broker, behind the prefix of the deployment.
        carries: one line for documents and generated pages.
        key: whose key a record has.
        told: meant for consumers outside: its records carry a contiguous `sequence` per key
            (1, 2, 3, ...), and clients may follow it on `/v1/stream`.
        decided_by: the service whose rules decide on each record. What it can't process is a dead
            letter.
        read_by: who else reads it, ours and others.
    """

    name: str
    carries: str
    key: Literal["call", "call or subject", "reply address"] = "call"
    told: bool = False
    decided_by: str | None = None
    read_by: tuple[str, ...] = ()


_ALL: Final = ("worker", "gateway", "reporting")  # history and reports; streams; those outside

TOPICS: Final = {
    topic.name: topic
    for topic in (
        Topic(
            TELEPHONY_EVENTS,
            "what switches and timers say of calls",
            decided_by="callstate",
        ),
        Topic(
            CALLS_CHANGED,
            "the call after each change",
            told=True,
            decided_by="worker",
            read_by=_ALL,
        ),
        Topic(
            DISPOSITION_REQUESTS,
            "one request each",
            "call or subject",
            decided_by="worker",
            read_by=("worker",),
        ),
        Topic(
            DISPOSITION_EVENTS,
            "queued, saved, corrected, missed, refused; status changed; callback scheduled, due",
            "call or subject",
            told=True,
            read_by=_ALL,
        ),
        Topic(
            USER_EVENTS,
            "EventUserEvent: dispositions after release",
            told=True,
            read_by=_ALL,
        ),
        Topic(
            SWITCH_COMMANDS,
            "pause, release, attach data, send a message",
            "call or subject",
            told=True,
            read_by=("gateway", "switch"),
        ),
        Topic(
            GATEWAY_REPLIES, "answers to the waiting gateway", "reply address", read_by=("gateway",)
        ),
    )
}

TOLD: Final = tuple(name for name, topic in TOPICS.items() if topic.told)


def dead(topic: str) -> str:
    """The topic that takes what could not be processed from this one."""
    return f"{topic}.dead"


WITH_LETTERS: Final = tuple(dead(name) for name, topic in TOPICS.items() if topic.decided_by)
"""The dead topics that anything can be on: nobody decides on the records of the others."""
