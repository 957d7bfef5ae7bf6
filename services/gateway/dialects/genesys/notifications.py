"""CometD at `/api/v2/notifications`: who listens, and the three transports as routes.

Source: docs.genesys.com, Web Services 8.5.2, "AsynchronousEvents", "CallsMessageType". No page
names the path; CometD clients append `/handshake`, `/connect` and so on to it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from time import monotonic
from typing import Final

from aiohttp import hdrs, web

from services.gateway.desk import Desk
from services.gateway.dialects.genesys.answers import StatusCode, Stop
from services.gateway.dialects.genesys.asker import authenticate, base_url_of
from services.gateway.dialects.genesys.feed import CHANNEL, Feed, open_feed
from services.gateway.push.bayeux.origin import is_of_another_site
from services.gateway.push.bayeux.polling import answer_posted, answer_script
from services.gateway.push.bayeux.protocol import Bayeux
from services.gateway.push.bayeux.session import STOPPING, UNKNOWN, Owner, Session
from services.gateway.push.bayeux.sessions import Full
from services.gateway.push.bayeux.websocket import Sockets
from services.gateway.push.hub import Hub
from shared.contracts.errors import Refused, Unavailable
from shared.contracts.tenants import Tenant

SWEEP_S: Final = 1.0


class Feeds:
    """`Audience` of the agents: one feed for each tenant of whom somebody listens."""

    def __init__(self, hub: Hub, desk: Desk) -> None:
        self._hub = hub
        self._desk = desk
        self._feeds: dict[str, tuple[Feed, asyncio.Task[None]]] = {}
        self._opening = asyncio.Lock()

    async def listen(self, session: Session) -> None:
        """See `Audience`."""
        while session.hears(CHANNEL) and session.ended is None:
            feed = await self._feed(session.owner.tenant)
            if await feed.add(session):
                break
        if session.ended is not None or not session.hears(CHANNEL):  # it may be over by now
            self.leave(session)

    def leave(self, session: Session) -> None:
        """See `Audience`."""
        tenant_id = session.owner.tenant
        if tenant_id in self._feeds:
            feed, task = self._feeds[tenant_id]
            feed.remove(session)
            if feed.deserted:
                feed.end(STOPPING)
                task.cancel()
                del self._feeds[tenant_id]

    async def _feed(self, tenant_id: str) -> Feed:
        async with self._opening:
            if tenant_id not in self._feeds or self._feeds[tenant_id][0].ended:
                tenant = self._desk.tenants.get(tenant_id)
                if tenant is None:
                    raise Unavailable("the tenant is gone")
                feed = await open_feed(self._hub, self._desk, tenant)
                self._feeds[tenant_id] = feed, asyncio.create_task(feed.run())
            return self._feeds[tenant_id][0]

    async def close(self) -> None:
        """End every feed."""
        for feed, task in self._feeds.values():
            feed.end(STOPPING)
            task.cancel()
        tasks = [task for _, task in self._feeds.values()]
        await asyncio.gather(*tasks, return_exceptions=True)


class Notifications:
    """The Bayeux server of this dialect, its feeds and its sockets."""

    def __init__(self, hub: Hub, desk: Desk, now_s: Callable[[], float]) -> None:
        self._desk = desk
        self._seen: dict[str, Tenant | None] = {}
        self.feeds: Final = Feeds(hub, desk)
        self.bayeux: Final = Bayeux(self.feeds, now_s)
        self.sockets: Final = Sockets(self.bayeux)

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Forget who has left, as long as the application is served."""
        sweeping = asyncio.create_task(self._sweep())
        yield
        sweeping.cancel()

    async def close(self, _: web.Application) -> None:
        """Answer what is held, close the sockets, take nobody in."""
        self.bayeux.close()
        await self.sockets.close()
        await self.feeds.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.dismiss()
            self.bayeux.sweep()

    def dismiss(self) -> None:
        """End the sessions whose agent or password is no more; looked at as a tenant changes."""
        tenants = {one.owner.tenant for one in self.bayeux.sessions}
        now = {tenant_id: self._desk.tenants.get(tenant_id) for tenant_id in tenants}
        changed = {one for one, tenant in now.items() if tenant is not self._seen.get(one)}
        self._seen = now
        for session in self.bayeux.sessions if changed else ():
            if session.owner.tenant in changed and not _stands(session.owner, now):
                session.end(UNKNOWN)


NOTIFICATIONS: Final = web.AppKey("genesys_notifications", Notifications)


def serve_notifications(app: web.Application, hub: Hub, desk: Desk) -> None:
    """Let the application answer these routes, from its start to its end."""
    app[NOTIFICATIONS] = served = Notifications(hub, desk, monotonic)
    app.cleanup_ctx.append(served.run)
    app.on_shutdown.append(served.close)


async def post_messages(request: web.Request, desk: Desk) -> web.StreamResponse:
    """`POST /api/v2/notifications`, and what clients append to it."""
    owner = _owner(request, desk)
    bayeux = request.app[NOTIFICATIONS].bayeux
    return await answer_posted(request, bayeux, owner, base_url_of(request))


async def get_messages(request: web.Request, desk: Desk) -> web.StreamResponse:
    """`GET /api/v2/notifications`, and what clients append to it."""
    owner, served = _owner(request, desk), request.app[NOTIFICATIONS]
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        return await answer_script(request, served.bayeux, owner, base_url_of(request))

    def ask() -> Owner | None:
        with contextlib.suppress(Stop):
            return _owner(request, desk)
        return None

    try:
        return await served.sockets.serve(request, owner, ask, base_url_of(request))
    except Full:
        raise Refused("too_many_requests", "too many websockets") from None


def _stands(owner: Owner, tenants: Mapping[str, Tenant | None]) -> bool:
    tenant = tenants[owner.tenant]
    agent = None if tenant is None else tenant.agent(owner.name)
    return agent is not None and (agent.password_sha256 or "") == owner.credential


def _owner(request: web.Request, desk: Desk) -> Owner:
    """The credential of the request.

    Raises:
        Stop: there is none that is good; or a browser sends it for another site's page.
    """
    asker = authenticate(request, desk)
    if is_of_another_site(request):
        raise Stop(StatusCode.FORBIDDEN, "Pages of another site are not served")
    return Owner(asker.tenant.id, asker.agent_id, asker.agent.password_sha256 or "")
