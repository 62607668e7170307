"""Runs in the pod of a group's worker when that is to end, and ends it when the leader listens no more.

The leader listens until its last stream is done. A pod gets this source as ``python3 -I -c SOURCE PORT RENDEZVOUS_PORT
1``, for the Python of whatever image its engine runs in; the process 1 is the engine. So every change of this file, be
it of a comment, is a roll-out of all groups.
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


def main(port: int, rendezvous_port: int, engine: int) -> None:
    """Wait for the leader, not at all where it listens no more, and end the engine.

    Args:
        port: of the leader, for clients.
        rendezvous_port: of the leader, where its workers have joined it.
        engine: number of the process.
    """
    leader = next((address for address in addresses(rendezvous_port) if listens(address, port)), None)
    while leader is not None and listens(leader, port):
        time.sleep(1)
    # A worker whose leader is gone ends too and is started again before its pod is deleted. An engine that is just
    # starting loses a signal, the kubelet sends one, and the GPUs would be held for the whole grace period.
    with contextlib.suppress(OSError):  # it is gone, or somebody else's
        while True:
            os.kill(engine, signal.SIGTERM)
            time.sleep(AGAIN_SECONDS)


def addresses(rendezvous_port: int) -> Iterator[str]:
    """Of the leader: by its name, and as the other end of the connection by which the worker has joined it.

    A worker that is deleted takes its group along, and the Service that the leader's name rests on goes long before the
    leader does. Not any connection will do: workers of SGLang listen on the same port as their leader.
    """
    with contextlib.suppress(OSError):
        for found in socket.getaddrinfo(os.environ["LWS_LEADER_ADDRESS"], None, type=socket.SOCK_STREAM):
            yield str(found[4][0])
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with contextlib.suppress(OSError):
            for row in Path("/proc/net", table).read_text("ascii").splitlines()[1:]:
                _, _, remote, state, *_ = row.split()
                digits, _, port = remote.partition(":")
                if state == ESTABLISHED and int(port, 16) == rendezvous_port:
                    yield socket.inet_ntop(family, _packed(digits)).removeprefix("::ffff:")


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
