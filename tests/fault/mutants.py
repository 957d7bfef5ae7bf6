"""The system, broken on purpose: the suite must notice each."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

import msgspec

from shared.contracts.errors import WriteConflict
from shared.runtime.commit import SeparateCommit
from shared.runtime.ports import Batch, Consumer, Document, StateStore
from shared.runtime.processor import Processor
from shared.runtime.profile import Profile
from tests.fault.ports import Through


class PositionsFirst:
    """`Commit` that publishes and moves on before the documents are durable."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def __call__(
        self, consumer: Consumer, batch: Batch, stored: Callable[[], Awaitable[None]]
    ) -> None:
        await consumer.publish_and_advance(batch.messages, batch.positions)
        if batch.documents:
            await self._store.save(batch.documents)
        await stored()


class LastWriterWins(Through):
    """`StateStore` without compare-and-set."""

    async def save(self, documents: Sequence[Document]) -> None:
        try:
            await self._inner.save(documents)
        except WriteConflict:
            for document in documents:
                found = await self._inner.load(document.collection, [document.key])
                newest = found[document.key].revision if found else 0
                await self._inner.save([msgspec.structs.replace(document, revision=newest + 1)])


def _positions_first(profile: Profile) -> Profile:
    return replace(profile, commit=PositionsFirst(profile.store))


def _last_writer_wins(profile: Profile) -> Profile:
    return replace(
        profile, commit=SeparateCommit(cast("StateStore", LastWriterWins(profile.store)))
    )


def _forget_effects(profile: Profile) -> Profile:
    def nothing(_: Processor, __: Any) -> list[Any]:
        return []

    setattr(Processor, "_recover", nothing)  # noqa: B010 - of this process, which is a mutant
    return profile


MUTANTS: Final[dict[str, Callable[[Profile], Profile]]] = {
    "": lambda profile: profile,
    "positions before documents": _positions_first,
    "no compare-and-set": _last_writer_wins,
    "stored effects not published": _forget_effects,
}
