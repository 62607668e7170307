"""``python -m activator --route PORT=URL ...``."""

import os
import signal
import sys

if __name__ == "__main__":
    # The first process of a container has no handler but its own: one that is told to stop while it still imports what
    # follows would hold requests for the whole grace period, and be killed with them.
    # No exception would do: callbacks of the import system ignore what comes up in them.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

import asyncio

from activator.options import parse
from activator.server import serve


def main() -> int:
    """Serve until SIGTERM. Returns the exit status."""
    asyncio.run(serve(parse(sys.argv[1:])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
