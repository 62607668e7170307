"""``python -m batchworker run --input URI --output URI --shards N ...``: 0 done, 1 try again, 2 do not."""

import os
import signal
import sys

if __name__ == "__main__":
    # The first process of a container has no handler but its own: one that is told to stop while it still imports what
    # follows would work for the whole grace period, and be killed. 1 is to try again.
    # No exception would do: callbacks of the import system ignore what comes up in them.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))

import asyncio
import json
from typing import NoReturn

from obstore.exceptions import BaseError

from batchworker.control import listening
from batchworker.options import Options, parse
from batchworker.places import BadInput
from batchworker.worker import Worker

DONE, TRY_AGAIN, BAD_INPUT = 0, 1, 2


def main() -> NoReturn:
    """Work one shard off, and exit."""
    status = asyncio.run(_run(parse(sys.argv[1:])))
    sys.stdout.flush()
    # All is written. Threads of obstore may still be on their way into Python, and one that meets its end aborts the
    # process: a shard that is done would count as crashed. https://github.com/PyO3/pyo3-async-runtimes/issues/40
    os._exit(status)


async def _run(options: Options) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    worker = Worker(options, stop)
    async with listening(worker, options.host, options.control_port):
        status, said = await _work(options, worker)
    # What the operator reads from the pod's status.
    print(f"batchworker: {said}", flush=True)  # noqa: T201
    if options.termination_log.exists():
        options.termination_log.write_text(said)
    return status


async def _work(options: Options, worker: Worker) -> tuple[int, str]:
    """Exit status and last word."""
    try:
        done = await worker.run()
    except BadInput as error:
        return BAD_INPUT, str(error)
    except (BaseError, OSError) as error:
        first = str(error).partition("\n")[0]
        return TRY_AGAIN, f"{options.input} or {options.output} is out of reach: {first}"
    return DONE if done else TRY_AGAIN, json.dumps(worker.report)


if __name__ == "__main__":
    main()
