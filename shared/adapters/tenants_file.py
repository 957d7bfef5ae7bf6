"""Tenants from a YAML file: agents, codes, rules and credentials, checked before they count.

Secrets stand in the file as SHA-256 in hex. A tenant that says `demo: true` may write them in
clear, because everybody knows them; so it is refused where others could reach it.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import yaml

from shared.adapters.tenants_form import FileForm, TenantForm
from shared.contracts.tenant_checks import check_tenant, refuse_twins
from shared.contracts.tenants import Tenant
from shared.runtime.tenants import TenantBook


class FileTenantDirectory(TenantBook):
    """`TenantDirectory` over tenants that were read once.

    Raises:
        ValueError: two credentials open the same door.
    """

    def __init__(self, tenants: Iterable[Tenant]) -> None:
        super().__init__(tenants)
        for one, other in self.twins:
            raise ValueError(
                f"credential {other.credential.id} of {other.tenant.id} opens the same door as "
                f"{one.credential.id} of {one.tenant.id}"
            )


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
        refuse_twins("tenant", (tenant.id for tenant in tenants))
        for tenant in tenants:
            check_tenant(tenant)
    except (msgspec.ValidationError, yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    return tenants


def refuse_demo(tenants: Iterable[Tenant], host: str, *, force: bool = False) -> None:
    """Keep demo tenants off every address that others could reach.

    Raises:
        ValueError: a demo tenant, a host that is not loopback, and nobody forced it.
    """
    if force or is_loopback(host):
        return
    for tenant in tenants:
        if tenant.demo:
            raise ValueError(
                f"tenant {tenant.id} is a demo whose secrets everybody knows: "
                f"it is not served on {host}, only on loopback, "
                "unless AFTERCALL_ALLOW_DEMO=1 says so"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
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
