"""Forks processes of the queue off from one that has their imports behind it: those take longer than most tests.

Each line of its input is {"arguments", "redis_url", "log"}; it answers with the id of the new process.
"""

import json
import os
import signal
import sys
from typing import Any

from jobqueue.__main__ import main


def serve() -> None:
    """Until the end of the input. Nobody waits for what was forked off."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        if pid := os.fork():
            print(pid, flush=True)
        else:
            become(order)


def become(order: dict[str, Any]) -> None:
    """What ``python -m jobqueue`` does."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(order["log"], os.O_CREAT | os.O_WRONLY)
    for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(log, descriptor)
    sys.argv = ["jobqueue", *order["arguments"]]
    os.environ["REDIS_URL"] = order["redis_url"]
    sys.exit(main())


if __name__ == "__main__":
    serve()
