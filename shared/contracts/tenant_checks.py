"""What must hold of a tenant as a whole, whoever has given it: the file, or an admin route."""

from collections.abc import Iterable, Iterator
from zoneinfo import ZoneInfo

from shared.contracts.calls import WrapUpMode
from shared.contracts.ids import is_id, is_tenant_id
from shared.contracts.tenants import Code, Tenant
from shared.contracts.values import check_json


def check_tenant(tenant: Tenant) -> None:
    """Refuse what the shape alone can't say.

    Raises:
        ValueError: with one sentence on what is wrong, and where.
    """
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
    refuse_twins(f"{where}: agent", (agent.agent_id for agent in tenant.agents))
    refuse_twins(f"{where}: user id", (agent.user_id for agent in tenant.agents))
    leaves = list(tenant.leaves())
    refuse_twins(f"{where}: code", (code.code for code in leaves))
    refuse_twins(f"{where}: code id", (code.id for code in _every(tenant.codes)))
    refuse_twins(f"{where}: credential", (credential.id for credential in tenant.credentials))
    check_json({tenant.disposition_key: ""})
    refuse_twins(f"{where}: source", (source.name for source in tenant.sources))
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


def refuse_twins(what: str, values: Iterable[str | int | None]) -> None:
    """Refuse a value that stands twice; None may.

    Raises:
        ValueError: naming it.
    """
    seen = set()
    for value in values:
        if value is not None and value in seen:
            raise ValueError(f"{what} {value} stands twice")
        seen.add(value)
