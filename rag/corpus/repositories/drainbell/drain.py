"""Waits until no stream is open, or until the grace period is over."""

import asyncio


async def wait_for_streams(count_open, grace_seconds: float, poll_seconds: float = 0.5) -> bool:
    """Poll the number of open streams. True when all of them ended in time."""
    deadline = asyncio.get_running_loop().time() + grace_seconds
    while count_open() > 0:
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(poll_seconds)
    return True
