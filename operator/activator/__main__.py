"""``python -m activator --route PORT=URL ...``."""

import asyncio
import sys

from activator.options import parse
from activator.server import serve


def main() -> int:
    """Serve until SIGTERM. Returns the exit status."""
    asyncio.run(serve(parse(sys.argv[1:])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
