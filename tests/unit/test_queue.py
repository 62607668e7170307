"""The work queue: a key is worked on by one at a time, is not forgotten, and waits after a failure."""

import asyncio
from collections.abc import Callable

import pytest

from llmendpoint.runtime.queue import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, WorkQueue

SOON = 5.0


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue[str]:
    return WorkQueue(clock=clock, jitter=lambda: 1.0)


async def taken(queue: WorkQueue[str]) -> list[str]:
    """All keys that are due now; they stay in work."""
    keys = []
    while True:
        getting = asyncio.ensure_future(queue.get())
        for _ in range(3):  # the getter runs until it has a key or waits for one
            await asyncio.sleep(0)
        if not getting.done():
            getting.cancel()
            return keys
        keys.append(getting.result())


async def worked_off(queue: WorkQueue[str]) -> list[str]:
    """All keys that are due now, each done at once."""
    keys = []
    while some := await taken(queue):
        keys += some
        for key in some:
            queue.done(key)
    return keys


async def test_keys_are_worked_on_in_the_order_in_which_they_came(queue: WorkQueue[str]) -> None:
    for key in ("b", "a", "c"):
        queue.add(key)
    assert await taken(queue) == ["b", "a", "c"]


async def test_a_key_that_is_added_again_before_its_turn_is_worked_on_once(queue: WorkQueue[str]) -> None:
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert await worked_off(queue) == ["a", "b"]


async def test_a_key_that_is_added_while_it_is_worked_on_is_worked_on_once_more_afterwards(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    assert await taken(queue) == ["a"]
    queue.add("a")
    queue.add("a")
    assert await taken(queue) == []
    queue.done("a")
    assert await worked_off(queue) == ["a"]


async def test_other_keys_do_not_wait_for_one_that_is_worked_on(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert await taken(queue) == ["a"]
    queue.add("b")
    assert await taken(queue) == ["b"]


async def test_never_are_two_at_work_on_one_key() -> None:
    queue: WorkQueue[int] = WorkQueue()
    at_work: set[int] = set()
    done: list[int] = []

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in at_work
            at_work.add(key)
            await asyncio.sleep(0)
            if len(done) < 200:
                queue.add(key)
                queue.add((key + 1) % 7)
            await asyncio.sleep(0)
            at_work.discard(key)
            done.append(key)
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(5)]
    for key in range(7):
        queue.add(key)
    while len(done) < 200 or len(queue) or at_work:
        await asyncio.sleep(0)
    for worker in workers:
        worker.cancel()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert set(done) == set(range(7))


async def test_a_worker_that_waits_is_woken_by_a_new_key(queue: WorkQueue[str]) -> None:
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(getting, SOON) == "a"


async def test_every_waiting_worker_gets_a_key(queue: WorkQueue[str]) -> None:
    getting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in ("a", "b", "c"):
        queue.add(key)
    assert sorted(await asyncio.wait_for(asyncio.gather(*getting), SOON)) == ["a", "b", "c"]


async def test_a_delayed_key_comes_when_it_is_due(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("later", 30.0)
    queue.add_after("sooner", 10.0)
    assert await worked_off(queue) == []
    clock.now += 10.0
    assert await worked_off(queue) == ["sooner"]
    clock.now += 20.0
    assert await worked_off(queue) == ["later"]


async def test_a_worker_sleeps_until_a_delayed_key_is_due() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 0.02)
    assert await asyncio.wait_for(queue.get(), SOON) == "a"


async def test_a_delay_does_not_hold_up_a_key_that_is_asked_for_now(queue: WorkQueue[str], clock: Clock) -> None:
    queue.add_after("a", 30.0)
    queue.add("a")
    assert await worked_off(queue) == ["a"]
    clock.now += 30.0
    assert await worked_off(queue) == ["a"]


async def test_the_earliest_of_several_delays_counts(queue: WorkQueue[str], clock: Clock) -> None:
    for seconds in (20.0, 10.0, 30.0):
        queue.add_after("a", seconds)
    seen = []
    for _ in range(5):
        clock.now += 10.0
        seen.append(await worked_off(queue))
    assert seen == [["a"], [], [], [], []]


async def test_failures_wait_longer_each_time_up_to_a_limit(queue: WorkQueue[str]) -> None:
    delays = [queue.retry("a") for _ in range(10)]
    assert delays[:4] == [FIRST_RETRY_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert delays[-1] == LONGEST_RETRY_SECONDS
    assert queue.retry("b") == FIRST_RETRY_SECONDS


async def test_a_success_makes_the_next_back_off_short_again(queue: WorkQueue[str]) -> None:
    for _ in range(3):
        queue.retry("a")
    queue.forget("a")
    assert queue.retry("a") == FIRST_RETRY_SECONDS


async def test_the_back_off_of_a_crowd_is_spread(clock: Clock) -> None:
    factors = iter([0.8, 1.2])
    queue: WorkQueue[str] = WorkQueue(clock=clock, jitter=lambda: next(factors))
    assert [queue.retry("a"), queue.retry("b")] == [0.8 * FIRST_RETRY_SECONDS, 1.2 * FIRST_RETRY_SECONDS]


async def test_events_during_an_outage_do_not_multiply_the_tries(queue: WorkQueue[str], clock: Clock) -> None:
    """Each event means one more try, and each failed try asks for another: these must not add up."""

    async def tries(seconds: int, event_every: Callable[[int], bool]) -> int:
        count = 0
        for second in range(seconds):
            clock.now += 1.0
            if event_every(second):
                queue.add("a")
            for key in await taken(queue):
                count += 1
                queue.retry(key)
                queue.done(key)
        return count

    await tries(600, lambda second: second % 10 == 0)
    assert await tries(600, lambda _: False) <= 600 / LONGEST_RETRY_SECONDS + 1


async def test_the_wait_of_the_oldest_key_is_known(queue: WorkQueue[str], clock: Clock) -> None:
    assert queue.oldest_wait == 0.0
    queue.add("a")
    clock.now += 4.0
    queue.add("b")
    queue.add("a")  # asking again does not make it younger
    clock.now += 3.0
    assert queue.oldest_wait == 7.0
    await taken(queue)
    assert queue.oldest_wait == 0.0


async def test_it_counts_what_it_does(clock: Clock) -> None:
    waits: list[float] = []
    queue: WorkQueue[str] = WorkQueue(clock=clock, jitter=lambda: 1.0, waited=waits.append)
    queue.add("a")
    queue.add("a")
    queue.add("b")
    clock.now += 2
    assert await taken(queue) == ["a", "b"]
    assert (queue.adds, waits, queue.active) == (2, [2, 2], 2)
    clock.now += 3
    queue.done("b")
    assert (queue.longest_running, queue.active) == (3, 1)
    queue.retry("a")
    queue.done("a")
    assert (queue.longest_running, queue.active, queue.retries, queue.adds) == (0, 0, 1, 2)
    clock.now += 1
    assert await taken(queue) == ["a"]
    assert queue.adds == 3
