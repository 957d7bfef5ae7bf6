"""A batch taken apart: which record is to have which disposition, for which of its elements."""

import asyncio
from typing import Final

from msgspec import Struct

from services.gateway.desk import Desk
from services.gateway.dialects.vcc_live.answers import Issue, Stop, Wrong
from services.gateway.dialects.vcc_live.asker import Project
from services.gateway.dialects.vcc_live.fields import Batch, Wish, read_wish
from services.gateway.dialects.vcc_live.search import Records, Searches, needs_all, read_target
from shared.contracts import limits

TURN: Final = 256  # elements in one turn of the loop; then others have theirs


class Change(Struct, frozen=True):
    """One record to change, for the element of this index."""

    index: int
    record_id: str
    wish: Wish


class _Element(Struct, frozen=True):
    index: int
    target: str | Searches
    wish: Wish


async def plan(batch: Batch, project: Project, desk: Desk) -> tuple[list[Change], list[Issue]]:
    """What is to be asked, in the order of the elements, and what is wrong with the others.

    Raises:
        Stop: 413, it searches too much, or would change too many records.
        Unavailable: the store did not answer.
    """
    elements: list[_Element] = []
    errors: list[Issue] = []
    for index, fields in enumerate(batch.elements):
        try:
            target = read_target(fields)
            elements.append(_Element(index, target, read_wish(fields, batch.common, project)))
        except Wrong as wrong:
            errors.append(wrong.issue(index))
        if index % TURN == TURN - 1:
            await asyncio.sleep(0)
    searches = [one.target for one in elements if not isinstance(one.target, str)]
    _check(sum(map(len, searches)), limits.VCC_LIVE_ELEMENTS_MAX, "search objects in a batch")
    records = await _records(project, desk, searches)
    changes: list[Change] = []
    for turn, one in enumerate(elements):
        try:
            found = (one.target,) if isinstance(one.target, str) else records.find(one.target)
        except Wrong as wrong:
            errors.append(wrong.issue(one.index))
            continue
        _check(len(changes) + len(found), limits.VCC_LIVE_ELEMENTS_MAX, "records in a batch")
        changes += [Change(one.index, record_id, one.wish) for record_id in found]
        if not isinstance(one.target, str) or turn % TURN == TURN - 1:
            await asyncio.sleep(0)
    return changes, errors


async def _records(project: Project, desk: Desk, searches: list[Searches]) -> Records:
    """Those of the project, if any search has to look through them."""
    if not any(map(needs_all, searches)):
        return Records((), project.tenant)
    most = limits.VCC_LIVE_SEARCHED_MAX
    views = await desk.subjects.first(project.tenant, "record", project.id, most + 1)
    _check(len(views), most, "records in a project that is searched")
    return Records(views, project.tenant)


def _check(number: int, most: int, what: str) -> None:
    if number > most:
        raise Stop(413, f"error.too_large: at most {most} {what}")
