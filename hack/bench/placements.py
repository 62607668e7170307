"""The same RAG service on its own and beside the engine: latency, memory, pods, and what a change costs."""

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import isolation
from bench.figures import Figure, spread
from bench.options import Options, Skipped
from bench.placed import EXAMPLES, Placed
from bench.run import Run
from localcluster import cluster as local
from localcluster import images, product, tools

LOAD_SECONDS = 20.0
LATENCIES = {
    "ttftP50": "first token p50",
    "ttftP95": "first token p95",
    "totalP50": "answer p50",
    "totalP95": "answer p95",
}
# The pod of the load pulls nothing and takes about so long to begin.
BEGIN_SECONDS = 5.0


async def measure(run: Run) -> list[Figure]:
    """Both on one node in one run; loads alternate between them, the rest is done to one after the other.

    Raises:
        Skipped: this machine can run no containers, or other measurements run beside.
    """
    if isolation.is_inside():
        raise Skipped("the network of other measurements has no room for a node: ask for --only placements")
    if missing := local.missing_for_containers():
        raise Skipped(missing)
    return await asyncio.to_thread(_measure, run.options)


def fetch() -> None:
    """Build what the cluster runs."""
    tools.ensure(tools.CONTROL_PLANE + tools.NODE + tools.HELM)
    images.build((*images.PRODUCT, "rag"))


def _measure(options: Options) -> list[Figure]:
    with _placed(options) as both:
        figures = [_figure(of, "created -> serves", of.create(), "s") for of in both]
        figures += _answers(both, options.rounds)
        for of in both:
            figures += [*_units(of), *_roll_out(of)]
    order = list(dict.fromkeys(figure.raw["what"] for figure in figures))
    return sorted(figures, key=lambda figure: order.index(figure.raw["what"]))


@contextmanager
def _placed(options: Options) -> Iterator[list[Placed]]:
    cluster = local.up(f"placements-{os.getpid()}")
    try:
        product.install(cluster, tick_seconds=1.0)
        product.load_images(cluster, "rag")
        yield [Placed(cluster, placement, options.longest) for placement in EXAMPLES]
    finally:
        cluster.down()


def _answers(both: list[Placed], rounds: int) -> list[Figure]:
    """Questions one at a time, in turns: what another pod and a Service in between add, and what an answer costs."""
    results: dict[str, list[dict[str, Any]]] = {of.placement: [] for of in both}
    cpu = dict.fromkeys(results, 0.0)
    for number in range(rounds):
        for of in both:
            before = of.used("business").cpu_seconds
            load = of.load(f"load-{number}", LOAD_SECONDS, concurrency=1)
            results[of.placement].append(load.result(LOAD_SECONDS * 3)["streams"])
            cpu[of.placement] += of.used("business").cpu_seconds - before
    figures = []
    for of in both:
        streams = results[of.placement]
        complete = sum(found["complete"] for found in streams)
        for key, what in LATENCIES.items():
            values = [found[key] for found in streams]
            figures.append(_figure(of, what, statistics.median(values), "s", values=values, answers=complete))
        figures += [
            _figure(of, "business service: processor time of an answer", cpu[of.placement] / complete, "s"),
            _figure(of, "business service: memory of a replica", of.used("business").memory_mib, "MiB"),
        ]
    return figures


def _units(of: Placed) -> list[Figure]:
    """One unit more, and what two units hold."""
    took = of.scale(2)
    pods = [*of.pods("engine").values(), *of.pods("business").values()]
    figures = [
        _figure(of, "one unit more -> serves", took, "s"),
        _figure(of, "two units: pods", len(pods), ""),
        _figure(of, "two units: GPUs", of.gpus(), ""),
        _figure(of, "two units: memory of the business service", of.used("business").memory_mib, "MiB"),
    ]
    of.scale(1)
    return figures


def _roll_out(of: Placed) -> list[Figure]:
    """A new release of the business service alone, under load."""
    engines = set(of.pods("engine"))
    load = of.load("roll-out", 3600.0, concurrency=2)
    time.sleep(BEGIN_SECONDS)
    took, most = of.roll_out_business()
    load.stop()
    streams = load.result(120.0)["streams"]
    return [
        _figure(of, "business roll-out -> old revision gone", took, "s"),
        _figure(of, "business roll-out: GPUs at most", most, ""),
        _figure(of, "business roll-out: engines started anew", len(set(of.pods("engine")) - engines), ""),
        _figure(of, "business roll-out: streams cut, refused or failed",
                sum(streams[lost] for lost in product.LOST), "", answers=streams["complete"]),
    ]  # fmt: skip


def _figure(of: Placed, what: str, value: float, unit: str, **raw: Any) -> Figure:
    values = spread(raw["values"]) if "values" in raw else {}
    return Figure(f"{what}, {of.placement}", value, unit, None, {"what": what, **raw, **values})
