"""The operator's process: ``python -m llmendpoint``."""

import os
import signal
import sys

if __name__ == "__main__":
    # The first process of a container has no handler but its own: one that is told to stop while it still imports what
    # follows would go on for the whole grace period, and be killed with the lease in its name.
    # No exception would do: callbacks of the import system ignore what comes up in them.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

import asyncio
import gc
import platform
from functools import partial
from typing import NoReturn

import structlog
from aiohttp import web
from prometheus_client import disable_created_metrics
from pydantic import ValidationError

from llmendpoint.cluster.errors import ClusterError
from llmendpoint.handlers.watch import watch
from llmendpoint.logs import set_up_logs
from llmendpoint.runtime.elector import LeaseLost
from llmendpoint.runtime.replica import Replica
from llmendpoint.settings import Settings
from llmendpoint.tracing import set_up_tracing

YOUNGEST_GENERATION = 10_000
"""Objects that may be made before the collector looks at them; Python's own threshold is 700."""
COLLECTIONS_BEFORE_ALL = 100
"""Collections of the middle generation before one of all objects; Python's own threshold is 10."""


def main() -> int:
    """Run until SIGTERM or SIGINT, which end the process. Returns the exit status where it could not start."""
    try:
        settings = Settings()
    except ValidationError as error:
        wrong = "; ".join(f"LLMENDPOINT_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
        print(f"the operator's settings are not usable: {wrong}", file=sys.stderr)  # noqa: T201 - no log yet
        return 2
    set_up_logs(settings)
    set_up_tracing()
    spare_the_collector()
    disable_created_metrics()  # type: ignore[no-untyped-call] # one more series per counter, that nobody asks for
    try:
        asyncio.run(_run(settings))
    except ClusterError as error:
        structlog.get_logger().error("the operator can not start", error=str(error))
        return 1


async def _run(settings: Settings) -> NoReturn:
    stop = asyncio.Event()

    def catch_signals() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)

    catch_signals()
    replica = Replica(
        settings, partial(watch, catch_signals=catch_signals), instance=os.environ.get("POD_NAME") or platform.node()
    )
    runner = web.AppRunner(_probes(replica), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", settings.http_port).start()  # noqa: S104 - the kubelet asks here
    status = 0
    try:
        await replica.run(stop)
    except LeaseLost as error:
        structlog.get_logger().error("lease lost: this process ends, and its pod stands by anew", error=str(error))
        status = 1
    sys.stdout.flush()
    # At once: kopf's watches and threads that wait for a name server or Prometheus would take seconds to end one by
    # one, and there is nothing to wait for.
    os._exit(status)


def _probes(replica: Replica) -> web.Application:
    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok") if replica.is_alive else web.Response(status=503, text="no work gets done")

    async def ready(_: web.Request) -> web.Response:
        return web.Response(text="ok") if replica.is_ready else web.Response(status=503, text="not synchronised")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=replica.exporter.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)])
    return app


def spare_the_collector() -> None:
    """Collect garbage less often.

    The store holds hundreds of thousands of objects that live long and are in no cycle, and the oldest generation
    looks at them all: a fifth of a second at 1,000 endpoints, three times in each tick with Python's own thresholds,
    and once in each tick with its own third threshold where the answers of Prometheus come and go.
    """
    gc.freeze()  # what was imported is never garbage
    gc.set_threshold(YOUNGEST_GENERATION, gc.get_threshold()[1], COLLECTIONS_BEFORE_ALL)


if __name__ == "__main__":
    sys.exit(main())
