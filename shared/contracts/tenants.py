"""Tenants: agents, codes, rules and credentials, as the tenants file and the store give them."""

from collections.abc import Iterator

from msgspec import Struct, field

from shared.contracts.calls import WrapUpRules


class Code(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A disposition code. A code with children is a folder: it can't be chosen itself.

    Attributes:
        id: the number older dialects use.
        needs_callback: it is refused without a callback time.
    """

    code: str
    id: int | None = None
    label: str | None = None
    needs_callback: bool = False
    children: tuple["Code", ...] = ()


class Agent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent. `user_id` is the number older dialects use; `password_sha256` is in hex."""

    agent_id: str
    user_id: int | None = None
    name: str | None = None
    password_sha256: str | None = None


class Credential(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One key. Only the SHA-256 of the secret is known here.

    Attributes:
        kind: `bearer`, `ozonetel`, `basic`, `carecycle`, `zipteams`: a key opens one door only.
            `genesys` is made of each agent that has a password: the name is the agent id.
        name: the user name that goes with the key, where the dialect has one; of `zipteams` the
            API key, whose secret is the other half.
        scopes: `disposition:write`, `events:write`, `read`, `admin`.
        created_ms: when it was made by a route; unknown of those in the file.
        older_sha256: of the secret that the newest has replaced, good until `older_until_ms`.
        revoked_ms: since when it opens nothing; it is kept to be listed.
    """

    id: str
    sha256: str
    kind: str = "bearer"
    name: str | None = None
    scopes: tuple[str, ...] = ()
    created_ms: int | None = None
    older_sha256: str | None = None
    older_until_ms: int | None = None
    revoked_ms: int | None = None


class Source(Struct, frozen=True, kw_only=True):
    """A switch of the tenant that is listened to.

    Attributes:
        kind: `kamailio`.
        host, port: where it tells what happens (evapi).
        name: starts the ids of its calls; two switches of one tenant need two names.
        dialogs: URL of its live dialogs; without one, what was missed stays missed.
    """

    host: str
    port: int
    kind: str = "kamailio"
    name: str = "kam"
    dialogs: str | None = None


class Rates(Struct, frozen=True, kw_only=True):
    """How many requests of each dialect in a minute, and tokens in an hour; None: any number.

    Attributes:
        native: `/v1/...` but for `POST /v1/events`, which is `events`.
        genesys: without CometD, whose bounds are others.
    """

    native: int | None = None
    events: int | None = None
    genesys: int | None = None
    ozonetel: int | None = None
    ozonetel_tokens: int | None = None
    vcc_live: int | None = None
    carecycle: int | None = None
    zipteams: int | None = None


class RateLimits(Struct, frozen=True, kw_only=True):
    """What each credential may do, by default as the vendors have it, and its whole tenant."""

    credential: Rates = Rates(ozonetel_tokens=10, carecycle=60, zipteams=120)
    tenant: Rates = Rates()


class Tenant(Struct, frozen=True, kw_only=True):
    """A centre: everything that belongs to it starts with its id.

    Attributes:
        corrections: a second disposition in wrap-up corrects the first (native API).
        ozonetel_auth: `token` or `basic` (the account setting "API Authentication").
        ozonetel_late: a disposition after wrap-up is taken, as a user event, not refused.
        ozonetel_pause_default: an absent `pauseAfterDispose` means true.
        time_zone: of times that a dialect writes without an offset.
        project_time_zones: of projects whose wall clock is not the tenant's.
        rate_limits: how often its credentials may ask, each and together.
        project_ids, campaign_ids, subtenant_ids: what older dialects name; others are refused.
        toolbar_origins: of pages that may hold toolbar tokens, as browsers write them.
        sources: switches to connect to; one that posts its events itself needs no entry.
    """

    id: str
    name: str = ""
    demo: bool = False
    disposition_key: str = "DispositionCode"
    wrap_up: WrapUpRules = field(default_factory=WrapUpRules)
    corrections: bool = True
    late_dispositions: bool = True
    ozonetel_auth: str = "token"
    ozonetel_late: bool = False
    ozonetel_pause_default: bool = False
    time_zone: str = "UTC"
    project_ids: tuple[str, ...] = ()
    project_time_zones: dict[str, str] = field(default_factory=dict)
    campaign_ids: tuple[str, ...] = ()
    subtenant_ids: tuple[str, ...] = ()
    agents: tuple[Agent, ...] = ()
    codes: tuple[Code, ...] = ()
    credentials: tuple[Credential, ...] = ()
    sources: tuple[Source, ...] = ()
    toolbar_origins: tuple[str, ...] = ()
    rate_limits: RateLimits = RateLimits()

    def agent(self, agent_id: str) -> Agent | None:
        """The agent of this id, if any."""
        for agent in self.agents:
            if agent.agent_id == agent_id:
                return agent
        return None

    def zone_of(self, project_id: str) -> str:
        """The name of the time zone that times of this project are written in."""
        return self.project_time_zones.get(project_id, self.time_zone)

    def leaves(self) -> Iterator[Code]:
        """The codes that can be chosen, in the order of the catalogue."""
        yield from _leaves(self.codes)

    def code(self, code: str) -> Code | None:
        """The code that can be chosen under this name, if any."""
        for leaf in self.leaves():
            if leaf.code == code:
                return leaf
        return None


def _leaves(codes: tuple[Code, ...]) -> Iterator[Code]:
    for code in codes:
        if code.children:
            yield from _leaves(code.children)
        else:
            yield code
