"""The shape of the tenants file. Fields it does not know are refused, with their place."""

from hashlib import sha256
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import replace

from shared.contracts import limits
from shared.contracts.calls import WrapUpMode, WrapUpRules
from shared.contracts.tenants import (
    Agent,
    Code,
    Credential,
    RateLimits,
    Rates,
    Source,
    Tenant,
)

Text = Annotated[
    str, Meta(min_length=1, max_length=limits.TEXT_CHARS_MAX, pattern=r"^[^\x00-\x1f]+$")
]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", max_length=64)]
Origin = Annotated[
    str,
    Meta(
        pattern=r"^https?://([a-z0-9.-]{1,253}|\[[0-9a-f:]{2,39}\])(:[0-9]{1,5})?$", max_length=280
    ),
]
Rate = Annotated[int, Meta(ge=1, le=limits.RATE_MAX)]
UserDataKey = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_ :-]{0,127}$")]


class _Form(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Common settings."""


class CodeForm(_Form, frozen=True):
    """A code, or a folder of codes."""

    code: Text
    id: Number | None = None
    label: Text | None = None
    needs_callback: bool = False
    children: tuple["CodeForm", ...] = ()

    def read(self) -> Code:
        """As the product knows it."""
        return Code(
            code=self.code,
            id=self.id,
            label=self.label,
            needs_callback=self.needs_callback,
            children=tuple(child.read() for child in self.children),
        )


class AgentForm(_Form, frozen=True):
    """An agent; `password` in clear only in a demo tenant."""

    agent_id: Text
    user_id: Number | None = None
    name: Text | None = None
    password: Text | None = None
    password_sha256: Sha256 | None = None

    def read(self, *, demo: bool) -> Agent:
        """As the product knows it."""
        return Agent(
            agent_id=self.agent_id,
            user_id=self.user_id,
            name=self.name,
            password_sha256=_digest(
                f"agent {self.agent_id}", self.password, self.password_sha256, demo=demo
            ),
        )


class CredentialForm(_Form, frozen=True):
    """A key: `sha256` of its secret, or `secret` in clear in a demo tenant."""

    id: Text
    kind: Literal["bearer", "ozonetel", "basic", "carecycle", "zipteams"]
    scopes: tuple[Literal["disposition:write", "events:write", "read", "admin"], ...]
    name: Text | None = None
    secret: Text | None = None
    sha256: Sha256 | None = None

    def read(self, *, demo: bool) -> Credential:
        """As the product knows it."""
        digest = _digest(f"credential {self.id}", self.secret, self.sha256, demo=demo)
        if digest is None:
            raise ValueError(f"credential {self.id}: a sha256 is missing")
        return Credential(
            id=self.id, sha256=digest, kind=self.kind, name=self.name, scopes=self.scopes
        )


class SourceForm(_Form, frozen=True):
    """A switch to connect to."""

    kind: Literal["kamailio"]
    host: Text
    port: Annotated[int, Meta(ge=1, le=65535)]
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,16}$", max_length=16)] = "kam"
    dialogs: Annotated[str, Meta(pattern=r"^https?://[^\s\x00-\x1f]+$")] | None = None

    def read(self) -> Source:
        """As the product knows it."""
        return Source(
            kind=self.kind, host=self.host, port=self.port, name=self.name, dialogs=self.dialogs
        )


class WrapUpForm(_Form, frozen=True):
    """The rules of wrap-up."""

    seconds: Annotated[int, Meta(ge=0, le=limits.WRAP_UP_S_MAX)] = 30
    mode: WrapUpMode = WrapUpMode.OPTIONAL
    timeout_code: Text | None = None


class RatesForm(_Form, frozen=True):
    """Requests a minute, tokens an hour; null: any number. What is left out stays as it was."""

    native: Rate | UnsetType | None = UNSET
    events: Rate | UnsetType | None = UNSET
    genesys: Rate | UnsetType | None = UNSET
    ozonetel: Rate | UnsetType | None = UNSET
    ozonetel_tokens: Rate | UnsetType | None = UNSET
    vcc_live: Rate | UnsetType | None = UNSET
    carecycle: Rate | UnsetType | None = UNSET
    zipteams: Rate | UnsetType | None = UNSET

    def read(self, otherwise: Rates) -> Rates:
        """As the product knows it."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        said = {name: rate for name, rate in given.items() if rate is not UNSET}
        return replace(otherwise, **said)


class RateLimitsForm(_Form, frozen=True):
    """Of each credential, and of the tenant as a whole."""

    credential: RatesForm = field(default_factory=RatesForm)
    tenant: RatesForm = field(default_factory=RatesForm)

    def read(self) -> RateLimits:
        """As the product knows it."""
        by_default = RateLimits()
        return RateLimits(
            credential=self.credential.read(by_default.credential),
            tenant=self.tenant.read(by_default.tenant),
        )


class TenantForm(_Form, frozen=True):
    """A tenant; see `shared.contracts.tenants.Tenant` for what the fields mean."""

    id: Text
    codes: tuple[CodeForm, ...]
    name: str = ""
    demo: bool = False
    disposition_key: UserDataKey = "DispositionCode"
    wrap_up: WrapUpForm = field(default_factory=WrapUpForm)
    corrections: bool = True
    late_dispositions: bool = True
    ozonetel_auth: Literal["token", "basic"] = "token"
    ozonetel_late: bool = False
    ozonetel_pause_default: bool = False
    time_zone: Text = "UTC"
    project_ids: tuple[Text, ...] = ()
    project_time_zones: dict[Text, Text] = field(default_factory=dict)
    campaign_ids: tuple[Text, ...] = ()
    subtenant_ids: tuple[Text, ...] = ()
    agents: tuple[AgentForm, ...] = ()
    credentials: tuple[CredentialForm, ...] = ()
    sources: tuple[SourceForm, ...] = ()
    toolbar_origins: tuple[Origin, ...] = ()
    rate_limits: RateLimitsForm = field(default_factory=RateLimitsForm)

    def tenant(self) -> Tenant:
        """As the product knows it.

        Raises:
            ValueError: a secret in clear outside a demo tenant, or both forms of one.
        """
        return Tenant(
            id=self.id,
            name=self.name,
            demo=self.demo,
            disposition_key=self.disposition_key,
            wrap_up=WrapUpRules(
                seconds=self.wrap_up.seconds,
                mode=self.wrap_up.mode,
                timeout_code=self.wrap_up.timeout_code,
                disposition_key=self.disposition_key,
            ),
            corrections=self.corrections,
            late_dispositions=self.late_dispositions,
            ozonetel_auth=self.ozonetel_auth,
            ozonetel_late=self.ozonetel_late,
            ozonetel_pause_default=self.ozonetel_pause_default,
            time_zone=self.time_zone,
            project_ids=self.project_ids,
            project_time_zones=self.project_time_zones,
            campaign_ids=self.campaign_ids,
            subtenant_ids=self.subtenant_ids,
            agents=tuple(agent.read(demo=self.demo) for agent in self.agents),
            codes=tuple(code.read() for code in self.codes),
            credentials=tuple(key.read(demo=self.demo) for key in self.credentials),
            sources=tuple(source.read() for source in self.sources),
            toolbar_origins=self.toolbar_origins,
            rate_limits=self.rate_limits.read(),
        )


class FileForm(_Form, frozen=True):
    """The whole file."""

    tenants: Annotated[tuple[TenantForm, ...], Meta(min_length=1)]


def _digest(what: str, secret: str | None, digest: str | None, *, demo: bool) -> str | None:
    if secret is None:
        return digest
    if digest is not None:
        raise ValueError(f"{what}: its secret stands twice, in clear and as sha256")
    if not demo:
        raise ValueError(f"{what}: a secret in clear belongs into a demo tenant, only")
    return sha256(secret.encode()).hexdigest()
