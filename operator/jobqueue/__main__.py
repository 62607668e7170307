"""``python -m jobqueue serve ...`` is the API, ``python -m jobqueue work ...`` a worker."""

import asyncio
import logging
import os
import sys

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
