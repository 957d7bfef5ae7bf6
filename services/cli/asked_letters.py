"""Dead letters of a running service, by its admin port; so that it need not be stopped."""

from base64 import b64decode
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from services.cli.remote import Remote, part
from shared.contracts.instants import from_wire
from shared.runtime.letters import LetterLine, LetterRow

ROUTES: Final = "dead-letters"


class AskedLetters(Struct, frozen=True):
    """`Letters` that the key reaches."""

    service: Remote

    def letters(self) -> list[LetterLine]:
        """See `Letters`."""
        return [LetterLine(**_fields(row)) for row in self.service.rows("", "letters")][::-1]

    def letter(self, place: str) -> LetterRow:
        """See `Letters`."""
        shown = self.service.ask("GET", _path(place))
        value = shown["value"].encode() if "value" in shown else b64decode(shown["value_base64"])
        headers = tuple((name, text.encode()) for name, text in shown["headers"].items())
        return LetterRow(**_fields(shown), headers=headers, value=value)

    def put_back(self, letters: Sequence[LetterLine], *, again: bool) -> None:
        """See `Letters`."""
        for letter in letters:
            self.service.ask("POST", f"{_path(letter.place)}/put-back", {"again": again})

    @property
    def then(self) -> str:
        """See `Letters`."""
        return "they are read now"


def _path(place: str) -> str:
    return "".join(f"/{part(one)}" for one in place.split("/"))


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    back = row.get("put_back_at")
    told = ("place", "topic", "reason", "detail", "origin", "key", "type")
    return {name: row[name] for name in told} | {
        "tenant": "",  # which it is says the key; nothing that is shown depends on it
        "at_ms": from_wire(row["at"]),
        "put_back_ms": None if back is None else from_wire(back),
    }
