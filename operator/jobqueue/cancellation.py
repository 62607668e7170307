"""Ends tasks that go on until they are cancelled."""

import asyncio
from collections.abc import Iterable

AGAIN_SECONDS = 0.1


async def cancel_and_wait(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they are done.

    Once is not enough on Python 3.11: its ``asyncio.wait_for``, by which redis-py sends, takes no notice where what it
    waits for is done at that moment (https://bugs.python.org/issue37658, mended in 3.12).
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
