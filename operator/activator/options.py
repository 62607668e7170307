"""What an activator is told: whom it serves, and how long and how many requests may wait."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

LARGEST_BODIES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Options:
    """The command line."""

    routes: tuple[tuple[int, str], ...]
    """(port to listen on, URL that its requests go to)"""
    control_port: int
    """Port of the probes, the metrics and the count of those who wait."""
    max_requests: int
    timeout: float
    """Seconds that a request may wait."""
    health_path: str
    """Is answered here: a load balancer that asks whether the endpoint is well wakes nobody."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod's own address is known to the kubelet alone
    max_bytes: int = LARGEST_BODIES
    """Bytes of the bodies that may wait."""


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; what is wrong ends the process with status 2."""
    parser = argparse.ArgumentParser(prog="activator", description=__doc__)
    parser.add_argument("--route", action="append", required=True, type=_route, metavar="PORT=URL", dest="routes")
    parser.add_argument("--control-port", type=int, required=True)
    parser.add_argument("--max-requests", type=int, required=True)
    parser.add_argument("--timeout", type=float, required=True, help="seconds that a request may wait")
    parser.add_argument("--health-path", default="/health")
    given = parser.parse_args(arguments)
    return Options(
        tuple(given.routes), given.control_port, given.max_requests, given.timeout, given.health_path
    )  # fmt: skip


def _route(text: str) -> tuple[int, str]:
    port, separator, url = text.partition("=")
    if not separator or not port.isdigit() or not url.startswith("http://"):
        raise argparse.ArgumentTypeError(f"{text!r} is not PORT=http://HOST:PORT")
    return int(port), url
