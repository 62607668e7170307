"""Endpoints created at once until all their Deployments and Services exist: by each operator, and by a bare client.

The bare client makes the same applies, as many at a time.
"""

import asyncio
import contextlib
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.client import spread_out
from bench.contenders import CONTENDERS, KOPF, PRODUCT, Contender
from bench.figures import Figure, spread
from bench.objects import endpoint_object, scale_object, stored
from bench.options import Skipped
from bench.run import Run
from bench.site import Site
from llmendpoint import manifests
from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cluster.kinds import DEPLOYMENT, ENDPOINT, SERVICE, kind_of
from llmendpoint.manifests import ManifestDefaults

RATIO_BAR = 1.5
SERVICES_EACH = 2

IsThere = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Creation:
    """One creation by an operator. Times are seconds from the first object sent."""

    exist: float
    """Until every Deployment and Service was there."""
    requests: Counter[str]
    """What the operator had asked of the API server by then."""
    cpu: float
    """Processor seconds of the operator by then."""
    served: int
    """Endpoints whose replicas were all ready in the end."""
    serve: float
    """Until they were."""


@dataclass(frozen=True)
class Applies:
    """The bare client's."""

    exist: float
    again: float
    """Seconds for the same applies once more, which change nothing."""


async def measure(run: Run) -> list[Figure]:
    """Alternately, in namespaces of their own; the product's endpoints of the last round stay."""
    site, rounds = await run.site(), run.options.rounds
    bare: list[Applies] = []
    made: dict[Contender, list[Creation]] = {contender: [] for contender in CONTENDERS}
    for number in range(rounds):
        await site.make_namespace(f"bare-{number}")
        bare.append(await _bare(site, f"bare-{number}"))
        await site.remove_namespace(f"bare-{number}")
        for contender in (KOPF, PRODUCT):
            namespace = f"{contender.name}-{number}"
            is_last = contender is PRODUCT and number == rounds - 1
            made[contender].append(await _created(site, contender, namespace, until_served=is_last))
            if is_last:
                site.populated = namespace
            else:
                await site.stop()
                await site.remove_namespace(namespace)
    size = {"endpoints": run.options.endpoints, "pods": site.pods}
    figures = [
        figure for contender in CONTENDERS for figure in _figures(contender, made[contender], bare, RATIO_BAR, size)
    ]
    last = made[PRODUCT][-1]
    return [
        *figures,
        Figure("the bare client's applies", statistics.median(one.exist for one in bare), "s", None, size),
        Figure("the bare client's no-op applies", statistics.median(one.again for one in bare), "s", None, size),
        Figure("all replicas ready", last.serve, "s", None, size, f"{last.served} endpoints"),
    ]  # fmt: skip


def _figures(
    contender: Contender, made: list[Creation], bare: list[Applies], bar: float, size: dict[str, int]
) -> list[Figure]:
    ratios = [one.exist / other.exist for one, other in zip(made, bare, strict=True)]
    seconds, cpu = [one.exist for one in made], [one.cpu for one in made]
    requests = made[-1].requests
    asked = ", ".join(f"{count} {what}" for what, count in requests.most_common())
    name = contender.name
    return [
        Figure(
            f"{name}: created -> all exist, against a bare client", statistics.median(ratios), "x",
            bar if contender is PRODUCT else None, size | spread(ratios),
        ),
        Figure(f"{name}: created -> all exist", statistics.median(seconds), "s", None, size | spread(seconds)),
        Figure(f"{name}: processor time by then", statistics.median(cpu), "s", None, size | spread(cpu)),
        Figure(
            f"{name}: requests by then", sum(requests.values()), "", None, size | {"requests": dict(requests)}, asked
        ),
    ]  # fmt: skip


async def populated(site: Site) -> str:
    """The namespace whose endpoints all serve, made now where creation was not measured."""
    if site.populated is None:
        await _created(site, PRODUCT, "bench", until_served=True)
        site.populated = "bench"
    return site.populated


async def _created(site: Site, contender: Contender, namespace: str, *, until_served: bool) -> Creation:
    """Start an operator and create all endpoints."""
    await site.make_namespace(namespace)
    await site.start(contender)
    before, cpu = site.requests(contender), site.process.cpu_seconds
    count = site.options.endpoints
    bodies = [endpoint_object(_name(index), namespace, site.options.replicas_of(index)) for index in range(count)]
    send = [partial(site.client.send, "POST", ENDPOINT.path(namespace), body) for body in bodies]
    serving = asyncio.create_task(_there(site, DEPLOYMENT.path(namespace), count, partial(_serves, site)))
    started = time.monotonic()
    try:
        async with _removed_when_given_up(site, namespace):
            exist = await _until_all_exist(site, namespace, send)
        requests, cpu = site.requests(contender) - before, site.process.cpu_seconds - cpu
        served, at = await serving if until_served else (0, started)
    finally:
        serving.cancel()
    return Creation(exist, requests, cpu, served, at - started)


async def _bare(site: Site, namespace: str) -> Applies:
    """Seconds that the same applies take without an operator, as many at a time."""
    jobs = [_applies(site, namespace, index) for index in range(site.options.endpoints)]
    async with _removed_when_given_up(site, namespace):
        exist = await _until_all_exist(site, namespace, jobs)
    started = time.monotonic()
    await spread_out(jobs)
    return Applies(exist, time.monotonic() - started)


def _applies(site: Site, namespace: str, index: int) -> Callable[[], Awaitable[None]]:
    replicas = site.options.replicas_of(index)
    endpoint = Endpoint.from_object(stored(endpoint_object(_name(index), namespace, replicas)))
    children = manifests.children(endpoint, ManifestDefaults())
    for child in children:
        del child["metadata"]["ownerReferences"]  # the garbage collector would delete what nobody owns

    async def apply() -> None:
        for child in children:
            path = kind_of(child["kind"]).path(namespace, child["metadata"]["name"])
            await site.client.apply(path, child, names.MANAGER_CHILDREN)
        scale = scale_object(endpoint.name, namespace, replicas)
        await site.client.apply(DEPLOYMENT.path(namespace, scale["metadata"]["name"]), scale, names.MANAGER_SCALER)

    return apply


async def _until_all_exist(site: Site, namespace: str, jobs: Sequence[Callable[[], Awaitable[object]]]) -> float:
    """Do the jobs. Seconds until every Deployment and Service was there.

    Raises:
        Skipped: they were not in the time that a phase may take.
    """
    wanted = {DEPLOYMENT: site.options.endpoints, SERVICE: SERVICES_EACH * site.options.endpoints}
    async with asyncio.TaskGroup() as tasks:
        exist = {
            kind: tasks.create_task(_there(site, kind.path(namespace), count, lambda _: True))
            for kind, count in wanted.items()
        }
        await asyncio.sleep(0.5)  # the watches are open
        started = time.monotonic()
        await spread_out(jobs)
    for kind, task in exist.items():
        if task.result()[0] < wanted[kind]:
            reached = f"{task.result()[0]} of {wanted[kind]} {kind.plural}"
            raise Skipped(f"{reached} in {namespace} existed after {site.options.longest:.0f} s")
    return max(task.result()[1] for task in exist.values()) - started


@contextlib.asynccontextmanager
async def _removed_when_given_up(site: Site, namespace: str) -> AsyncIterator[None]:
    """What has come half way would load the machine while the next ones are measured."""
    try:
        yield
    except Skipped:
        await site.stop()
        await site.remove_namespace(namespace)
        raise


async def _there(site: Site, path: str, count: int, is_there: IsThere) -> tuple[int, float]:
    """How many objects of a collection were there, and since when (monotonic); no later than a phase may take."""
    there: set[str] = set()
    last = time.monotonic()
    try:
        async with asyncio.timeout(site.options.longest), site.client.watching(path) as events:
            async for at, kind, body in events:
                if kind != "DELETED" and is_there(body) and body["metadata"]["name"] not in there:
                    there.add(body["metadata"]["name"])
                    last = at
                    if len(there) == count:
                        break
    except TimeoutError:
        pass
    return len(there), last


def _serves(site: Site, deployment: dict[str, Any]) -> bool:
    index = int(deployment["metadata"]["name"].split("-")[1])
    ready: int = deployment.get("status", {}).get("readyReplicas", 0)
    return ready >= site.options.replicas_of(index)


def _name(index: int) -> str:
    return f"llama-{index}"
