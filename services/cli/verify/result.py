"""What a check finds."""

from msgspec import Struct, field


class Result(Struct, kw_only=True):
    """What was counted, what was broken, and what could not be judged yet.

    Attributes:
        counted: how many things were looked at; `of` says what they are.
        violations: one sentence each, naming the record or document.
        notes: what was skipped, and why; repeats that are allowed.
    """

    of: str
    counted: int = 0
    violations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def wrong(self, sentence: str) -> None:
        """Add a violation."""
        self.violations.append(sentence)

    def note(self, count: int, what: str) -> None:
        """Add a note, if there is anything to say."""
        if count:
            self.notes.append(f"{count:,} {what}")
