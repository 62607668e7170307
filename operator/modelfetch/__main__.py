"""``python -m modelfetch run --root FOLDER --download JSON ...``: 0 all is there, 1 try again, 2 do not."""

import os
import signal
import sys

if __name__ == "__main__":
    # The first process of a container has no handler but its own: one that is told to stop while it still imports what
    # follows would fetch for the whole grace period, and be killed. 1 is to try again.
    # No exception would do: callbacks of the import system ignore what comes up in them.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))

import asyncio
import json
import traceback
from typing import NoReturn

from modelfetch.control import listening
from modelfetch.fetcher import Fetcher
from modelfetch.options import Options, parse
from modelfetch.origin import Refused, Unavailable

DONE, TRY_AGAIN, REFUSED = 0, 1, 2


def main() -> None:
    """Fetch, and exit."""
    asyncio.run(_run(parse(sys.argv[1:])))


async def _run(options: Options) -> NoReturn:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    fetcher = Fetcher(options)
    async with listening(fetcher, options.host, options.control_port):
        status, said = await _fetch(fetcher, stop)
        # What the operator reads from the pod's status.
        print(f"modelfetch: {said}", flush=True)  # noqa: T201
        if options.termination_log.exists():
            options.termination_log.write_text(said)
    sys.stdout.flush()
    # All is written. The interpreter would wait for threads that download still, and those of obstore abort a process
    # that ends: https://github.com/PyO3/pyo3-async-runtimes/issues/40
    os._exit(status)


async def _fetch(fetcher: Fetcher, stop: asyncio.Event) -> tuple[int, str]:
    """Exit status and last word. Whole files are kept, so there is nothing to finish when it is told to stop."""
    fetching, stopped = asyncio.create_task(fetcher.run()), asyncio.create_task(stop.wait())
    await asyncio.wait({fetching, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not fetching.done():
        return TRY_AGAIN, "it was told to stop, and goes on from the files that are there"
    try:
        fetching.result()
    except Refused as error:
        return REFUSED, str(error)
    except Unavailable as error:
        return TRY_AGAIN, str(error)
    except Exception as error:  # noqa: BLE001 - the process would wait for threads that download still
        traceback.print_exc()
        return TRY_AGAIN, f"the fetch ended by {type(error).__name__}, which it does not know ({error}): see its log"
    return DONE, json.dumps(fetcher.report)


if __name__ == "__main__":
    main()
