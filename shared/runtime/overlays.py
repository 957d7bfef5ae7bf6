"""The port that keeps what admin routes have changed of tenants: a small document for each."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct


class Stored(Struct, frozen=True):
    """The overlay of one tenant as it was last saved. `version` counts from 1."""

    version: int
    body: bytes


class OverlayStore(Protocol):
    """Overlays by tenant. Whatever was saved is seen by every reader from then on.

    Every method raises `Unavailable` when the store does not answer in time.
    """

    async def versions(self) -> Mapping[str, int]:
        """The version of every tenant that has an overlay. Asked every second: cheap."""
        ...

    async def load(self, tenant_ids: Iterable[str]) -> Mapping[str, Stored]:
        """The overlays of these tenants; who has none is left out."""
        ...

    async def save(self, tenant_id: str, overlay: Stored) -> None:
        """Replace the version before this one; version 1 is the first.

        Durable once it returns. After `Unavailable` it may have been saved.

        Raises:
            WriteConflict: the stored version is another; nothing was written.
        """
        ...
