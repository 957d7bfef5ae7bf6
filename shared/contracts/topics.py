"""The topics: one table, the only place where a topic is named."""

from typing import Final

from msgspec import Struct

TELEPHONY_EVENTS: Final = "telephony.events"
CALLS_CHANGED: Final = "calls.changed"
DISPOSITION_REQUESTS: Final = "disposition.requests"
DISPOSITION_EVENTS: Final = "disposition.events"
USER_EVENTS: Final = "user.events"
SWITCH_COMMANDS: Final = "switch.commands"
GATEWAY_REPLIES: Final = "gateway.replies"


class Topic(Struct, frozen=True):
    """One topic.

    Attributes:
        name: as on the broker.
        carries: one line for documents and generated pages.
        told: meant for consumers outside: its records carry a contiguous `sequence` per key
            (1, 2, 3, ...), and clients may follow it on `/v1/stream`.
    """

    name: str
    carries: str
    told: bool = False


TOPICS: Final = {
    topic.name: topic
    for topic in (
        Topic(TELEPHONY_EVENTS, "what switches and timers say of calls"),
        Topic(CALLS_CHANGED, "the call after each change", told=True),
        Topic(DISPOSITION_REQUESTS, "one request each"),
        Topic(
            DISPOSITION_EVENTS,
            "queued, saved, corrected, missed, refused; status changed; callback scheduled, due",
            told=True,
        ),
        Topic(USER_EVENTS, "EventUserEvent: dispositions after release", told=True),
        Topic(SWITCH_COMMANDS, "pause, release, attach data, send a message", told=True),
        Topic(GATEWAY_REPLIES, "answers to the waiting gateway"),
    )
}

TOLD: Final = tuple(name for name, topic in TOPICS.items() if topic.told)


def dead(topic: str) -> str:
    """The topic that takes what could not be processed from this one."""
    return f"{topic}.dead"
