"""Who asks: the agent behind HTTP Basic, and where it reaches us."""

import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from services.gateway.desk import Desk
from services.gateway.dialects.exchange import secret_header
from services.gateway.dialects.genesys.answers import StatusCode, Stop
from shared.contracts.tenants import Agent, Tenant

KIND: Final = "genesys"  # of the credentials that open this door: the agents' own

_host_matches: Final = re.compile(
    r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?"
).fullmatch


@dataclass(frozen=True, slots=True)
class Asker:
    """The agent who asks, and the tenant that the agent's password belongs to."""

    tenant: Tenant
    agent: Agent

    @property
    def agent_id(self) -> str:
        """Of the agent."""
        return self.agent.agent_id


def authenticate(request: web.Request, desk: Desk) -> Asker:
    """The agent behind HTTP Basic: `agent-1:password`, or `tenant/agent-1:password`.

    Raises:
        Stop: 20, whatever is wrong with it.
    """
    denied = Stop(StatusCode.NOT_AUTHENTICATED, "Access denied")
    scheme, _, sent = secret_header(request, hdrs.AUTHORIZATION).partition(b" ")
    try:
        name, colon, password = b64decode(sent.strip(), validate=True).partition(b":")
        tenant_id, slash, agent_id = name.decode().rpartition("/")
    except ValueError:
        raise denied from None
    if scheme.lower() != b"basic" or not colon:
        raise denied
    found = desk.tenants.find(KIND, password, agent_id)
    if found is None or (slash and found.tenant.id != tenant_id):
        raise denied
    agent = found.tenant.agent(agent_id)
    if agent is None:
        raise denied
    return Asker(found.tenant, agent)


async def admit(request: web.Request, desk: Desk) -> Asker:
    """The same, if the agent does not ask too often; what CometD sends has bounds of its own.

    Raises:
        Stop: as `authenticate`.
        TooMany: not so often.
    """
    asker = authenticate(request, desk)
    await desk.rates.count("genesys", asker.tenant, asker.agent_id)
    return asker


def base_url_of(request: web.Request) -> str:
    """Where the client reaches us, as it says itself; no host that is not one gets into a body."""
    host = request.host if _host_matches(request.host) else "localhost"
    return f"{request.scheme}://{host}"
