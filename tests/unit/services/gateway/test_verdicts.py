"""Waiting for answers: each finds the one who asked, late and foreign ones find nobody."""

import pytest

from services.gateway.verdicts import Busy, Waiters
from shared.contracts.envelope import ReplyTo
from shared.contracts.limits import WAITING_VERDICTS_MAX
from shared.runtime.ports import Answer

pytestmark = pytest.mark.asyncio


async def test_answers_in_any_order_find_who_asked() -> None:
    waiters = Waiters("here")
    first, second = waiters.expect(), waiters.expect()
    assert first.reply_to.address == "here"
    assert first.reply_to.correlation_id != second.reply_to.correlation_id
    waiters.deliver([Answer(second.reply_to, b"2"), Answer(first.reply_to, b"1")])
    assert (await first.answer(), await second.answer()) == (b"1", b"2")
    assert waiters.waiting == 0


async def test_the_first_answer_counts_and_strangers_find_nobody() -> None:
    waiters = Waiters("here")
    one = waiters.expect()
    waiters.deliver(
        [
            Answer(ReplyTo("here", "nobody"), b"x"),
            Answer(one.reply_to, b"1"),
            Answer(one.reply_to, b"2"),
        ]
    )
    assert await one.answer() == b"1"
    waiters.deliver([Answer(one.reply_to, b"3")])


async def test_an_answer_to_the_process_before_finds_nobody() -> None:
    before, after = Waiters("here"), Waiters("here")
    asked, other = before.expect(), after.expect()
    assert asked.reply_to.correlation_id != other.reply_to.correlation_id


async def test_the_deadline_gives_none() -> None:
    waiters = Waiters("here", timeout_s=0.001)
    assert await waiters.expect().answer() is None
    assert waiters.waiting == 0


async def test_who_forgets_leaves_no_trace() -> None:
    waiters = Waiters("here")
    one = waiters.expect()
    one.forget()
    assert waiters.waiting == 0
    waiters.deliver([Answer(one.reply_to, b"1")])
    assert await one.answer() is None


async def test_the_bound_holds_and_a_place_that_is_free_is_given_again() -> None:
    waiters = Waiters("here", waiting_max=2)
    first, _ = waiters.expect(), waiters.expect()
    with pytest.raises(Busy) as busy:
        waiters.expect()
    assert busy.value.retry_after_s == 1
    waiters.deliver([Answer(first.reply_to, b"1")])
    assert await first.answer() == b"1"
    waiters.expect().forget()


async def test_a_batch_may_overshoot_the_bound_once() -> None:
    waiters = Waiters("here", waiting_max=2)
    assert len(waiters.expect_all(5)) == 5
    with pytest.raises(Busy):
        waiters.expect_all(1)


async def test_a_large_batch_is_waited_for_longer() -> None:
    waiters = Waiters("here", timeout_s=0.01)
    (usual,), (patient,) = waiters.expect_all(1), waiters.expect_all(1, waits=1_000)
    assert await usual.answer() is None
    assert waiters.waiting == 1
    waiters.deliver([Answer(patient.reply_to, b"1")])
    assert await patient.answer() == b"1"


async def test_a_large_batch_takes_nobodys_place_and_is_the_only_one() -> None:
    waiters = Waiters("here", waiting_max=2)
    few = waiters.expect_all(2)
    batch = waiters.expect_all(5, waits=2)
    for waits in (1, 2):
        with pytest.raises(Busy):
            waiters.expect_all(1, waits=waits)
    few[0].forget()
    few[0] = waiters.expect()
    for one in batch[1:]:
        one.forget()
    with pytest.raises(Busy):
        waiters.expect_all(1, waits=2)
    waiters.deliver([Answer(batch[0].reply_to, b"1")])
    for one in (*waiters.expect_all(5, waits=2), *few):
        one.forget()
    assert waiters.waiting == 0


@pytest.mark.slow
async def test_as_many_may_wait_as_the_limit_says_and_not_one_more() -> None:
    waiters = Waiters("here")
    waiting = [waiters.expect() for _ in range(WAITING_VERDICTS_MAX)]
    with pytest.raises(Busy):
        waiters.expect()
    waiting[-1].forget()
    waiting[-1] = waiters.expect()
    for one in waiting:
        one.forget()
    assert waiters.waiting == 0
