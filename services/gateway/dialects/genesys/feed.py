"""One tenant's calls, told to those of its agents who listen: `StateChange`, `AttachedDataChanged`.

A feed follows the topics once for all listeners of its tenant. What has been told of a call is
remembered for each agent, by the call's version, so that a change which comes again tells nothing
again (a disposition does, with the call as it is then). When an agent's first listener comes, the
calls that the agent has then are noted as told: a listener hears what changes from now on.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec
import orjson
import structlog

from services.gateway.desk import CallView, Desk
from services.gateway.dialects.genesys.moves import (
    COMPLETED,
    ON_CALL,
    state_of,
    states_to_tell,
)
from services.gateway.dialects.genesys.resources import call_state, notification
from services.gateway.push.bayeux.messages import Refusal
from services.gateway.push.bayeux.session import BROKEN, STOPPING, Session
from services.gateway.push.follower import Follower, follow
from services.gateway.push.hub import Hub
from services.gateway.push.queue import Closing, TooSlow
from services.gateway.push.told import GAP, MALFORMED, Told
from shared.contracts.calls import AgentChanged, CallChanged, Phase
from shared.contracts.dispositions import DispositionTold
from shared.contracts.errors import Unavailable
from shared.contracts.limits import PAGE_SIZE_MAX
from shared.contracts.tenants import Tenant
from shared.contracts.topics import CALLS_CHANGED, DISPOSITION_EVENTS

T = TypeVar("T")

CHANNEL: Final = "/v2/me/calls"
TOPICS: Final = (CALLS_CHANGED, DISPOSITION_EVENTS)
REMEMBERED_MAX: Final = 20_000  # parts of agents in calls, the longest untouched go first
EVENTS_PER_TURN_MAX: Final = 64
WAIT_S: Final = 1.0
RETRY_S: Final = 1.0
_QUEUED: Final = "disposition.queued"
_ATTACHED: Final = "data_attached"  # the rule
_OPEN: Final = (Phase.RINGING, Phase.ACTIVE, Phase.WRAP_UP)

_changed: Final = msgspec.json.Decoder(CallChanged).decode
_said: Final = msgspec.json.Decoder(DispositionTold).decode
_logger: Final = structlog.get_logger()


class Part(NamedTuple):
    """An agent's part in a call."""

    call_id: str
    agent_id: str


class Seen(NamedTuple):
    """What has been told of it: the state after this version of the call."""

    version: int
    state: str


class Move(NamedTuple):
    """What a change means for one agent: how its part stands, and what is told of that."""

    part: Part
    seen: Seen
    states: Sequence[str]
    attached: bool


class Feed:
    """Made by `open_feed`; `run` is one task as long as anybody listens."""

    def __init__(self, hub: Hub, desk: Desk, tenant: Tenant, follower: Follower) -> None:
        self._hub = hub
        self._desk = desk
        self._tenant = tenant
        self._follower = follower
        self._listeners: defaultdict[str, set[Session]] = defaultdict(set)
        self._seen: OrderedDict[Part, Seen] = OrderedDict()
        self._early: OrderedDict[Part, int] = OrderedDict()
        self._turn = asyncio.Lock()  # an agent's calls are noted between two events, not within one
        self.ended = False

    @property
    def deserted(self) -> bool:
        """Whether nobody listens."""
        return not self._listeners

    async def add(self, session: Session) -> bool:
        """Tell the session from now on. False: the feed is over.

        Raises:
            Unavailable: the agent's calls can't be read.
        """
        agent_id = session.owner.name
        async with self._turn:
            if agent_id not in self._listeners:
                for view in await self._calls_of(agent_id):
                    self._note_open(view, agent_id)
            if not self.ended:
                self._listeners[agent_id].add(session)
            return not self.ended

    def remove(self, session: Session) -> None:
        """Tell it nothing more."""
        agent_id = session.owner.name
        self._listeners[agent_id].discard(session)
        if not self._listeners[agent_id]:
            del self._listeners[agent_id]
            for part in [part for part in self._seen if part.agent_id == agent_id]:
                del self._seen[part]
            for part in [part for part in self._early if part.agent_id == agent_id]:
                del self._early[part]

    async def run(self) -> None:
        """Tell until cancelled, or until the gateway stops."""
        why = STOPPING
        try:
            while True:
                for told in await self._take():
                    if told.event.type == GAP:  # nobody knows what was in it: all begin anew
                        why = BROKEN
                        return
                    await self._tell(told)
        except Closing:
            pass
        except Exception:  # a bug here must not leave listeners in silence
            _logger.exception("notifications_broke")
            why = BROKEN
        finally:
            self.end(why)

    def end(self, why: Refusal) -> None:
        """Tell nobody anything more; twice is once."""
        self.ended = True
        self._follower.leave()
        for session in [one for group in self._listeners.values() for one in group]:
            session.end(why)

    async def _take(self) -> Sequence[Told]:
        try:
            return await self._follower.take(events_max=EVENTS_PER_TURN_MAX, wait_s=WAIT_S)
        except TooSlow:
            self._follower.leave()
            await self._follow_again()
        except Unavailable:
            await asyncio.sleep(RETRY_S)
        return ()

    async def _follow_again(self) -> None:
        """Go on where the hub has left us behind."""
        since = self._follower.position
        while True:
            try:
                self._follower = await follow(self._hub, self._tenant.id, TOPICS, since)
            except Unavailable:
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _tell(self, told: Told) -> None:
        """Tell of one event, however long the store is away."""
        tell = self._tell_change if told.topic == CALLS_CHANGED else self._tell_disposition
        while True:
            try:
                async with self._turn:
                    return await tell(told)
            except Unavailable:
                await asyncio.sleep(RETRY_S)

    async def _tell_change(self, told: Told) -> None:
        changed = _read(_changed, told)
        if changed is None:
            return
        moved = [
            move
            for agent in changed.agents
            if agent.agent_id in self._listeners
            for move in self._moves(changed, agent)
        ]
        view = None
        if any(move.states or move.attached for move in moved):
            view = await self._desk.stored_view(self._tenant, changed.call_id)
        for part, seen, states, attached in moved:
            self._remember(part, seen)
            if self._is_due(part, seen.version):
                del self._early[part]
            if view is not None:
                for state in states:
                    self._publish(part.agent_id, "StateChange", view, state)
                if attached:
                    self._publish(part.agent_id, "AttachedDataChanged", view, seen.state)

    def _moves(self, changed: CallChanged, agent: AgentChanged) -> Sequence[Move]:
        """What is new of this agent's part; nothing where the version has been seen before."""
        part = Part(changed.call_id, agent.agent_id)
        before = self._seen.get(part)
        if before is not None and before.version >= changed.version:
            return ()
        state_before = None if before is None else before.state
        state = state_of(agent, held=changed.held)
        states = states_to_tell(state_before, state)
        if not states and state != state_before:
            state = COMPLETED  # its end is not told where nothing of it was
        attached = changed.change.rule == _ATTACHED or self._is_due(part, changed.version)
        return [Move(part, Seen(changed.version, state), states, attached and state in ON_CALL)]

    def _is_due(self, part: Part, version: int) -> bool:
        """Whether a disposition was put off until this version."""
        return part in self._early and self._early[part] <= version

    async def _tell_disposition(self, told: Told) -> None:
        said = _read(_said, told) if told.event.type == _QUEUED else None
        if said is None:
            return
        view = await self._desk.stored_view(self._tenant, said.call_id)
        if view is None:
            return
        for agent_id in (agent.agent_id for agent in view.call.agents):
            part = Part(said.call_id, agent_id)
            seen = self._seen.get(part)
            if agent_id not in self._listeners:
                continue
            if seen is None or seen.version < said.call_version:
                self._put_off(part, said.call_version)
            elif seen.state in ON_CALL:
                self._publish(agent_id, "AttachedDataChanged", view, seen.state)

    def _put_off(self, part: Part, version: int) -> None:
        """The disposition is ahead of the call that it was decided on: it is told behind that."""
        self._early[part] = version
        if len(self._early) > REMEMBERED_MAX:
            self._early.popitem(last=False)

    def _publish(self, agent_id: str, kind: str, view: CallView, state: str) -> None:
        now_ms = self._desk.clock.now_ms()
        for session in tuple(self._listeners.get(agent_id, ())):
            data = notification(kind, view, agent_id, state, session.url, now_ms)
            session.offer(orjson.dumps({"data": data, "channel": CHANNEL}))

    def _note_open(self, view: CallView, agent_id: str) -> None:
        part = view.call.agent(agent_id)
        if part is not None:
            seen = Seen(view.call.version, call_state(view.call, part))
            self._remember(Part(view.call.id, agent_id), seen)

    def _remember(self, part: Part, seen: Seen) -> None:
        self._seen[part] = seen
        self._seen.move_to_end(part)
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)

    async def _calls_of(self, agent_id: str) -> list[CallView]:
        """The agent's calls that are not over."""
        views: list[CallView] = []
        for phase in _OPEN:
            page, _ = await self._desk.stored_views(
                self._tenant, phase=phase, agent_id=agent_id, cursor=None, limit=PAGE_SIZE_MAX
            )
            views += page
        return views


def _read(decode: Callable[[bytes], T], told: Told) -> T | None:
    """What it tells; None, and a warning, if it is not what we write there."""
    try:
        return decode(told.event.data)
    except MALFORMED:
        _logger.warning("notification_unreadable", topic=told.topic, id=told.event.id)
        return None


async def open_feed(hub: Hub, desk: Desk, tenant: Tenant) -> Feed:
    """A feed from now on.

    Raises:
        Unavailable: too many follow already, or the log does not answer.
    """
    return Feed(hub, desk, tenant, await follow(hub, tenant.id, TOPICS))
