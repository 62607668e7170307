import asyncio

from jobqueue.cancellation import cancel_and_wait


async def test_a_task_that_loses_its_first_cancellation_is_ended() -> None:
    lost = asyncio.Event()

    async def deaf_once() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            lost.set()
        await asyncio.sleep(60)

    tasks = [asyncio.create_task(deaf_once()), asyncio.create_task(asyncio.sleep(60))]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await cancel_and_wait(tasks)
    assert lost.is_set()
    assert all(task.cancelled() for task in tasks)


async def test_without_tasks_there_is_nothing_to_wait_for() -> None:
    await cancel_and_wait([])
