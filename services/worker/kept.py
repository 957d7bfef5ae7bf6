"""Answers already given, kept by idempotency key in the document that they were decided on."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from msgspec import Struct

from shared.contracts import limits

Verdict = TypeVar("Verdict")


class Kept(Struct, Generic[Verdict], frozen=True, kw_only=True):
    """An answer already given. `body_hash` is of the request that was answered."""

    body_hash: str
    verdict: Verdict
    kept_ms: int


def keep(
    verdicts: Mapping[str, Kept[Verdict]], key: str, newest: Kept[Verdict], at_most: int
) -> dict[str, Kept[Verdict]]:
    """These and the newest, in the order they were given, without those too old or too many."""
    oldest_ms = newest.kept_ms - limits.IDEMPOTENCY_KEPT_MS
    young = [(key, kept) for key, kept in verdicts.items() if kept.kept_ms >= oldest_ms]
    return {**dict(young[-(at_most - 1) :]), key: newest}
