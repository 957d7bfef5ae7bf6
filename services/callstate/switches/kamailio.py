"""What Kamailio says of calls, as neutral telephony events. No I/O.

Kamailio speaks in two ways (deploy/kamailio/aftercall.cfg): a JSON message over evapi for each
thing that happens, told once to whoever listens; and, when asked, the list of its live dialogs
(`dlg.list`), whose variables keep the times of what was told. `translate` reads the one, `recover`
the other, and both give the same events with the same ids: whatever is told twice is a duplicate.

Ids. A SIP Call-ID may hold characters that ours may not. One that has at most one `@`, and letters,
digits, `.`, `_`, `-` besides, keeps them, with `:` in place of the `@`; any other, and any that is
too long, becomes `:` and the start of its SHA-256. In front stands the switch's name and a colon:

    a84b4c76e66710@pc33.atlanta.com   kam:a84b4c76e66710:pc33.atlanta.com
    {1D2F}@[2001:db8::9]              kam::bec31f8ed129cc578b2edeca0b877a6160fc158c

No two Call-IDs share an id, and the original stands in the call's user data as `sip_call_id`. An
event's id is the call's, then the event, then, where it can happen again, the leg and its CSeq.
"""

import re
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from shared.contracts import limits
from shared.contracts.envelope import Event
from shared.contracts.errors import Poison
from shared.contracts.ids import is_id
from shared.contracts.instants import INSTANT_MS_MAX
from shared.contracts.telephony import (
    AgentJoined,
    CallAnswered,
    CallDisconnected,
    CallHeld,
    CallRetrieved,
    CallStarted,
    EventData,
)

CALL_ID_CHARS_MAX: Final = 96  # leaves room for `:retrieved:callee-4294967295` in an event's id
HASH_CHARS: Final = 40
STATE_DELETED: Final = 5  # Kamailio keeps an ended dialog in its list for some seconds

_plain = re.compile(r"[A-Za-z0-9._-]+(@[A-Za-z0-9._-]+)?").fullmatch
_timestamp = re.compile(r"([0-9]{1,12})\.([0-9]{6})").fullmatch
_cseq = re.compile(r"[0-9]{1,10}").fullmatch
_hold = re.compile(r"(hold|retrieve) ([0-9]{1,10}) ([0-9.]+)").fullmatch

Direction = Literal["inbound", "outbound"]
Leg = Literal["caller", "callee"]
Party = Literal["caller", "agent", "system"]


class Switch(Struct, frozen=True, kw_only=True):
    """Whose switch it is, and the name that starts the ids of its calls."""

    tenant: str
    name: str = "kam"

    @property
    def prefix(self) -> str:
        """What the ids of this switch's calls start with."""
        return f"{self.name}:"

    @property
    def source(self) -> str:
        """CloudEvents `source` of its events."""
        return f"/switches/{self.name}"

    def call_id(self, sip_call_id: str) -> str:
        """The strict id of a call; always the same for the same Call-ID."""
        strict = self.prefix + sip_call_id.replace("@", ":")
        if _plain(sip_call_id) and len(strict) <= CALL_ID_CHARS_MAX:
            return strict
        digest = sha256(sip_call_id.encode(errors="surrogatepass")).hexdigest()
        return f"{self.prefix}:{digest[:HASH_CHARS]}"


class Told(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """One message. `leg` is the one that acted; `ts` seconds and microseconds: `1795271922.965103`.

    `status` is the SIP answer that refused the call, absent when none came in time.
    """

    event: str
    callid: Annotated[str, Meta(min_length=1)]
    ts: str
    agent: str = ""
    direction: Direction = "inbound"
    from_: str = ""
    to: str = ""
    did: str = ""
    leg: Leg | None = None
    cseq: str = ""
    status: str = ""


class Dialog(Struct, frozen=True, kw_only=True, rename={"sip_call_id": "call-id"}):
    """One dialog of `dlg.list`. `variables` are what aftercall.cfg had it remember."""

    sip_call_id: Annotated[str, Meta(min_length=1)]
    state: int
    variables: tuple[dict[str, str | None], ...] = ()


class _Dialogs(Struct, frozen=True):
    """The answer to `dlg.list`."""

    result: tuple[Dialog, ...]


# Which leg ends a call that is never answered, and how that is called, by SIP status.
_FAILURES: Final[dict[str, tuple[Leg | None, str]]] = {
    "": (None, "no_answer"),
    "408": (None, "no_answer"),
    "480": (None, "no_answer"),
    "486": ("callee", "busy"),
    "487": ("caller", "cancelled"),
    "600": ("callee", "busy"),
    "603": ("callee", "declined"),
}

_LEGS: Final[tuple[Leg, ...]] = ("caller", "callee")
_ABOUT: Final = ("agent", "direction", "from", "to", "did")

_messages: Final = msgspec.json.Decoder(Told)
_dialogs: Final = msgspec.json.Decoder(_Dialogs)


def translate(message: bytes, switch: Switch) -> tuple[Event, ...]:
    """The events that one message tells of; none for what no rule asks about.

    Raises:
        Poison: `bad_message`, or `unknown_event`.
    """
    try:
        told = _messages.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Poison("bad_message", str(error)) from None
    return _events(told, switch)


def live_dialogs(answer: bytes) -> tuple[Dialog, ...]:
    """The dialogs that are up, in an answer to `dlg.list`.

    Raises:
        Poison: `bad_snapshot`: an error, or nothing that can be understood.
    """
    try:
        dialogs = _dialogs.decode(answer.decode(errors="replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Poison("bad_snapshot", str(error)) from None
    return tuple(dialog for dialog in dialogs.result if dialog.state != STATE_DELETED)


def recover(dialog: Dialog, switch: Switch) -> tuple[Event, ...]:
    """The events that have made the dialog what it is; none if Aftercall was not told of it.

    Raises:
        Poison: `bad_message`: its variables are not those of aftercall.cfg.
    """
    kept = {name: text for given in dialog.variables for name, text in given.items() if text}
    if "invited" not in kept:
        return ()
    about = {name: kept[name] for name in _ABOUT if name in kept}
    invited = {"event": "invite", "callid": dialog.sip_call_id, "ts": kept["invited"]}
    try:
        told = msgspec.convert(about | invited, Told)
    except msgspec.ValidationError as error:
        raise Poison("bad_message", str(error)) from None
    steps = [told]
    if "answered" in kept:
        steps.append(replace(told, event="established", ts=kept["answered"]))
    holds = ((leg, _hold(kept.get(f"hold_{leg}", ""))) for leg in _LEGS)
    steps += [replace(told, event=h[1], leg=leg, cseq=h[2], ts=h[3]) for leg, h in holds if h]
    return tuple(event for step in steps for event in _events(step, switch))


def gone(call_id: str, switch: Switch, now_ms: int) -> Event:
    """The end of a call that was believed up and that the switch no longer has."""
    return _event(
        call_id, "disconnected", now_ms, switch, CallDisconnected(by="system", cause="resync")
    )


def is_end(event: Event) -> bool:
    """Whether nothing more is to be told of the event's call."""
    return event.type == "call.disconnected"


def _events(told: Told, switch: Switch) -> tuple[Event, ...]:
    call_id = switch.call_id(told.callid)
    time_ms = _instant_ms(told.ts)
    return tuple(_event(call_id, name, time_ms, switch, data) for name, data in _named(told))


def _named(told: Told) -> tuple[tuple[str, EventData], ...]:
    """What follows from a message: the end of each event's id, and its data."""
    agent_id = told.agent if is_id(told.agent) else None
    match told.event:
        case "invite":
            return (("started", _started(told, agent_id)),)
        case "established":
            answered = ("answered", CallAnswered(agent_id=agent_id))
            joined = () if agent_id is None else (AgentJoined(agent_id=agent_id),)
            return (answered, *(("agent_joined", data) for data in joined))
        case "hold" | "retrieve":
            return (_held(told, agent_id),)
        case "released" | "failed":
            return (("disconnected", _disconnected(told)),)
        case "ringing":
            return ()
        case _:
            raise Poison("unknown_event", "the event is none of those in aftercall.cfg")


def _started(told: Told, agent_id: str | None) -> CallStarted:
    return CallStarted(
        direction=told.direction,
        from_=_text(told.from_),
        to=_text(told.to),
        did=_text(told.did),
        agent_id=agent_id,
        user_data={"sip_call_id": _text(told.callid)},
    )


def _held(told: Told, agent_id: str | None) -> tuple[str, EventData]:
    """An agent who holds is on hold alone; a customer who holds, holds the call."""
    if told.leg is None or _cseq(told.cseq) is None:
        raise Poison("bad_message", "a hold needs a leg and a CSeq")
    holder = agent_id if _party(told.leg, told.direction) == "agent" else None
    if told.event == "hold":
        return f"held:{told.leg}-{told.cseq}", CallHeld(agent_id=holder)
    return f"retrieved:{told.leg}-{told.cseq}", CallRetrieved(agent_id=holder)


def _disconnected(told: Told) -> CallDisconnected:
    leg, cause = told.leg, "hangup" if told.leg else "timeout"
    if told.event == "failed":
        leg, cause = _FAILURES.get(told.status, (None, f"sip {_text(told.status)[:3]}"))
    return CallDisconnected(by=_party(leg, told.direction), cause=cause)


def _event(call_id: str, name: str, time_ms: int, switch: Switch, data: EventData) -> Event:
    return Event(
        id=f"{call_id}:{name}",
        source=switch.source,
        type=f"call.{name.partition(':')[0]}",
        subject=call_id,
        time_ms=time_ms,
        tenant=switch.tenant,
        data=msgspec.json.encode(data),
    )


def _party(leg: Leg | None, direction: Direction) -> Party:
    """Who sits on a leg: an inbound call is made by the customer, an outbound one by the agent."""
    if leg is None:
        return "system"
    return "caller" if (leg == "caller") == (direction == "inbound") else "agent"


def _instant_ms(timestamp: str) -> int:
    parts = _timestamp(timestamp)
    if parts is None:
        raise Poison("bad_message", "ts is not seconds and microseconds")
    return min(int(parts[1]) * 1000 + int(parts[2]) // 1000, INSTANT_MS_MAX)


def _text(text: str) -> str:
    """What a stranger wrote, fit to be stored and shown."""
    printable = "".join(character for character in text if character.isprintable())
    return printable[: limits.TEXT_CHARS_MAX]
