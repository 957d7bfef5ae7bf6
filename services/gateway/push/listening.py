"""What a client listens to, whichever way it is written to it: what it asks for, and its events."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from services.gateway.problems import Invalid
from services.gateway.push.follower import Follower, follow
from services.gateway.push.hub import Hub
from services.gateway.push.position import Position
from services.gateway.push.told import Told
from services.gateway.toolbar.entering import Asker
from shared.contracts.errors import Refused
from shared.contracts.topics import TOLD

HEARTBEAT_S: Final = 15.0
LOOK_S: Final = 1.0  # a client that has left keeps its place no longer than this
WRITE_S: Final = 20.0  # a client that takes nothing for so long is gone
EVENTS_PER_WRITE_MAX: Final = 64


async def follow_for(
    hub: Hub, asker: Asker, topics: frozenset[str], since: Position | None
) -> Follower:
    """A follower of what this asker may see.

    Raises:
        Refused: `bad_request`: the position is not of this log.
        NoPlace, Unavailable: too many clients, or the log does not answer.
    """
    try:
        return await follow(hub, asker.found.tenant.id, topics, since, agent=asker.agent)
    except ValueError as error:
        raise Refused("bad_request", str(error)) from None


def asked_topics(asked: str | None) -> frozenset[str]:
    """The topics of `a,b`; all of them for None.

    Raises:
        Invalid: one of them is no topic that clients may follow.
    """
    topics = frozenset(TOLD if asked is None else asked.split(","))
    if not topics <= frozenset(TOLD):
        detail = f"any of {', '.join(TOLD)}"
        raise Invalid(f"topics: {detail}", [{"field": "topics", "detail": detail}])
    return topics


def asked_position(text: str | None) -> Position | None:
    """Where to go on; None: from now on.

    Raises:
        Refused: `bad_request`: not a position of ours.
    """
    if text is None:
        return None
    try:
        return Position.parse(text)
    except ValueError as error:
        raise Refused("bad_request", str(error)) from None


async def listen(
    follower: Follower, stands: Callable[[], bool]
) -> AsyncGenerator[list[Told], None]:
    """Events as they come; none of them where there were none for so long.

    It ends once the client does not stand any more: it is looked at every second.

    Raises:
        TooSlow, Closing, Unavailable: as `Follower.take`.
    """
    loop = asyncio.get_running_loop()
    quiet_since = now = loop.time()
    while stands():
        wait_s = min(LOOK_S, max(0.0, quiet_since + HEARTBEAT_S - now))
        told = await follower.take(events_max=EVENTS_PER_WRITE_MAX, wait_s=wait_s)
        now = loop.time()
        if told or now - quiet_since >= HEARTBEAT_S:
            quiet_since = now
            yield told
