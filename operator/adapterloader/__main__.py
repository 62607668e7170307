"""``python -m adapterloader --engine vllm --engine-url URL --list FILE ...``: until SIGTERM."""

import os
import signal
import sys

if __name__ == "__main__":
    # The first process of a container has no handler but its own: one that is told to stop while it still imports what
    # follows would go on for the whole grace period, and be killed.
    # No exception would do: callbacks of the import system ignore what comes up in them.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

import asyncio
from functools import partial
from typing import NoReturn

import aiohttp

from adapterloader.control import listening
from adapterloader.engines import Engine
from adapterloader.files import FETCHES_AT_ONCE, fetched, tidied
from adapterloader.loader import Loader
from adapterloader.options import Options, parse


def main() -> NoReturn:
    """Keep adapters loaded."""
    status = asyncio.run(_run(parse(sys.argv[1:])))
    sys.stdout.flush()
    # Threads that fetch would be waited for, and those of obstore abort a process that ends:
    # https://github.com/PyO3/pyo3-async-runtimes/issues/40
    os._exit(status)


async def _run(options: Options) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # A connection of its own for each call: engines close those that are idle.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        fetch = partial(fetched, asyncio.Semaphore(FETCHES_AT_ONCE))
        loader = Loader(options, Engine(session, options), fetch, tidied)
        async with listening(loader, options.host, options.control_port):
            looking, stopped = asyncio.create_task(loader.run()), asyncio.create_task(stop.wait())
            await asyncio.wait({looking, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if looking.done():
                looking.result()
            looking.cancel()
    return 0


if __name__ == "__main__":
    main()
