"""The port of the letters: what stands on the dead topics, to be listed, shown and put back.

Like history it can be rebuilt from the topics; so writes are idempotent and need no
compare-and-set.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from shared.contracts.envelope import Headers


class LetterLine(Struct, frozen=True, kw_only=True):
    """A dead letter as lists show it.

    Attributes:
        place: `topic/partition/offset` of the letter itself.
        tenant: which the record's key names; `""` where it names none.
        topic: that the record came from, and goes back to.
        at_ms: when it became a letter.
        origin: `topic/partition/offset` of the record. A letter that a crash has written twice
            has the same twice, and only the first is kept.
        key: of the record; `""` where it had none.
        type: the `ce_type` of the record, where it has one.
        put_back_ms: when it was last put back, if it was.
    """

    place: str
    tenant: str
    topic: str
    at_ms: int
    reason: str
    detail: str
    origin: str
    key: str
    type: str | None = None
    put_back_ms: int | None = None


class LetterRow(LetterLine, frozen=True, kw_only=True):
    """A dead letter whole: with all its headers, those of the letter included, and the value."""

    headers: Headers
    value: bytes


class LetterPage(Struct, frozen=True):
    """One page of letters, newest first, and the cursor that continues it (None: the end)."""

    lines: tuple[LetterLine, ...]
    next: str | None


class LetterStore(Protocol):
    """Letters by their place.

    After `keep` returns all is durable. Keeping a letter again changes nothing; of letters of one
    origin the first one stays. After a crash some of a `keep` may be missing.
    Every method raises `Unavailable` when the store does not answer in time.
    """

    async def keep(self, letters: Sequence[LetterRow], returned: Mapping[str, int]) -> None:
        """Write the letters in one bulk, then mark those that were put back.

        Args:
            letters: none of them marked, each with a place of its own.
            returned: by place when it was put back (ms); the latest stands. A place that is not
                there (any more) is passed over.
        """
        ...

    async def page(
        self,
        tenant: str | None,
        *,
        topic: str | None = None,
        put_back: bool | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> LetterPage:
        """Letters of one tenant, or of all and of none (None), newest first; reads no value.

        Raises:
            ValueError: the cursor is not one of ours.
        """
        ...

    async def letter(self, place: str) -> LetterRow | None:
        """The letter at this place, whole."""
        ...

    async def expire(self, before_ms: int) -> int:
        """Forget letters that are older; says how many."""
        ...
