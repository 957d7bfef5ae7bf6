"""A record as the vendor shows it: its calls, its data, and every disposition it has had."""

from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.gateway.dialects.vcc_live.asker import Project
from services.gateway.subject_desk import SubjectView
from shared.contracts.calls import Call
from shared.contracts.subjects import Status
from shared.contracts.tenants import Tenant

_WRITTEN: Final = "%Y-%m-%d %H:%M:%S"


def record_json(view: SubjectView, project: Project) -> dict[str, Any]:
    """`act_status` and what goes with it, then `cdrs`, `contacts`, `data`, `events`."""
    document = view.document
    kept = () if document.status is None else (document.status,)
    events = [_event(status, project) for status in (*document.earlier, *kept)]
    newest = events[-1] if events else {}
    return {
        "numberid": view.subject.id,
        "projectid": project.id,
        "act_status": newest.get("dispositionid"),
        "disposition": newest.get("disposition"),
        "pref_userid": newest.get("userid"),
        "next_calldate": newest.get("next_calldate"),
        "in_call": view.in_call,
        "cdrs": [_cdr(call, project) for call in view.calls],
        "contacts": [],
        "data": dict(document.data),
        "events": events,
    }


def _event(status: Status, project: Project) -> dict[str, Any]:
    code = None if status.code is None else project.tenant.code(status.code)
    origin = status.origin
    return {
        "dispositionid": None if code is None else code.id,
        "disposition": status.code,
        "userid": user_of(status, project.tenant),
        "description": status.comment,
        "next_calldate": _written(status.callback_ms, project),
        "create_time": _written(status.decided_ms, project),
        "uuid": None if origin is None else origin.call_id,
    }


def _cdr(call: Call, project: Project) -> dict[str, Any]:
    return {
        "uuid": call.id,
        "state": str(call.phase),
        "create_time": _written(call.created_ms, project),
    }


def user_of(status: Status, tenant: Tenant) -> int | None:
    """Whom a disposition is linked to: the user it was given, else the agent of its call."""
    if status.user_id is not None:
        return int(status.user_id) if status.user_id.isdigit() else None
    agent = None if status.origin is None else tenant.agent(status.origin.agent_id)
    return None if agent is None else agent.user_id


def _written(instant_ms: int | None, project: Project) -> str | None:
    """A time by the clock on the project's wall."""
    if instant_ms is None:
        return None
    zone = ZoneInfo(project.tenant.zone_of(project.id))
    moment = datetime.fromtimestamp(instant_ms / 1000, UTC).astimezone(zone)
    return moment.strftime(_WRITTEN)
