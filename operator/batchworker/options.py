"""What a batch worker is told: its shard, where lines come from and answers go, and whom to ask."""

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TERMINATION_LOG = Path("/dev/termination-log")


@dataclass(frozen=True)
class Options:
    """The command line, and the engine's key."""

    input: str
    """file:///PATH or s3://BUCKET/KEY."""
    output: str
    """file:///FOLDER or s3://BUCKET/PREFIX."""
    shards: int
    shard: int
    """0 to shards - 1."""
    engine_url: str
    health_path: str
    concurrency: int
    """Lines that are with the engine at once."""
    timeout: float
    """Seconds of one try."""
    max_attempts: int
    control_port: int
    model: str | None = None
    """In place of the one that the lines name."""
    api_key: str | None = None
    grace: float = 20.0
    """Seconds that lines which are with the engine get after SIGTERM."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod's own address is known to the kubelet alone
    termination_log: Path = TERMINATION_LOG
    """Gets the last word, for the pod's status; nothing is written where the kubelet put no such file."""


def parse(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Options:
    """Read the command line; what is wrong ends the process with status 2.

    The shard comes from JOB_COMPLETION_INDEX where ``--shard`` is not given, the engine's key from OPENAI_API_KEY.
    """
    environment = os.environ if environment is None else environment
    parser = argparse.ArgumentParser(prog="batchworker", description=__doc__)
    run = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("run", help="work one shard off")
    run.add_argument("--input", required=True, metavar="URI")
    run.add_argument("--output", required=True, metavar="URI")
    run.add_argument("--shards", required=True, type=_at_least_one)
    run.add_argument("--shard", type=int, default=environment.get("JOB_COMPLETION_INDEX"))
    run.add_argument("--engine-url", required=True, metavar="URL")
    run.add_argument("--health-path", default="/health")
    run.add_argument("--concurrency", type=_at_least_one, default=32)
    run.add_argument("--timeout", type=float, default=600.0, help="seconds of one try")
    run.add_argument("--max-attempts", type=_at_least_one, default=3)
    run.add_argument("--control-port", required=True, type=int)
    run.add_argument("--model", help="in place of the one that the lines name")
    run.add_argument("--grace", type=float, default=Options.grace, help="seconds to finish in after SIGTERM")
    run.add_argument("--host", default=Options.host)
    run.add_argument("--termination-log", type=Path, default=TERMINATION_LOG)
    given = parser.parse_args(arguments)
    if given.shard is None or not 0 <= given.shard < given.shards:
        parser.error(f"--shard or JOB_COMPLETION_INDEX must be 0 to {given.shards - 1}, not {given.shard}")
    return Options(**vars(given), api_key=environment.get("OPENAI_API_KEY", "").strip() or None)


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value
