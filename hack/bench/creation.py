"""Endpoints created at once until all their Deployments and Services exist, beside a bare client's same applies."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.client import IN_FLIGHT
from bench.figures import Figure, spread
from bench.objects import endpoint_object, stored
from bench.run import Run
from bench.site import Site
from llmendpoint import manifests
from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cluster.kinds import DEPLOYMENT, ENDPOINT, SERVICE, kind_of
from llmendpoint.manifests import ManifestDefaults

RATIO_BAR = 1.5
SERVICES_EACH = 2


@dataclass(frozen=True)
class Creation:
    """One creation by the operator. Times are seconds from the first object sent."""

    exist: float
    """Until every Deployment and Service was there."""
    serve: float
    """Until every endpoint was Ready."""
    requests: dict[str, float]
    """What the operator had asked of the API server by then."""
    cpu: float
    """Processor seconds of the operator by then."""


async def measure(run: Run) -> list[Figure]:
    """Alternately, in namespaces of their own; the endpoints of the last round stay."""
    site, rounds = await run.site(), run.options.rounds
    bare, made = [], []
    for number in range(rounds):
        await site.make_namespace(f"bare-{number}")
        bare.append(await _bare(site, f"bare-{number}"))
        await site.remove_namespace(f"bare-{number}")
        made.append(await populate(site, f"bench-{number}"))
        if number < rounds - 1:
            await site.stop_operator()
            await site.remove_namespace(f"bench-{number}")
    ratios = [one.exist / other for one, other in zip(made, bare, strict=True)]
    raw: dict[str, Any] = {
        "endpoints": run.options.endpoints,
        "bareSeconds": bare,
        "operatorSeconds": [one.exist for one in made],
        "readySeconds": [one.serve for one in made],
        "operatorCPUSeconds": [one.cpu for one in made],
        "operatorRequests": made[-1].requests,
    }
    return [
        Figure(
            "created -> all exist, against a bare client", statistics.median(ratios), "x", RATIO_BAR,
            raw | spread(ratios), "time of the operator / time of the bare client's same applies",
        ),
        Figure("created -> all exist", statistics.median(one.exist for one in made), "s", None, raw),
        Figure("the bare client's applies", statistics.median(bare), "s", None, raw),
    ]  # fmt: skip


async def populate(site: Site, namespace: str) -> Creation:
    """Start the operator and create all endpoints; done when all are Ready."""
    await site.make_namespace(namespace)
    await site.start_operator()
    before, cpu = await site.requests(), site.operator.cpu_seconds
    count = site.options.endpoints
    bodies = [endpoint_object(_name(index), namespace, site.options.replicas_of(index)) for index in range(count)]
    async with asyncio.TaskGroup() as tasks:
        exist = [
            tasks.create_task(_all(site, DEPLOYMENT.path(namespace), count, lambda _: True)),
            tasks.create_task(_all(site, SERVICE.path(namespace), SERVICES_EACH * count, lambda _: True)),
        ]
        serve = tasks.create_task(_all(site, ENDPOINT.path(namespace), count, _is_ready))
        await asyncio.sleep(0.5)  # the watches are open
        started = time.monotonic()
        await _spread_out([partial(site.client.send, "POST", ENDPOINT.path(namespace), body) for body in bodies])
    after = await site.requests()
    site.populated = namespace
    return Creation(
        exist=max(task.result() for task in exist) - started,
        serve=serve.result() - started,
        requests={name: after[name] - before[name] for name in after},
        cpu=site.operator.cpu_seconds - cpu,
    )


async def populated(site: Site) -> str:
    """The namespace whose endpoints all serve, made now where creation was not measured."""
    if site.populated is None:
        await populate(site, "bench")
    assert site.populated is not None
    return site.populated


async def _bare(site: Site, namespace: str) -> float:
    """Seconds that the same applies take without an operator, as many at a time."""
    count = site.options.endpoints
    jobs = [_applies(site, namespace, index) for index in range(count)]
    async with asyncio.TaskGroup() as tasks:
        exist = [
            tasks.create_task(_all(site, DEPLOYMENT.path(namespace), count, lambda _: True)),
            tasks.create_task(_all(site, SERVICE.path(namespace), SERVICES_EACH * count, lambda _: True)),
        ]
        await asyncio.sleep(0.5)
        started = time.monotonic()
        await _spread_out(jobs)
    return max(task.result() for task in exist) - started


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
        metadata = {"name": f"{endpoint.name}-engine", "namespace": namespace}
        scale = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}
        await site.client.apply(DEPLOYMENT.path(namespace, metadata["name"]), scale, names.MANAGER_SCALER)

    return apply


async def _spread_out(jobs: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Do all, IN_FLIGHT at a time."""
    waiting = iter(list(jobs))

    async def work() -> None:
        for job in waiting:
            await job()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(IN_FLIGHT):
            tasks.create_task(work())


async def _all(site: Site, path: str, count: int, is_there: Callable[[dict[str, Any]], bool]) -> float:
    """When so many objects of a collection were there, by a watch; monotonic seconds."""
    there: set[str] = set()
    async with site.client.watching(path) as events:
        async for at, kind, body in events:
            if kind != "DELETED" and is_there(body):
                there.add(body["metadata"]["name"])
                if len(there) == count:
                    return at
    raise RuntimeError(f"the watch of {path} ended after {len(there)} of {count} objects")


def _is_ready(body: dict[str, Any]) -> bool:
    conditions = body.get("status", {}).get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _name(index: int) -> str:
    return f"llama-{index}"
