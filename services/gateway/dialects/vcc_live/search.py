"""Which records an element means: the one that it names, or those that its search finds.

`numberid` finds any record; the other keys find those that have a status or were named, as a list
does. A data field is known once some record of the project has it. Of all records an index is made
for each key that is asked for, once for a whole batch.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from services.gateway.dialects.vcc_live.answers import Wrong
from services.gateway.dialects.vcc_live.fields import Fields, as_id, as_number
from services.gateway.dialects.vcc_live.record import user_of
from services.gateway.subject_desk import SubjectView
from shared.contracts.ids import is_id
from shared.contracts.tenants import Tenant

NUMBER: Final = "numberid"
USER: Final = "pref_userid"
STATUS: Final = "act_status"

MISSING: Final = "error.missing_numberid_or_search"
BOTH: Final = "error.both_numberid_and_search"
NOT_FOUND: Final = "error.record_not_found"
UNKNOWN_KEY: Final = "error.unknown_search_key"

Searches = tuple[Fields, ...]


def read_target(element: Fields) -> str | Searches:
    """The id that it names, or its search: any of these objects, each with all of its keys.

    Raises:
        Wrong: neither, or both; an id that none can have.
    """
    number, search = element.get(NUMBER), element.get("search")
    named = number is not None and number != ""
    searches = _searches(search)
    if named and search is not None:
        raise Wrong(BOTH)
    if named:
        record_id = as_id(number)
        if record_id is None or not is_id(record_id):
            raise Wrong(NOT_FOUND)
        return record_id
    if not searches or not all(searches):  # one without keys would mean every record there is
        raise Wrong(MISSING)
    return searches


def needs_all(searches: Searches) -> bool:
    """Whether the project's records have to be looked through."""
    return any(tuple(search) != (NUMBER,) for search in searches)


class Records:
    """The records of a project, found by what they have."""

    def __init__(self, views: Sequence[SubjectView], tenant: Tenant) -> None:
        self._ids = tuple(view.subject.id for view in views)
        self._by: defaultdict[str, defaultdict[str, set[int]]] = defaultdict(
            lambda: defaultdict(set)
        )
        self._keys: set[str] = {NUMBER, USER, STATUS}
        for place, view in enumerate(views):
            for key, value in _found_by(view, tenant):
                self._keys.add(key)
                self._by[key][value].add(place)

    def find(self, searches: Searches) -> tuple[str, ...]:
        """The ids of those that any of these finds, each once.

        Raises:
            Wrong: a key that no record has; nothing found.
        """
        if any(key not in self._keys for search in searches for key in search):
            raise Wrong(UNKNOWN_KEY)
        found: dict[str, None] = {}
        for search in searches:
            found |= dict.fromkeys(self._all_of(search))
        if not found:
            raise Wrong(NOT_FOUND)
        return tuple(found)

    def _all_of(self, search: Fields) -> Iterator[str]:
        if tuple(search) == (NUMBER,):  # calls may have named it, and nothing else
            record_id = as_id(search[NUMBER])
            if record_id is not None and is_id(record_id):
                yield record_id
            return
        places = sorted((self._places(key, value) for key, value in search.items()), key=len)
        for place in sorted(places[0].intersection(*places[1:])):
            yield self._ids[place]

    def _places(self, key: str, value: object) -> set[int]:
        number = as_number(value) if key in (USER, STATUS) else None
        text = as_id(value) if number is None else str(number)
        return set() if text is None else self._by[key].get(text, set())


def _found_by(view: SubjectView, tenant: Tenant) -> Iterator[tuple[str, str]]:
    """What a record is found by; its own data never stands for what we know ourselves."""
    for key, text in view.document.data.items():
        if key not in (NUMBER, USER, STATUS):
            yield key, text.strip()
    yield NUMBER, view.subject.id
    status = view.document.status
    if status is None:
        return
    code = None if status.code is None else tenant.code(status.code)
    if code is not None and code.id is not None:
        yield STATUS, str(code.id)
    user = user_of(status, tenant)
    if user is not None:
        yield USER, str(user)


def _searches(search: Any) -> Searches:
    match search:
        case dict():
            return (search,)
        case list() if all(isinstance(one, dict) for one in search):
            return tuple(search)
        case _:
            return ()
