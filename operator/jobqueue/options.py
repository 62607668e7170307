"""What the two processes are told: by their command lines, and by the environment where it is secret."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobqueue.webhooks import AllowedHosts, secret_bytes

GRACE_SECONDS = 25.0
LEASE_SECONDS = 30.0


@dataclass(frozen=True)
class QueueOptions:
    """What API and workers have in common."""

    name: str
    """namespace/name of the endpoint: under it its keys lie in Redis."""
    control_port: int
    """Port of the probes and the metrics."""
    redis_url: str
    api_key: str | None
    """The engine's, and what callers of the API have to show."""
    result_ttl: int
    """Seconds that a job can be asked for after its end."""
    host: str


@dataclass(frozen=True)
class ServeOptions(QueueOptions):
    """The command line of the API."""

    port: int
    max_queued: int
    webhook_hosts: AllowedHosts | None
    """None where no webhook can be asked for."""


@dataclass(frozen=True)
class WorkOptions(QueueOptions):
    """The command line of a worker."""

    engine_url: str
    health_path: str
    concurrency: int
    timeout: float
    """Seconds that the engine has for a request."""
    max_attempts: int
    grace: float
    """Seconds after SIGTERM in which what runs may end."""
    lease: float
    """Seconds after which a job is another worker's, if nobody renewed it."""
    webhook_secret: bytes | None
    """None where webhooks are another's work."""


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> ServeOptions | WorkOptions:
    """Read the command line; what is wrong ends the process with status 2."""
    parser = argparse.ArgumentParser(prog="jobqueue", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve, work = commands.add_parser("serve"), commands.add_parser("work")
    for command in (serve, work):
        command.add_argument("--name", required=True, metavar="NAMESPACE/NAME")
        command.add_argument("--control-port", type=int, required=True)
        command.add_argument("--result-ttl", type=int, required=True, help="seconds that a result is kept")
        command.add_argument("--webhooks", action="store_true")
        command.add_argument("--host", default="0.0.0.0", help=argparse.SUPPRESS)  # noqa: S104 - a pod's own address
    serve.add_argument("--port", type=int, required=True)
    serve.add_argument("--max-queued", type=int, required=True)
    serve.add_argument("--webhook-hosts", default="", metavar="HOST,*.DOMAIN")
    work.add_argument("--engine-url", required=True)
    work.add_argument("--health-path", default="/health")
    work.add_argument("--concurrency", type=int, required=True)
    work.add_argument("--timeout", type=float, required=True, help="seconds that the engine has for a request")
    work.add_argument("--max-attempts", type=int, required=True)
    work.add_argument("--grace", type=float, default=GRACE_SECONDS, help="seconds after SIGTERM for what runs")
    work.add_argument("--lease", type=float, default=LEASE_SECONDS, help="seconds after which a silent worker is dead")
    given = parser.parse_args(arguments)
    if not environment.get("REDIS_URL"):
        parser.error("REDIS_URL is not set: redis://HOST:PORT/DATABASE or rediss://...")
    common = {
        "name": given.name,
        "control_port": given.control_port,
        "redis_url": environment["REDIS_URL"],
        "api_key": environment.get("OPENAI_API_KEY") or None,
        "result_ttl": given.result_ttl,
        "host": given.host,
    }
    try:
        if given.command == "serve":
            hosts = AllowedHosts.parse(given.webhook_hosts) if given.webhooks else None
            return ServeOptions(**common, port=given.port, max_queued=given.max_queued, webhook_hosts=hosts)
        secret = secret_bytes(environment.get("WEBHOOK_SECRET", "")) if given.webhooks else None
    except ValueError as error:
        parser.error(str(error))
    return WorkOptions(
        **common,
        engine_url=given.engine_url,
        health_path=given.health_path,
        concurrency=given.concurrency,
        timeout=given.timeout,
        max_attempts=given.max_attempts,
        grace=given.grace,
        lease=given.lease,
        webhook_secret=secret,
    )
