"""A network namespace of the benchmark's own, in which every pod address answers.

Pods on fake nodes get addresses of POD_RANGE, and a program that listens there on all addresses stands for all of
them. Ports can not clash with those of the machine, and nothing has to be cleaned up: all goes with the last process.
"""

import os
import shutil
import sys

from bench.options import Skipped
from localcluster.commands import run

POD_RANGE = "10.128.0.0/16"
POD_PREFIX = "10.128"
# Routed to the loopback like everything else and nobody's: what is sent there is never answered.
NOBODY = "10.64.0.1"
_INSIDE = "LLMENDPOINT_BENCH_NAMESPACE"


def is_inside() -> bool:
    """Whether this process is in such a namespace."""
    return _INSIDE in os.environ


def check() -> None:
    """See that this process is in such a namespace.

    Raises:
        Skipped: it is not.
    """
    if not is_inside():
        raise Skipped("this needs a network namespace: Linux, with root or with user namespaces allowed")


def enter() -> None:
    """Start this program again inside a namespace of its own; where that can not be had, go on without."""
    if is_inside() or not sys.platform.startswith("linux"):
        return
    unshare = shutil.which("unshare")
    command = [unshare or "unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if unshare is None or run([*command, "true"], check=False).returncode:
        return
    # On the loopback a whole range is local. kube-apiserver wants a default route to choose its address by.
    prepare = (
        f"ip link set lo up && ip addr add {POD_PREFIX}.0.1/16 dev lo && ip route add default dev lo && "
        'exec "$0" -m bench "$@"'
    )
    environment = {**os.environ, _INSIDE: "yes"}
    os.execve(unshare, [*command, "sh", "-c", prepare, sys.executable, *sys.argv[1:]], environment)
