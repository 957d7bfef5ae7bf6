"""`LetterStore` in memory. Places that can fail: `keep`, `page`, `letter`, `expire`."""

from collections.abc import Mapping, Sequence

from msgspec.structs import asdict, replace

from shared.runtime.letters import LetterLine, LetterPage, LetterRow
from tests.support.memory import Faults, page_of


class MemoryLetterStore:
    def __init__(self) -> None:
        self.rows: dict[str, LetterRow] = {}
        self.faults = Faults()

    def fail_next(
        self, where: str, *, applied: bool = False, error: BaseException | None = None
    ) -> None:
        """Let the next call at this place raise, before or after it has applied."""
        self.faults.plan(where, applied=applied, error=error)

    async def keep(self, letters: Sequence[LetterRow], returned: Mapping[str, int]) -> None:
        self.faults.run("keep", lambda: self._write(letters, returned))

    def _write(self, letters: Sequence[LetterRow], returned: Mapping[str, int]) -> None:
        origins = {row.origin for row in self.rows.values()}
        for letter in letters:
            if letter.place not in self.rows and letter.origin not in origins:
                self.rows[letter.place] = letter
                origins.add(letter.origin)
        for place, at_ms in returned.items():
            row = self.rows.get(place)
            if row is not None:
                latest = max(at_ms, row.put_back_ms or at_ms)
                self.rows[place] = replace(row, put_back_ms=latest)

    async def page(
        self,
        tenant: str | None,
        *,
        topic: str | None = None,
        put_back: bool | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> LetterPage:
        self.faults.run("page", lambda: None)
        found = [
            ((row.at_ms, row.place), _line(row))
            for row in self.rows.values()
            if tenant in (None, row.tenant)
            and topic in (None, row.topic)
            and put_back in (None, row.put_back_ms is not None)
        ]
        page, following = page_of(found, cursor, limit, (int, str))
        return LetterPage(tuple(page), following)

    async def letter(self, place: str) -> LetterRow | None:
        self.faults.run("letter", lambda: None)
        return self.rows.get(place)

    async def expire(self, before_ms: int) -> int:
        kept = {place: row for place, row in self.rows.items() if row.at_ms >= before_ms}
        gone = len(self.rows) - len(kept)

        def forget() -> None:
            self.rows = kept

        self.faults.run("expire", forget)
        return gone


def _line(row: LetterRow) -> LetterLine:
    fields = asdict(row)
    del fields["headers"], fields["value"]
    return LetterLine(**fields)
