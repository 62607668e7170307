"""Runs in the pod of a group's worker when that is to end, and ends it when the leader listens no more.

The leader listens until its last stream is done. A pod gets this source as ``python3 -I -c SOURCE PORT 1``, for the
Python of whatever image its engine runs in; the process 1 is the engine.
"""

import contextlib
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ESTABLISHED = "01"
PATIENCE_SECONDS = 30
AGAIN_SECONDS = 5


def main(port: int, engine: int) -> None:
    """Wait for the leader, not at all where nobody listens who may be it, and end the engine."""
    leader = next((address for address in dict.fromkeys(addresses()) if listens(address, port)), None)
    while leader is not None and listens(leader, port):
        time.sleep(1)
    # A worker whose leader is gone ends too and is started again before its pod is deleted. An engine that is just
    # starting loses a signal, the kubelet sends one, and the GPUs would be held for the whole grace period.
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(engine, signal.SIGTERM)
            time.sleep(AGAIN_SECONDS)


def addresses() -> Iterator[str]:
    """Of the leader, as far as its name leads to it, and of all that the worker is connected to.

    A worker that is deleted takes its group along, and the Service that the leader's name rests on goes long before the
    leader does. A worker's connection to its leader lasts as long as the two serve.
    """
    with contextlib.suppress(OSError):
        for found in socket.getaddrinfo(os.environ["LWS_LEADER_ADDRESS"], None, type=socket.SOCK_STREAM):
            yield str(found[4][0])
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with contextlib.suppress(OSError):
            for row in Path("/proc/net", table).read_text("ascii").splitlines()[1:]:
                _, _, remote, state, *_ = row.split()
                if state == ESTABLISHED:
                    yield socket.inet_ntop(family, _packed(remote.partition(":")[0])).removeprefix("::ffff:")


def listens(address: str, port: int) -> bool:
    """Whether a connection can be made."""
    try:
        socket.create_connection((address, port), PATIENCE_SECONDS).close()
    except OSError:
        return False
    return True


def _packed(digits: str) -> bytes:
    """An address of the kernel's tables, which are words of 32 bits in the machine's own order."""
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    return struct.pack(f"={len(words)}I", *words)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
