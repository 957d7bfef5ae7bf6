"""The messages: one table of what may stand on which topic. /asyncapi.json is made of it.

Whoever adds a type adds its row here; a test compares the rows with what the services really write.
A type may have two rows on one topic, one for the records of calls and one for those of subjects,
whose data differ.
"""

from typing import Final, Literal

from msgspec import Struct

from shared.contracts import examples
from shared.contracts.callbacks import CALLBACK_DUE, CALLBACK_SCHEDULED, CALLBACK_TIMER_DUE
from shared.contracts.dispositions import REQUESTED, USER_EVENT
from shared.contracts.subjects import (
    MESSAGE_SEND,
    STATUS_CHANGED,
    STATUS_REFUSED,
    STATUS_REQUESTED,
    SUBJECT_NAMED,
)
from shared.contracts.telephony import CALL_RELEASED, EVENT_TYPES, TIMER_DUE
from shared.contracts.topics import (
    CALLS_CHANGED,
    DISPOSITION_EVENTS,
    DISPOSITION_REQUESTS,
    SWITCH_COMMANDS,
    TELEPHONY_EVENTS,
    USER_EVENTS,
)

Writers = tuple[str, ...]
Shape = type[Struct]

SWITCH: Final = "switch"  # outside: a telephone switch, or what stands before it
_SWITCHES: Final = (SWITCH, "gateway", "callstate")  # who speaks for one of them, too
_GATEWAY: Final = ("gateway",)
_CALLSTATE: Final = ("callstate",)
_WORKER: Final = ("worker",)


class Message(Struct, frozen=True):
    """One kind of record.

    Attributes:
        type: its CloudEvents `type`.
        says: one sentence.
        written_by: services of ours, and `switch` for those outside.
        example: its data; the class of it is the shape of all such data.
        about: whose key it has.
        always: fields that are there, of those that the shape alone leaves open.
    """

    topic: str
    type: str
    says: str
    written_by: Writers
    example: Struct
    about: Literal["call", "subject"] = "call"
    always: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Unique among all messages: the type, where subjects don't share it with calls."""
        shared = any(row.type == self.type and row.about == "call" for row in MESSAGES)
        return f"{self.type}.of_subject" if shared and self.about == "subject" else self.type

    @property
    def shape(self) -> Shape:
        """The class of its data."""
        return type(self.example)


def _telephony(type_: str, writers: Writers = _SWITCHES) -> Message:
    """What it says is said where its shape is."""
    says = (EVENT_TYPES[type_].__doc__ or type_).partition("\n")[0]
    return Message(TELEPHONY_EVENTS, type_, says, writers, examples.TELEPHONY[type_])


_DECIDED: Final = ("code", "key", "outcome", "call_version")

# fmt: off
MESSAGES: Final = (
    _telephony("call.started"),
    _telephony("call.answered"),
    _telephony("call.agent_joined"),
    _telephony("call.agent_left"),
    _telephony("call.held"),
    _telephony("call.retrieved"),
    _telephony("call.data_attached"),
    _telephony("call.disconnected"),
    _telephony("call.wrap_up_extended"),
    _telephony(CALL_RELEASED, (*_SWITCHES, "worker")),
    _telephony(TIMER_DUE, _CALLSTATE),
    Message(CALLS_CHANGED, "call.changed", "The call after one change, and why it changed.",
            _CALLSTATE, examples.CHANGED),
    Message(DISPOSITION_REQUESTS, REQUESTED, "Somebody asks for a disposition of a call.",
            _GATEWAY, examples.REQUEST),
    Message(DISPOSITION_REQUESTS, STATUS_REQUESTED,
            "Somebody asks for a status of a subject; or a disposition of its call does.",
            ("gateway", "worker"), examples.STATUS_REQUEST, "subject"),
    Message(DISPOSITION_REQUESTS, SUBJECT_NAMED, "A subject is made known.",
            _GATEWAY, examples.NAMING, "subject"),
    Message(DISPOSITION_REQUESTS, CALLBACK_TIMER_DUE,
            "The time of a disposition's callback is here.",
            _WORKER, examples.CALLBACK_TIMER, always=("agent_id",)),
    Message(DISPOSITION_REQUESTS, CALLBACK_TIMER_DUE, "The time of a status's callback is here.",
            _WORKER, examples.STATUS_TIMER, "subject"),
    Message(DISPOSITION_EVENTS, "disposition.queued",
            "Chosen during the call; applied when the agent leaves. A later one replaces it.",
            _WORKER, examples.QUEUED, always=(*_DECIDED, "request_id")),
    Message(DISPOSITION_EVENTS, "disposition.saved",
            "Final: chosen in wrap-up, or queued and now applied, or the tenant's timeout code.",
            _WORKER, examples.SAVED, always=(*_DECIDED, "origin", "revision")),
    Message(DISPOSITION_EVENTS, "disposition.corrected",
            "Replaces a saved one, still in wrap-up.",
            _WORKER, examples.CORRECTED, always=(*_DECIDED, "origin", "revision", "previous")),
    Message(DISPOSITION_EVENTS, "disposition.missed",
            "The agent's wrap-up has ended without a disposition, and no code stands in for it.",
            _WORKER, examples.MISSED, always=("call_version",)),
    Message(DISPOSITION_EVENTS, "disposition.refused", "A rule said no; nothing has changed.",
            _WORKER, examples.REFUSED,
            always=("code", "key", "outcome", "problem", "request_id")),
    Message(DISPOSITION_EVENTS, CALLBACK_SCHEDULED,
            "The disposition just told asks for the customer to be called back.",
            _WORKER, examples.CALLBACK, always=(*_DECIDED, "origin", "revision", "callback_at")),
    Message(DISPOSITION_EVENTS, CALLBACK_DUE,
            "The customer is to be called back now: the disposition that asked for it still holds.",
            _WORKER, examples.DUE, always=("code", "key", "revision", "callback_at")),
    Message(DISPOSITION_EVENTS, STATUS_CHANGED,
            "A subject has a new status; without `code`: its status was taken away.",
            _WORKER, examples.STATUS, "subject", ("request_id", "revision")),
    Message(DISPOSITION_EVENTS, STATUS_REFUSED, "A rule said no; the status stays as it is.",
            _WORKER, examples.STATUS_REFUSED, "subject", ("request_id", "problem")),
    Message(DISPOSITION_EVENTS, CALLBACK_SCHEDULED,
            "The status just told asks for the customer to be called back.",
            _WORKER, examples.STATUS_CALLBACK, "subject",
            ("request_id", "revision", "callback_at")),
    Message(DISPOSITION_EVENTS, CALLBACK_DUE,
            "The subject is to be called back now: the status that asked for it still holds.",
            _WORKER, examples.STATUS_DUE, "subject", ("revision", "callback_at")),
    Message(USER_EVENTS, USER_EVENT,
            "A disposition for reporting, the code under its key: after release, or, where the "
            "dialect asks for it, in wrap-up.",
            _WORKER, examples.LATE, always=(*_DECIDED, "origin", "revision", "user_data")),
    Message(SWITCH_COMMANDS, "agent.pause", "Take the agent out of the queue, for `reason`.",
            _WORKER, examples.PAUSE),
    Message(SWITCH_COMMANDS, "agent.release", "Wrap-up is over: the agent may take calls.",
            _WORKER, examples.RELEASE),
    Message(SWITCH_COMMANDS, "call.attach_data",
            "Attach the queued disposition to the call, under its key.",
            _WORKER, examples.ATTACH, always=("request_id", "user_data")),
    Message(SWITCH_COMMANDS, MESSAGE_SEND, "Send the subject the message that the code has.",
            _WORKER, examples.SEND, "subject"),
)
# fmt: on
