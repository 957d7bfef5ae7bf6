"""Tenants from a YAML file: agents, codes, rules and credentials, checked before they count.

Secrets stand in the file as SHA-256 in hex. A tenant that says `demo: true` may write them in
clear, because everybody knows them; so it is refused where others could reach it.
"""

import hmac
from collections.abc import Iterable, Iterator
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import yaml

from shared.adapters.tenants_form import FileForm, TenantForm
from shared.contracts.calls import WrapUpMode
from shared.contracts.ids import is_id, is_tenant_id
from shared.contracts.tenants import Code, Credential, Tenant
from shared.contracts.values import check_json
from shared.runtime.tenants import Found

AGENT_SCOPES: Final = ("disposition:write", "read")


class FileTenantDirectory:
    """`TenantDirectory` over tenants that were read once."""

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        self._tenants = {tenant.id: tenant for tenant in tenants}
        self._doors: dict[tuple[str, bytes, bytes], Found] = {}
        for tenant in self._tenants.values():
            for credential in (*tenant.credentials, *_of_agents(tenant)):
                door = _door(credential)
                if door in self._doors:
                    raise ValueError(
                        f"credential {credential.id} of {tenant.id} opens the same door as "
                        f"{self._doors[door].credential.id} of {self._doors[door].tenant.id}"
                    )
                self._doors[door] = Found(tenant, credential)

    def get(self, tenant_id: str) -> Tenant | None:
        """The tenant of this id, if any."""
        return self._tenants.get(tenant_id)

    def find(self, kind: str, secret: bytes, name: str | None = None) -> Found | None:
        """Whom the secret belongs to.

        Found by its digest: that takes as long for an unknown secret as for a known one, and
        what a nearly right secret could tell is nothing, for its digest is another.
        """
        digest = sha256(secret).digest()
        found = self._doors.get((kind, (name or "").encode(errors="replace"), digest))
        expected = digest if found is None else bytes.fromhex(found.credential.sha256)
        return found if hmac.compare_digest(digest, expected) else None

    def all(self) -> tuple[Tenant, ...]:
        """Every tenant."""
        return tuple(self._tenants.values())


def read_tenants(path: Path, *, demo_wrap_up_s: int | None = None) -> tuple[Tenant, ...]:
    """The tenants of a file.

    Args:
        path: the file.
        demo_wrap_up_s: overrides `wrap_up.seconds` of demo tenants.

    Raises:
        ValueError: with the place in the file and one sentence on what is wrong there.
        OSError: the file can't be read.
    """
    try:
        document = yaml.load(path.read_text("utf-8"), Loader=_StrictLoader)  # noqa: S506 - safe
        form = msgspec.convert(document, FileForm, strict=True)
        tenants = tuple(_tenant(given, demo_wrap_up_s) for given in form.tenants)
        _refuse_twins("tenant", (tenant.id for tenant in tenants))
        for tenant in tenants:
            _check(tenant)
    except (msgspec.ValidationError, yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    return tenants


def refuse_demo(tenants: Iterable[Tenant], host: str, *, force: bool = False) -> None:
    """Keep demo tenants off every address that others could reach.

    Raises:
        ValueError: a demo tenant, a host that is not loopback, and nobody forced it.
    """
    if force or _is_loopback(host):
        return
    for tenant in tenants:
        if tenant.demo:
            raise ValueError(
                f"tenant {tenant.id} is a demo whose secrets everybody knows: "
                f"it is not served on {host}, only on loopback, "
                "unless AFTERCALL_ALLOW_DEMO=1 says so"
            )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class _StrictLoader(yaml.SafeLoader):
    """`SafeLoader` that refuses a key standing twice, instead of taking the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - yaml's own signature
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"line {node.start_mark.line + 1}: {key} stands twice")
        return super().construct_mapping(node, deep=deep)


def _tenant(form: TenantForm, demo_wrap_up_s: int | None) -> Tenant:
    tenant = form.tenant()
    if not tenant.demo or demo_wrap_up_s is None:
        return tenant
    rules = msgspec.structs.replace(tenant.wrap_up, seconds=demo_wrap_up_s)
    return msgspec.structs.replace(tenant, wrap_up=rules)


def _check(tenant: Tenant) -> None:
    """What the shape of the file can't say."""
    where = f"tenant {tenant.id}"
    if not is_tenant_id(tenant.id):
        raise ValueError(f"{where}: not a tenant id")
    for agent in tenant.agents:
        if not is_id(agent.agent_id):
            raise ValueError(f"{where}: agent {agent.agent_id}: not an id")
    for named in ("project_ids", "campaign_ids", "subtenant_ids"):
        for one in getattr(tenant, named):
            if not is_id(one):
                raise ValueError(f"{where}: {named}: {one}: not an id")
    _refuse_twins(f"{where}: agent", (agent.agent_id for agent in tenant.agents))
    _refuse_twins(f"{where}: user id", (agent.user_id for agent in tenant.agents))
    leaves = list(tenant.leaves())
    _refuse_twins(f"{where}: code", (code.code for code in leaves))
    _refuse_twins(f"{where}: code id", (code.id for code in _every(tenant.codes)))
    _refuse_twins(f"{where}: credential", (credential.id for credential in tenant.credentials))
    check_json({tenant.disposition_key: ""})
    _refuse_twins(f"{where}: source", (source.name for source in tenant.sources))
    _check_wrap_up(tenant, where)
    _check_zone(tenant.time_zone, f"{where}: time_zone")
    for project_id, zone in tenant.project_time_zones.items():
        if project_id not in tenant.project_ids:
            raise ValueError(f"{where}: project_time_zones: {project_id} is no project of it")
        _check_zone(zone, f"{where}: project_time_zones")


def _check_zone(zone: str, where: str) -> None:
    try:
        ZoneInfo(zone)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{where} {zone} is not known") from None


def _check_wrap_up(tenant: Tenant, where: str) -> None:
    rules = tenant.wrap_up
    if (rules.mode is WrapUpMode.TIMEOUT_CODE) != (rules.timeout_code is not None):
        raise ValueError(f"{where}: wrap_up: timeout_code belongs to mode timeout_code, only")
    if rules.timeout_code is not None and tenant.code(rules.timeout_code) is None:
        raise ValueError(f"{where}: wrap_up: timeout_code is not in the catalogue")


def _every(codes: Iterable[Code]) -> Iterator[Code]:
    for code in codes:
        yield code
        yield from _every(code.children)


def _refuse_twins(what: str, values: Iterable[str | int | None]) -> None:
    seen = set()
    for value in values:
        if value is not None and value in seen:
            raise ValueError(f"{what} {value} stands twice")
        seen.add(value)


def _of_agents(tenant: Tenant) -> Iterator[Credential]:
    """The agents' own passwords are credentials too, of the dialect that knows them."""
    for agent in tenant.agents:
        if agent.password_sha256 is not None:
            yield Credential(
                id=f"agent:{agent.agent_id}",
                sha256=agent.password_sha256,
                kind="genesys",
                name=agent.agent_id,
                scopes=AGENT_SCOPES,
            )


def _door(credential: Credential) -> tuple[str, bytes, bytes]:
    name = (credential.name or "").encode()
    return credential.kind, name, bytes.fromhex(credential.sha256)
