"""What a route changes: the overlay before in, the overlay after out, or a refusal. Pure.

Whether the tenant that comes of it holds is checked by `shared.contracts.tenant_checks`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from shared.contracts.calls import WrapUpMode, WrapUpRules
from shared.contracts.errors import Refused
from shared.contracts.overlays import (
    CodeEntry,
    Overlay,
    Project,
    Settings,
    below,
    entries_of,
    keys_of,
)
from shared.contracts.tenants import Agent, Credential, Tenant

REVOKED_KEPT_MAX: Final = 200  # of those that the file has not: these it would bring back
CONFLICT: Final = "conflict"
NAMED_KINDS: Final = ("ozonetel", "basic", "zipteams")

Value = TypeVar("Value")


class Seen(Struct, frozen=True):
    """A tenant as a change finds it.

    Attributes:
        base: as the file has it, if it does.
        tenant: as it is; None: there is none.
    """

    base: Tenant | None
    overlay: Overlay
    tenant: Tenant | None
    version: int
    now_ms: int

    @property
    def there(self) -> Tenant:
        """The tenant.

        Raises:
            Refused: there is none.
        """
        if self.tenant is None:
            raise Refused("not_found", "no such tenant")
        return self.tenant


Change = Callable[[Seen], Overlay]


class Secret(Struct, frozen=True):
    """A secret that was just made, by its digest; who made it shows it."""

    sha256: str


def make_tenant(seen: Seen) -> Overlay:
    """There is such a tenant from here on, if there was none."""
    return seen.overlay if seen.tenant is not None else Overlay(made=True)


def set_settings(seen: Seen, given: Mapping[str, Any], *, whole: bool) -> Overlay:
    """Set the fields that are given; `whole`: the others are as the file has them."""
    tenant = seen.there
    fields = dict(given)
    if "wrap_up" in fields:
        rules = fields["wrap_up"]
        fields["wrap_up"] = WrapUpRules(
            seconds=rules["seconds"],
            mode=WrapUpMode(rules["mode"]),
            timeout_code=rules["timeout_code"],
            disposition_key=fields.get("disposition_key", tenant.disposition_key),
        )
    before = Settings() if whole else seen.overlay.settings
    return replace(seen.overlay, settings=replace(before, **fields))


def remove_tenant(seen: Seen) -> Overlay:
    """There is none any more; the file's own stay."""
    if seen.base is not None:
        raise Refused(CONFLICT, "it stands in the tenants file: take it out there")
    return Overlay()


def put_agent(seen: Seen, agent_id: str, given: Mapping[str, Any], digest: str | None) -> Overlay:
    """An agent; `digest` is of the password where one is given, else it stays."""
    standing = seen.there.agent(agent_id)
    if "password" not in given and standing is not None:
        digest = standing.password_sha256
    agent = Agent(
        agent_id=agent_id,
        user_id=given.get("user_id"),
        name=given.get("name"),
        password_sha256=digest,
    )
    return replace(seen.overlay, agents={**seen.overlay.agents, agent_id: agent})


def remove_agent(seen: Seen, agent_id: str) -> Overlay:
    """No such agent any more."""
    known = {agent.agent_id for agent in seen.there.agents}
    if agent_id not in known:
        return seen.overlay
    in_file = seen.base is not None and seen.base.agent(agent_id) is not None
    return replace(
        seen.overlay, agents=_without(seen.overlay.agents, agent_id, None, in_file=in_file)
    )


def put_code(seen: Seen, code: str, given: Mapping[str, Any]) -> Overlay:
    """A code; what stands in it stays there."""
    tenant = seen.there
    folder = given.get("folder")
    if folder is not None and (folder == code or folder in below(tenant.codes, code)):
        raise Refused("validation", f"code {code}: it can't stand in itself")
    entry = CodeEntry(
        id=given.get("id"),
        label=given.get("label"),
        needs_callback=given.get("needs_callback", False),
        folder=folder,
    )
    return replace(seen.overlay, codes={**seen.overlay.codes, code: entry})


def remove_code(seen: Seen, code: str) -> Overlay:
    """No such code any more, nor what stands in it."""
    tenant = seen.there
    if code not in dict(entries_of(tenant.codes)):
        return seen.overlay
    in_file = dict(entries_of(() if seen.base is None else seen.base.codes))
    codes: Mapping[str, CodeEntry | None] = seen.overlay.codes
    for one in (code, *sorted(below(tenant.codes, code))):
        codes = _without(codes, one, None, in_file=one in in_file)
    return replace(seen.overlay, codes=dict(codes))


def put_project(seen: Seen, project_id: str, given: Mapping[str, Any]) -> Overlay:
    """A project."""
    project = Project(time_zone=given.get("time_zone"))
    return replace(seen.overlay, projects={**seen.overlay.projects, project_id: project})


def remove_project(seen: Seen, project_id: str) -> Overlay:
    """No such project any more; its records stay as they are."""
    if project_id not in seen.there.project_ids:
        return seen.overlay
    in_file = seen.base is not None and project_id in seen.base.project_ids
    return replace(
        seen.overlay, projects=_without(seen.overlay.projects, project_id, None, in_file=in_file)
    )


def put_campaign(seen: Seen, campaign_id: str) -> Overlay:
    """A campaign."""
    return replace(seen.overlay, campaigns={**seen.overlay.campaigns, campaign_id: True})


def remove_campaign(seen: Seen, campaign_id: str) -> Overlay:
    """No such campaign any more; its enrolments stay as they are."""
    if campaign_id not in seen.there.campaign_ids:
        return seen.overlay
    in_file = seen.base is not None and campaign_id in seen.base.campaign_ids
    campaigns = _without(seen.overlay.campaigns, campaign_id, False, in_file=in_file)  # noqa: FBT003 - the value of the item
    return replace(seen.overlay, campaigns=campaigns)


def put_subtenant(seen: Seen, subtenant_id: str) -> Overlay:
    """A subtenant, behind those that there are."""
    return replace(seen.overlay, subtenants={**seen.overlay.subtenants, subtenant_id: True})


def remove_subtenant(seen: Seen, subtenant_id: str) -> Overlay:
    """No such subtenant any more; but the first stays.

    Customers of the first are named without their subtenant: those of the next would take them for
    their own.
    """
    there = seen.there.subtenant_ids
    if subtenant_id not in there:
        return seen.overlay
    if subtenant_id == there[0]:
        raise Refused(CONFLICT, "it is the first subtenant, whose customers all dialects know")
    in_file = seen.base is not None and subtenant_id in seen.base.subtenant_ids
    subtenants = _without(seen.overlay.subtenants, subtenant_id, False, in_file=in_file)  # noqa: FBT003 - the value of the item
    return replace(seen.overlay, subtenants=subtenants)


def key_of(seen: Seen, key_id: str) -> Credential | None:
    """The credential of this id, be it revoked or not."""
    for key in keys_of(seen.base, seen.overlay):
        if key.id == key_id:
            return key
    return None


def make_key(seen: Seen, key: Credential) -> Overlay:
    """A new key."""
    if key_of(seen, key.id) is not None:
        raise Refused(CONFLICT, "there is a key of this id, or there was")
    return _with_key(seen, key)


def check_name(kind: str, name: str | None) -> None:
    """Refuse a key that could open nothing.

    Raises:
        Refused: its kind needs a name, or has none.
    """
    if kind in NAMED_KINDS and name is None:
        raise Refused("validation", f"name: kind {kind} needs one")
    if kind not in NAMED_KINDS and name is not None:
        raise Refused("validation", f"name: kind {kind} has none")


def change_key(
    seen: Seen, key_id: str, kind: str, name: str | None, scopes: tuple[str, ...]
) -> Overlay:
    """Another name or other scopes of a key; its secret stays."""
    key = _live(seen, key_id)
    if kind != key.kind:
        raise Refused(CONFLICT, f"kind: it is {key.kind} for good")
    changed = replace(key, name=key.name if name is None else name, scopes=scopes)
    return seen.overlay if changed == key else _with_key(seen, changed)


def rotate_key(
    seen: Seen, key_id: str, secret: Secret, grace_s: int, ends: Literal["older", "newer"] | None
) -> Overlay:
    """A new secret; the one so far stays good for a while. Never are more than two."""
    key = _live(seen, key_id)
    until_ms = seen.now_ms + grace_s * 1000
    stays: str | None = key.sha256
    if _two_live(key, seen.now_ms):
        if ends is None:
            raise Refused(CONFLICT, "two secrets are live: say which ends now, `older` or `newer`")
        if ends == "newer":  # whose answer was lost, say: then the older goes on as it was
            stays, until_ms = key.older_sha256, min(until_ms, key.older_until_ms or until_ms)
    if grace_s == 0:
        stays = None
    rotated = replace(
        key,
        sha256=secret.sha256,
        older_sha256=stays,
        older_until_ms=None if stays is None else until_ms,
    )
    return _with_key(seen, rotated)


def revoke_key(seen: Seen, key_id: str) -> Overlay:
    """A key that opens nothing any more, for good. It stays listed."""
    key = key_of(seen, key_id)
    if key is None or key.revoked_ms is not None:
        return seen.overlay
    revoked = replace(key, older_sha256=None, older_until_ms=None, revoked_ms=seen.now_ms)
    overlay = _with_key(seen, revoked)
    in_file = {one.id for one in ([] if seen.base is None else seen.base.credentials)}
    kept = sorted(
        (one.revoked_ms, one.id)
        for one in overlay.credentials.values()
        if one.revoked_ms is not None and one.id not in in_file
    )
    forgotten = {one for _, one in kept[:-REVOKED_KEPT_MAX]}
    keys = {id_: one for id_, one in overlay.credentials.items() if id_ not in forgotten}
    return replace(overlay, credentials=keys)


def _live(seen: Seen, key_id: str) -> Credential:
    key = key_of(seen, key_id)
    if key is None:
        raise Refused("not_found", "no such key")
    if key.revoked_ms is not None:
        raise Refused(CONFLICT, "it was revoked")
    return key


def _two_live(key: Credential, now_ms: int) -> bool:
    return key.older_until_ms is not None and key.older_until_ms > now_ms


def _with_key(seen: Seen, key: Credential) -> Overlay:
    return replace(seen.overlay, credentials={**seen.overlay.credentials, key.id: key})


def _without(
    changes: Mapping[str, Value], name: str, gone: Value, *, in_file: bool
) -> dict[str, Value]:
    """The changes by which an item is not there; one that the file has must be named as gone."""
    rest = {one: value for one, value in changes.items() if one != name}
    return {**rest, name: gone} if in_file else rest
