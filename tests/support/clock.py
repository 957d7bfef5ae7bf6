"""A clock that stands still until a test moves it."""

from typing import Final

START_MS: Final = 1_795_270_000_000  # 2026-11-21T14:06:40Z


class FakeClock:
    """`Clock` in a test's hands. May also be set back, as real clocks are."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def set(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def advance(self, by_ms: int) -> int:
        self._now_ms += by_ms
        return self._now_ms
