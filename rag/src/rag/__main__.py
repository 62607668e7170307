"""The command ``rag``, also ``python -m rag``."""

import signal
import sys

# The first process of a container has no handler but its own: one that is told to stop while it still imports what
# follows, which takes seconds, would otherwise serve on until it is killed.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

from rag.cli import app  # noqa: E402


def main() -> None:
    """Run a command."""
    app(prog_name="rag")


if __name__ == "__main__":
    main()
