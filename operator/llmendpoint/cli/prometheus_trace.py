"""The trace ``prometheus:URL?namespace=NS&name=NAME&hours=24&step=60``: what an endpoint really was asked."""

import asyncio
import math
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli.files import fail
from llmendpoint.engines import engine_for

if TYPE_CHECKING:
    from llmendpoint.metrics.history import Asked
    from llmendpoint.simulate.traces import Trace

PREFIX = "prometheus:"
MOST_STEPS = 11_000
"""Points of one series that Prometheus gives at most."""


def is_prometheus(trace: str) -> bool:
    """Whether a trace argument is one."""
    return trace.startswith(PREFIX)


def read(trace: str, endpoint: Endpoint, seed: int) -> "Trace":
    """Ask the server; what is left out of the argument is that of the endpoint's file, and the last 24 hours."""
    from llmendpoint.metrics.prometheus_server import Unanswered
    from llmendpoint.simulate.trace_generators import Step, from_steps
    from llmendpoint.simulate.traces import make_trace

    url, _, rest = trace.removeprefix(PREFIX).partition("?")
    given = {"namespace": endpoint.namespace, "name": endpoint.name, "hours": "24", "step": "60"}
    asked = dict(parse_qsl(rest, keep_blank_values=True))
    if unknown := asked.keys() - given.keys():
        fail(f"--trace {trace}: there is no {min(unknown)!r}: it knows {', '.join(given)}")
    given |= asked
    seconds = _number(trace, "step", given["step"])
    steps = round(_number(trace, "hours", given["hours"]) * 3600.0 / seconds)
    if not 1 <= steps <= MOST_STEPS:
        fail(f"--trace {trace}: {steps} steps of {seconds:g} s: give hours and step for 1 to {MOST_STEPS} of them")
    try:
        found = asyncio.run(_asked(_url(trace, url, endpoint), endpoint, given, steps, seconds))
    except Unanswered as error:
        fail(str(error))
    if not any(step.requests for step in found):
        fail(
            f"Prometheus has no request of {given['namespace']}/{given['name']} in the last {given['hours']} hours: "
            "are its engine pods scraped with the labels namespace and pod, as a PodMonitor does?"
        )
    known = [Step(step.requests, step.prompt_tokens, step.generation_tokens) for step in found]
    return make_trace(*from_steps(known, seconds, seed))


async def _asked(url: str, endpoint: Endpoint, given: dict[str, str], steps: int, seconds: float) -> "list[Asked]":
    from llmendpoint.metrics.history import ANSWER_SECONDS, asked
    from llmendpoint.metrics.prometheus_server import PrometheusServer

    server = PrometheusServer(url, ANSWER_SECONDS, told_by="--trace")
    try:
        names = engine_for(endpoint.spec.engine.type).metrics
        return await asked(
            server, names, given["namespace"], given["name"], until=float(math.ceil(time.time())), steps=steps,
            seconds=seconds,
        )  # fmt: skip
    finally:
        server.close()


def _url(trace: str, given: str, endpoint: Endpoint) -> str:
    scaling = endpoint.spec.scaling
    own = scaling.metrics.prometheus if scaling else None
    if not given and own is None:
        fail(f"--trace {trace}: give the server's address, as in prometheus:http://prometheus:9090")
    return given or (own.url if own else "")


def _number(trace: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        fail(f"--trace {trace}: {name} must be a number above 0, not {text!r}")
    return value
