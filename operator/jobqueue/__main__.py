"""``python -m jobqueue serve ...`` is the API, ``python -m jobqueue work ...`` a worker."""

import os
import signal
import sys

if __name__ == "__main__":
    # The first process of a container has no handler but its own: one that is told to stop while it still imports what
    # follows would take jobs for the whole grace period, and be killed with them.
    # No exception would do: callbacks of the import system ignore what comes up in them.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

import asyncio
import logging

from jobqueue.options import ServeOptions, parse
from jobqueue.processes import serve, work


def main() -> int:
    """Run until SIGTERM. Returns the exit status."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s")
    options = parse(sys.argv[1:], os.environ)
    asyncio.run(serve(options) if isinstance(options, ServeOptions) else work(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
