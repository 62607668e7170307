"""The command ``rag``, also ``python -m rag``."""

import os
import signal
import sys

# The first process of a container has no handler but its own: one that is told to stop while it still imports what
# follows, which takes seconds, would otherwise serve on until it is killed.
# No exception would do: callbacks of the import system ignore what comes up in them.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

# qdrant-client imports fastembed where it finds it, for calls that nobody makes here: a quarter of a start's processor
# time. None keeps it from being found; who needs it imports it later.
sys.modules["fastembed"] = None  # type: ignore[assignment]

from rag.cli import app  # noqa: E402

del sys.modules["fastembed"]


def main() -> None:
    """Run a command."""
    # As a rule of Python: what is open is closed, and traces are sent.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app(prog_name="rag")


if __name__ == "__main__":
    main()
