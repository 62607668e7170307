"""Whether metrics can be read: of a ready pod of each endpoint, or of its Prometheus, by the API server's proxy."""

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import ValidationError

from llmendpoint.api import names
from llmendpoint.api.conditions import ConditionType
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli.checks.check import Check
from llmendpoint.cluster.errors import ClusterError, Forbidden
from llmendpoint.cluster.kinds import POD, SERVICE
from llmendpoint.engines import engine_for
from llmendpoint.manifests.common import Manifest
from llmendpoint.reconcile.observation import view_of
from llmendpoint.scaling.signals import PodPhase

if TYPE_CHECKING:
    from llmendpoint.cluster.client import Cluster

SUBJECT = "Metrics"
PROBES_IN_FLIGHT = 16
SERVICE_HOST = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(\..+)?")


@dataclass(frozen=True)
class Probe:
    """Whether one endpoint's metrics were found."""

    endpoint: str
    what: str
    """What was asked."""
    problem: str | None = None
    skipped: bool = False
    """Nothing was asked; the problem says why."""
    operator_reads: bool = False
    """The operator says that it reads every replica, whatever was found here."""


async def probe_metrics(cluster: "Cluster", endpoints: Sequence[Manifest]) -> tuple[Probe, ...]:
    """Ask for the metrics of every endpoint whose scaler needs them."""
    room = asyncio.Semaphore(PROBES_IN_FLIGHT)

    async def probe(endpoint: Endpoint) -> Probe:
        async with room:
            try:
                return replace(await _probe(cluster, endpoint), operator_reads=_is_read(endpoint))
            except Forbidden as error:
                if "is forbidden:" in error.said:  # by the API server, and not by who answers behind its proxy
                    return Probe(_key(endpoint), "proxy", f"you may not ask: {error.said}", skipped=True)
                return Probe(_key(endpoint), "its metrics", error.said)
            except ClusterError as error:
                return Probe(_key(endpoint), "its pods", str(error))

    scaled = [endpoint for body in endpoints if (endpoint := _scaled(body))]
    return tuple(await asyncio.gather(*map(probe, scaled)))


def _scaled(body: Manifest) -> Endpoint | None:
    try:
        endpoint = Endpoint.from_object(body)
    except ValidationError:  # the check of the endpoints says so
        return None
    scaling = endpoint.spec.scaling
    return endpoint if scaling is not None and scaling.mode != "Off" else None


def _is_read(endpoint: Endpoint) -> bool:
    conditions = endpoint.status.conditions
    return any(entry.type == ConditionType.METRICS_AVAILABLE and entry.status == "True" for entry in conditions)


def _key(endpoint: Endpoint) -> str:
    return f"{endpoint.namespace}/{endpoint.name}"


async def _probe(cluster: "Cluster", endpoint: Endpoint) -> Probe:
    scaling = endpoint.spec.scaling
    if scaling is not None and scaling.metrics.prometheus is not None:
        return await _prometheus(cluster, endpoint, scaling.metrics.prometheus.url)
    return await _pod(cluster, endpoint)


async def _pod(cluster: "Cluster", endpoint: Endpoint) -> Probe:
    selector = f"{names.LABEL_ENDPOINT}={endpoint.name},{names.LABEL_COMPONENT}={names.COMPONENT_ENGINE}"
    pods = await cluster.list(POD, endpoint.namespace, selector)
    ready = next((pod for pod in map(view_of, pods) if pod.phase is PodPhase.READY), None)
    if ready is None:
        return Probe(_key(endpoint), "a ready replica", "no replica is ready", skipped=True)
    facts = engine_for(endpoint.spec.engine.type)
    what = f"/metrics of pod {ready.name}"
    try:
        text = await cluster.read(POD.path(endpoint.namespace, f"{ready.name}:{facts.port}", "proxy/metrics"))
    except Forbidden:
        raise
    except ClusterError as error:
        return Probe(_key(endpoint), what, error.said or str(error))
    if facts.metrics.prefix not in text and not facts.metrics.appear_on_use:
        return Probe(_key(endpoint), what, f"has no metric of {endpoint.spec.engine.type} ({facts.metrics.prefix}...)")
    return Probe(_key(endpoint), what)


async def _prometheus(cluster: "Cluster", endpoint: Endpoint, url: str) -> Probe:
    path = service_proxy(url)
    if path is None:
        words = f"{url} is no Service of this cluster (NAME.NAMESPACE.svc), so it is not asked from here"
        return Probe(_key(endpoint), "Prometheus", words, skipped=True)
    what = f"Prometheus at {url}"
    try:
        answer = json.loads(await cluster.read(f"{path}/api/v1/query", {"query": "vector(1)"}))
        known = answer["status"] == "success"
    except Forbidden:
        raise
    except ClusterError as error:
        return Probe(_key(endpoint), what, error.said or str(error))
    except (ValueError, LookupError, TypeError):
        known = False
    return Probe(_key(endpoint), what, None if known else "does not answer as a Prometheus server does")


def service_proxy(url: str) -> str | None:
    """Where the API server's proxy has an address; None where that is no Service of the cluster."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    found = SERVICE_HOST.fullmatch(parts.hostname or "")
    if found is None:
        return None
    scheme = "https:" if parts.scheme == "https" else ""
    return SERVICE.path(found[2], f"{scheme}{found[1]}:{port}", "proxy") + parts.path.rstrip("/")


def check_metrics(probes: Sequence[Probe]) -> Iterator[Check]:
    """One line for those that answer, and one for each that does not."""
    if answered := [probe for probe in probes if probe.problem is None]:
        what = f"{len(answered)} of {len(probes)} scaled endpoints answer"
        yield Check(level="ok", subject=SUBJECT, found=f"{what}, for example {answered[0].what}")
    for probe in probes:
        if probe.problem is not None:
            yield _unanswered(probe, probe.problem)


def _unanswered(probe: Probe, problem: str) -> Check:
    if probe.skipped:
        return Check(level="skip", subject=SUBJECT, found=f"{probe.endpoint}: {problem}")
    found = f"{probe.endpoint}: {probe.what}: {problem}"
    if probe.operator_reads:
        todo = (
            "the operator does read them: only the way from the API server is closed, which logs and webhooks use too"
        )
        return Check(level="warn", subject=SUBJECT, found=found, todo=todo)
    todo = "without readings the size is held: see the pod's log and NetworkPolicies, or the address"
    return Check(level="fail", subject=SUBJECT, found=found, todo=todo)
