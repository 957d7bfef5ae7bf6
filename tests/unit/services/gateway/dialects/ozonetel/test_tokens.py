"""Tokens: an hour long, one at a time for each user, known to every gateway."""

import asyncio

import pytest

from services.gateway.dialects.ozonetel import tokens
from services.gateway.dialects.ozonetel.tokens import Owner, Standing
from shared.contracts.errors import Unavailable, WriteConflict
from tests.support.clock import START_MS
from tests.support.memory import MemoryStateStore

HOUR_MS = 60 * 60 * 1000
DEMO = Owner("demo", "demo")


async def worth(store: MemoryStateStore, token: str, now_ms: int) -> Standing:
    owner = tokens.owner_of(token.encode())
    assert owner is not None
    return await tokens.standing(store, owner, token.encode(), now_ms)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("age_ms", "expected"),
    [
        (0, Standing.CURRENT),
        (HOUR_MS - 1, Standing.CURRENT),
        (HOUR_MS, Standing.CURRENT),
        (HOUR_MS + 1, Standing.EXPIRED),
    ],
)
async def test_a_token_lives_sixty_minutes(age_ms: int, expected: Standing) -> None:
    store = MemoryStateStore()
    token = await tokens.issue(store, DEMO, START_MS)
    assert await worth(store, token, START_MS + age_ms) is expected


@pytest.mark.asyncio
async def test_a_newer_token_voids_the_older_but_not_another_user_s() -> None:
    store = MemoryStateStore()
    other = await tokens.issue(store, Owner("demo", "someone@else"), START_MS)
    older = await tokens.issue(store, DEMO, START_MS)
    newer = await tokens.issue(store, DEMO, START_MS)
    assert await worth(store, older, START_MS) is Standing.INVALID
    assert await worth(store, newer, START_MS) is Standing.CURRENT
    assert await worth(store, other, START_MS) is Standing.CURRENT


@pytest.mark.asyncio
async def test_a_token_names_its_owner_and_no_other_owner_can_use_it() -> None:
    store = MemoryStateStore()
    await tokens.issue(store, Owner("other", "demo"), START_MS)
    token = await tokens.issue(store, Owner("demo", "dé.mo"), START_MS)
    assert tokens.owner_of(token.encode()) == Owner("demo", "dé.mo")
    assert token.startswith("oz_")
    standing = await tokens.standing(store, Owner("other", "demo"), token.encode(), START_MS)
    assert standing is Standing.INVALID


@pytest.mark.asyncio
async def test_nothing_stored_opens_anything() -> None:
    store = MemoryStateStore()
    token = await tokens.issue(store, DEMO, START_MS)
    (document,) = store.documents.values()
    assert document.key == "demo:ozonetel.demo"
    assert token.encode() not in document.state
    assert token.rpartition(".")[2].encode() not in document.state


@pytest.mark.asyncio
async def test_of_two_gateways_at_the_same_moment_one_gives_the_token_that_is_good() -> None:
    store = MemoryStateStore()
    store.fail_next("save", error=WriteConflict("another gateway was faster"))
    store.fail_next("save", error=WriteConflict("and again"))
    token = await tokens.issue(store, DEMO, START_MS)
    assert await worth(store, token, START_MS) is Standing.CURRENT
    given = await asyncio.gather(*(tokens.issue(store, DEMO, START_MS) for _ in range(9)))
    current = [await worth(store, one, START_MS) for one in given]
    assert current.count(Standing.CURRENT) == 1


@pytest.mark.asyncio
async def test_without_a_store_there_is_no_token() -> None:
    store = MemoryStateStore()
    for _ in range(8):
        store.fail_next("save", error=WriteConflict("always"))
    with pytest.raises(Unavailable):
        await tokens.issue(store, DEMO, START_MS)


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"abc",
        b"oz_",
        b"oz_ZGVtbw",
        b"oz_ZGVtbw.ZGVtbw",
        b"oz_ZGVtbw.ZGVtbw.",
        b"ox_ZGVtbw.ZGVtbw.secret",
        b"oz_Z.ZGVtbw.secret",
        b"oz_ZGVtbw._w.secret",  # 0xff is not UTF-8
        b"oz_ZGVtbw.\xc3\xa9.secret",
        b"oz_ZGVtbw.\x00.secret\x00" * 100,
        b"oz_ZGVtbw.ZGVtbw." + b"s" * 1024,
        b"ZGVtbw.ZGVtbw.secret",
    ],
)
def test_what_can_not_be_a_token_has_no_owner(token: bytes) -> None:
    assert tokens.owner_of(token) is None


def test_an_unknown_token_of_a_known_shape_has_an_owner_to_look_for() -> None:
    assert tokens.owner_of(b"oz_ZGVtbw.ZGVtbw.guessed") == DEMO
