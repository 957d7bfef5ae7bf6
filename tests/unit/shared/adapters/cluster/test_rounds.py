"""One question for all who ask at the same time, and none that is older than its answer."""

import asyncio

import pytest

from shared.adapters.cluster.rounds import Rounds

pytestmark = pytest.mark.asyncio


class Oracle:
    """Answers each round with its number, when it is let."""

    def __init__(self) -> None:
        self.begun = 0
        self.running = 0
        self.may_answer = asyncio.Semaphore(0)

    async def ask(self, key: str) -> str:
        self.begun += 1
        number = self.begun
        self.running += 1
        await self.may_answer.acquire()
        self.running -= 1
        return f"{key}{number}"


async def turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_all_who_come_before_a_round_begins_share_it() -> None:
    oracle = Oracle()
    rounds = Rounds(oracle.ask)
    asking = [asyncio.create_task(rounds.get("a")) for _ in range(50)]
    await turn()
    oracle.may_answer.release()
    assert await asyncio.gather(*asking) == ["a1"] * 50


async def test_nobody_joins_a_round_that_has_begun() -> None:
    oracle = Oracle()
    rounds = Rounds(oracle.ask)
    first = asyncio.create_task(rounds.get("a"))
    await turn()
    later = [asyncio.create_task(rounds.get("a")) for _ in range(50)]
    await turn()
    assert oracle.begun == 1  # and one at a time
    oracle.may_answer.release()
    assert await first == "a1"
    await turn()
    last = asyncio.create_task(rounds.get("a"))
    oracle.may_answer.release()
    assert await asyncio.gather(*later) == ["a2"] * 50
    oracle.may_answer.release()
    assert await last == "a3"


async def test_questions_of_other_keys_do_not_wait() -> None:
    oracle = Oracle()
    rounds = Rounds(oracle.ask)
    asking = [asyncio.create_task(rounds.get(key)) for key in "abc"]
    await turn()
    assert oracle.running == 3
    for _ in asking:
        oracle.may_answer.release()
    assert sorted(await asyncio.gather(*asking)) == ["a1", "b2", "c3"]


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    oracle = Oracle()
    rounds = Rounds(oracle.ask)
    leaving, staying = (asyncio.create_task(rounds.get("a")) for _ in range(2))
    await turn()
    leaving.cancel()
    oracle.may_answer.release()
    assert await staying == "a1"
    assert leaving.cancelled()


async def test_everybody_of_a_round_is_told_of_its_failure_and_the_next_goes_on() -> None:
    asked = 0

    async def ask(_: str) -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        if asked == 1:
            raise ValueError("no answer")
        return asked

    rounds = Rounds(ask)
    told = await asyncio.gather(*(rounds.get("a") for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in told] == ["no answer"] * 3
    assert await rounds.get("a") == 2


async def test_nothing_is_kept_of_rounds_that_are_over() -> None:
    oracle = Oracle()
    rounds = Rounds(oracle.ask)
    for number in range(5):
        oracle.may_answer.release()
        await rounds.get(f"key-{number}")
    await turn()
    assert (rounds._running, rounds._next) == ({}, {})
