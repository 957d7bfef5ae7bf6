"""What admin routes have changed of a tenant, and the tenant that comes of it. Pure.

The tenants file is the base. An overlay holds, by id, what is otherwise than in the file: its
value, or None where it was removed. So the file may still change below it, and what no route has
touched follows the file.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import asdict, replace

from shared.contracts.calls import WrapUpRules
from shared.contracts.tenants import Agent, Code, Credential, Tenant

CODES_DEEP_MAX: Final = 16  # a code, and the folders that it is in

Item = TypeVar("Item")


class Settings(Struct, frozen=True, kw_only=True):
    """Fields of a `Tenant` that were set; `UNSET`: as the file has it."""

    name: str | UnsetType = UNSET
    disposition_key: str | UnsetType = UNSET
    wrap_up: WrapUpRules | UnsetType = UNSET
    corrections: bool | UnsetType = UNSET
    late_dispositions: bool | UnsetType = UNSET
    ozonetel_auth: str | UnsetType = UNSET
    ozonetel_late: bool | UnsetType = UNSET
    ozonetel_pause_default: bool | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET


class CodeEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A code without what is in it; `folder`: the code that it stands in, if in one."""

    id: int | None = None
    label: str | None = None
    needs_callback: bool = False
    folder: str | None = None


class Project(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A project. `time_zone`: of its own, where its wall clock is not the tenant's."""

    time_zone: str | None = None


class Overlay(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """See the module.

    Attributes:
        made: the tenant is there though the file does not have it.
        credentials: never removed: one that is revoked is kept, to be listed.
    """

    made: bool = False
    settings: Settings = field(default_factory=Settings)
    agents: dict[str, Agent | None] = field(default_factory=dict)
    codes: dict[str, CodeEntry | None] = field(default_factory=dict)
    projects: dict[str, Project | None] = field(default_factory=dict)
    campaigns: dict[str, bool] = field(default_factory=dict)
    subtenants: dict[str, bool] = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)


def merged(tenant_id: str, base: Tenant | None, overlay: Overlay, now_ms: int) -> Tenant | None:
    """The tenant as it is now; None: there is none.

    Args:
        tenant_id: of both.
        base: as the file has it, if it does.
        overlay: what is otherwise.
        now_ms: secrets whose time is over by then open nothing.

    Raises:
        ValueError: a code stands in a folder that is not there, or in too many.
    """
    if base is None:
        if not overlay.made:
            return None
        base = Tenant(id=tenant_id)
    set_fields = {
        name: value for name, value in asdict(overlay.settings).items() if value is not UNSET
    }
    tenant = replace(base, **set_fields)
    zones = {
        **tenant.project_time_zones,
        **{id_: one.time_zone for id_, one in overlay.projects.items() if one is not None},
    }
    project_ids = _names(
        tenant.project_ids, {id_: one is not None for id_, one in overlay.projects.items()}
    )
    return replace(
        tenant,
        wrap_up=replace(tenant.wrap_up, disposition_key=tenant.disposition_key),
        agents=_items({agent.agent_id: agent for agent in tenant.agents}, overlay.agents),
        codes=_codes(tenant.codes, overlay.codes),
        project_ids=project_ids,
        project_time_zones={
            id_: zone for id_, zone in zones.items() if zone is not None and id_ in project_ids
        },
        campaign_ids=_names(tenant.campaign_ids, overlay.campaigns),
        subtenant_ids=_names(tenant.subtenant_ids, overlay.subtenants),
        credentials=tuple(_live(keys_of(tenant, overlay), now_ms)),
    )


def keys_of(base: Tenant | None, overlay: Overlay) -> tuple[Credential, ...]:
    """Every credential, those too that open nothing any more."""
    given = () if base is None else base.credentials
    return _items({key.id: key for key in given}, overlay.credentials)


def next_expiry_ms(overlay: Overlay, now_ms: int) -> int | None:
    """When the next secret ends by itself, if one will."""
    ends = (key.older_until_ms for key in overlay.credentials.values())
    return min((end for end in ends if end is not None and end > now_ms), default=None)


def entries_of(codes: Iterable[Code], folder: str | None = None) -> Iterator[tuple[str, CodeEntry]]:
    """Every code and folder with its place, as an overlay would write it."""
    for code in codes:
        yield (
            code.code,
            CodeEntry(
                id=code.id, label=code.label, needs_callback=code.needs_callback, folder=folder
            ),
        )
        yield from entries_of(code.children, code.code)


def below(codes: Iterable[Code], name: str) -> set[str]:
    """The names of all that stands in the folder of this name, and in those in it."""
    found: set[str] = set()
    for code in codes:
        inner = {one for one, _ in entries_of(code.children)}
        found |= inner if code.code == name else below(code.children, name)
    return found


def _live(keys: Iterable[Credential], now_ms: int) -> Iterator[Credential]:
    for key in keys:
        if key.revoked_ms is not None:
            continue
        over = key.older_until_ms is not None and key.older_until_ms <= now_ms
        yield replace(key, older_sha256=None, older_until_ms=None) if over else key


def _items(
    given: Mapping[str, Item], changes: Mapping[str, Item] | Mapping[str, Item | None]
) -> tuple[Item, ...]:
    """In the order of the file; what it has not, behind."""
    return tuple(item for item in {**given, **changes}.values() if item is not None)


def _names(given: Iterable[str], changes: Mapping[str, bool]) -> tuple[str, ...]:
    there = {**dict.fromkeys(given, True), **changes}
    return tuple(name for name, is_there in there.items() if is_there)


def _codes(codes: tuple[Code, ...], changes: Mapping[str, CodeEntry | None]) -> tuple[Code, ...]:
    """The tree, with what has changed in place, moved, put in or taken out."""
    if not changes:
        return codes
    placed: set[str] = set()
    moved: dict[str, tuple[Code, ...]] = {}
    tree = tuple(_kept(codes, None, changes, placed, moved))
    waiting = {
        name: (_code(name, entry, moved.get(name, ())), entry.folder)
        for name, entry in changes.items()
        if entry is not None and name not in placed
    }
    while waiting:  # a folder that waits itself comes first
        ready = [
            name for name, (_, folder) in waiting.items() if folder is None or _holds(tree, folder)
        ]
        if not ready:
            name, (_, folder) = next(iter(waiting.items()))
            raise ValueError(f"code {name}: there is no folder {folder}")
        code, folder = waiting.pop(ready[0])
        tree = (*tree, code) if folder is None else _with(tree, folder, code)
    if _depth(tree) > CODES_DEEP_MAX:
        raise ValueError(f"codes: at most {CODES_DEEP_MAX} stand in one another")
    return tree


def _kept(
    codes: Iterable[Code],
    folder: str | None,
    changes: Mapping[str, CodeEntry | None],
    placed: set[str],
    moved: dict[str, tuple[Code, ...]],
) -> Iterator[Code]:
    """What stays where it is; of what goes elsewhere, what is in it goes along."""
    for code in codes:
        children = tuple(_kept(code.children, code.code, changes, placed, moved))
        if code.code not in changes:
            yield replace(code, children=children)
            continue
        entry = changes[code.code]
        if entry is None:
            continue
        if entry.folder == folder:
            placed.add(code.code)
            yield _code(code.code, entry, children)
        else:
            moved[code.code] = children


def _code(name: str, entry: CodeEntry, children: tuple[Code, ...]) -> Code:
    return Code(
        code=name,
        id=entry.id,
        label=entry.label,
        needs_callback=entry.needs_callback,
        children=children,
    )


def _holds(codes: Iterable[Code], name: str) -> bool:
    return any(code.code == name or _holds(code.children, name) for code in codes)


def _with(codes: tuple[Code, ...], folder: str, code: Code) -> tuple[Code, ...]:
    """The tree with the code in the first folder of this name, which is in it."""
    place, one = next((place, one) for place, one in enumerate(codes) if _holds((one,), folder))
    if one.code == folder:
        inner = replace(one, children=(*one.children, code))
    else:
        inner = replace(one, children=_with(one.children, folder, code))
    return (*codes[:place], inner, *codes[place + 1 :])


def _depth(codes: Iterable[Code]) -> int:
    return max((1 + _depth(code.children) for code in codes), default=0)
