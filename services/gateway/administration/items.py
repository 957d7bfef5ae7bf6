"""What belongs to a tenant: agents, codes, projects, campaigns, subtenants; four routes each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, create_model

from services.gateway.administration import changes, models
from services.gateway.administration.changes import Seen
from services.gateway.administration.requests import (
    CHANGES,
    READS,
    changed,
    given,
    gone,
    newest,
    nothing,
    page,
    read,
    told,
)
from services.gateway.administration.tenants import PATH
from services.gateway.desk import Desk
from services.gateway.problems import Invalid
from services.gateway.queries import CURSOR, LIMIT
from services.gateway.route import Body, Handler, Route
from shared.contracts.limits import TEXT_CHARS_MAX
from shared.contracts.overlays import Overlay, entries_of
from shared.contracts.tenants import Tenant

Rows = dict[str, dict[str, Any]]
Put = Callable[[Seen, str, Mapping[str, Any]], Overlay]
Remove = Callable[[Seen, str], Overlay]


@dataclass(frozen=True, slots=True)
class Items:
    """One kind of them.

    Attributes:
        many, one: their names.
        part: of the path, as aiohttp's router writes it.
        view: as they are shown, by id.
    """

    many: str
    one: str
    body: type[BaseModel]
    model: type[BaseModel]
    view: Callable[[Tenant], Rows]
    put: Put
    remove: Remove
    part: str = "{id}"


def _agents(tenant: Tenant) -> Rows:
    return {
        agent.agent_id: {
            "agent_id": agent.agent_id,
            "user_id": agent.user_id,
            "name": agent.name,
            "has_password": agent.password_sha256 is not None,
        }
        for agent in tenant.agents
    }


def _codes(tenant: Tenant) -> Rows:
    entries = list(entries_of(tenant.codes))
    folders = {entry.folder for _, entry in entries}
    return {
        code: {
            "code": code,
            "id": entry.id,
            "label": entry.label,
            "needs_callback": entry.needs_callback,
            "folder": entry.folder,
            "is_folder": code in folders,
        }
        for code, entry in entries
    }


def _projects(tenant: Tenant) -> Rows:
    zones = tenant.project_time_zones
    return {one: {"project_id": one, "time_zone": zones.get(one)} for one in tenant.project_ids}


def _campaigns(tenant: Tenant) -> Rows:
    return {one: {"campaign_id": one} for one in tenant.campaign_ids}


def _subtenants(tenant: Tenant) -> Rows:
    return {one: {"subtenant_id": one} for one in tenant.subtenant_ids}


def _put_agent(seen: Seen, agent_id: str, fields: Mapping[str, Any]) -> Overlay:
    password = fields.get("password")
    digest = None if password is None else sha256(password.encode()).hexdigest()
    return changes.put_agent(seen, agent_id, fields, digest)


def _put_campaign(seen: Seen, campaign_id: str, _: Mapping[str, Any]) -> Overlay:
    return changes.put_campaign(seen, campaign_id)


def _put_subtenant(seen: Seen, subtenant_id: str, _: Mapping[str, Any]) -> Overlay:
    return changes.put_subtenant(seen, subtenant_id)


# fmt: off
KINDS: Final = (
    Items("agents", "agent", models.AgentBody, models.AgentView, _agents,
          _put_agent, changes.remove_agent),
    Items("codes", "code", models.CodeBody, models.CodeView, _codes,
          changes.put_code, changes.remove_code, part="{id:[^/]+}"),
    Items("projects", "project", models.ProjectBody, models.ProjectView, _projects,
          changes.put_project, changes.remove_project),
    Items("campaigns", "campaign", models.NothingBody, models.CampaignView, _campaigns,
          _put_campaign, changes.remove_campaign),
    Items("subtenants", "subtenant", models.NothingBody, models.SubtenantView, _subtenants,
          _put_subtenant, changes.remove_subtenant),
)
# fmt: on


def _handlers(kind: Items) -> tuple[Handler, Handler, Handler, Handler]:
    """List, show, put, delete."""

    async def list_all(request: web.Request, _: Desk) -> web.Response:
        return page(request, kind.view((await newest(request)).there))

    async def show(request: web.Request, _: Desk) -> web.Response:
        rows = kind.view((await newest(request)).there)
        name = _name(request)
        if name not in rows:
            raise nothing(kind.one)
        return told(rows[name])

    async def put(request: web.Request, _: Desk) -> web.Response:
        fields, name = given(await read(request, kind.body)), _name(request)
        before, after = await changed(
            request, lambda seen: kind.put(seen, name, fields), f"{kind.one} {name}"
        )
        made = name not in kind.view(before.there)
        return told(kind.view(after.there)[name], made=made)

    async def delete(request: web.Request, _: Desk) -> web.Response:
        name = _name(request)
        await changed(request, lambda seen: kind.remove(seen, name), f"{kind.one} {name}")
        return gone()

    return list_all, show, put, delete


def _routes(kind: Items) -> tuple[Route, ...]:
    list_all, show, put, delete = _handlers(kind)
    path = f"{PATH}/{{tenant}}/{kind.many}"
    item, title = f"{path}/{kind.part}", kind.one.capitalize()
    listed = create_model(f"{title}Page", __base__=models.Page, rows=(list[kind.model], ...))  # type: ignore[name-defined]
    return (
        Route(
            method="GET",
            path=path,
            handler=list_all,
            operation_id=f"list{kind.many.capitalize()}",
            summary=f"A tenant's {kind.many}",
            scope="admin",
            tag=kind.many,
            refuses=READS,
            parameters=(CURSOR, LIMIT),
            responses={200: Body("One page, by id", listed)},
        ),
        Route(
            method="GET",
            path=item,
            handler=show,
            operation_id=f"show{title}",
            summary=f"One {kind.one}",
            scope="admin",
            tag=kind.many,
            refuses=READS,
            responses={200: Body(f"The {kind.one}", kind.model)},
        ),
        Route(
            method="PUT",
            path=item,
            handler=put,
            operation_id=f"put{title}",
            summary=f"Make or replace a {kind.one}",
            scope="admin",
            tag=kind.many,
            refuses=CHANGES,
            request=kind.body,
            may_be_empty=True,
            responses={
                200: Body(f"The {kind.one}", kind.model),
                201: Body(f"The new {kind.one}", kind.model),
            },
        ),
        Route(
            method="DELETE",
            path=item,
            handler=delete,
            operation_id=f"delete{title}",
            summary=f"Remove a {kind.one}; what was said with it stays",
            scope="admin",
            tag=kind.many,
            refuses=CHANGES,
            responses={204: Body("There is none", media_type=None)},
        ),
    )


def _name(request: web.Request) -> str:
    """The id in the path; of a code any text without control characters."""
    name = request.match_info["id"]
    if not (0 < len(name) <= TEXT_CHARS_MAX and name.isprintable()):
        raise Invalid(
            f"the id in the path: 1 to {TEXT_CHARS_MAX} printable characters",
            [{"field": "id", "detail": "breaks its shape"}],
        )
    return name


ROUTES: Final = tuple(route for kind in KINDS for route in _routes(kind))
