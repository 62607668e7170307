"""All that the doctor reads of a cluster. What can not be read is data as well: not everybody may see everything."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from llmendpoint.api.schema import DEFINITIONS
from llmendpoint.cli.checks.check import Check
from llmendpoint.cli.checks.permissions import Review, review_permissions
from llmendpoint.cli.checks.reachability import Probe, probe_metrics
from llmendpoint.cli.connection import sentence
from llmendpoint.cluster.errors import ClusterError, Forbidden
from llmendpoint.cluster.kinds import CRD, DEPLOYMENT, ENDPOINT, LEASE, NODE, POD
from llmendpoint.manifests.common import Manifest

if TYPE_CHECKING:
    from llmendpoint.cluster.client import Cluster

OPERATOR = "llmendpoint-operator"
OPERATOR_SELECTOR = f"app.kubernetes.io/name={OPERATOR}"
USUAL_NAMESPACE = "llmendpoint-system"

Value = TypeVar("Value")


@dataclass(frozen=True)
class Examination:
    """What was read, or why it was not."""

    server: str
    version: str
    namespace: str | None
    """The one that was looked at; None for all of them."""
    crds: tuple[Manifest | ClusterError | None, ...]
    """In the order of DEFINITIONS."""
    operators: list[Manifest] | ClusterError
    lease: Manifest | ClusterError | None
    reviews: tuple[Review, ...] | ClusterError
    """Of the operator's permissions; none where there is no operator to ask about."""
    endpoints: list[Manifest] | ClusterError
    nodes: list[Manifest] | ClusterError
    pods: list[Manifest] | ClusterError
    """Of all namespaces."""
    probes: tuple[Probe, ...]


async def examine(cluster: "Cluster", namespace: str | None) -> Examination | Check:
    """Look at a cluster. One whose API server does not answer has one line.

    Args:
        namespace: the one whose endpoints are looked at; None for all that one may see.
    """
    version = await _attempt(cluster.version())
    if isinstance(version, ClusterError):
        return Check(level="fail", subject="API server", found=sentence(version, cluster.server))
    crds = await asyncio.gather(*(_attempt(cluster.get(CRD, None, entry.name)) for entry in DEFINITIONS))
    operators, nodes, pods = await asyncio.gather(
        _operators(cluster),
        _attempt(cluster.list(NODE)),
        _attempt(cluster.list(POD)),
    )
    looked_at, endpoints = await _endpoints(cluster, namespace)
    usual = {"namespace": USUAL_NAMESPACE, "name": OPERATOR}
    installed = operators[0]["metadata"] if isinstance(operators, list) and operators else usual
    lease = await _attempt(cluster.get(LEASE, installed["namespace"], installed["name"]))
    reviews = await _attempt(review_permissions(cluster, operators[:1] if isinstance(operators, list) else []))
    probes = await probe_metrics(cluster, endpoints if isinstance(endpoints, list) else [])
    return Examination(
        cluster.server, version, looked_at, tuple(crds), operators, lease, reviews, endpoints, nodes, pods, probes
    )


async def _operators(cluster: "Cluster") -> list[Manifest] | ClusterError:
    """Operators anywhere, or where one usually is."""
    found = await _attempt(cluster.list(DEPLOYMENT, None, OPERATOR_SELECTOR))
    if isinstance(found, Forbidden):
        return await _attempt(cluster.list(DEPLOYMENT, USUAL_NAMESPACE, OPERATOR_SELECTOR))
    return found


async def _endpoints(cluster: "Cluster", namespace: str | None) -> tuple[str | None, list[Manifest] | ClusterError]:
    """The endpoints, and the namespace that they are from."""
    found = await _attempt(cluster.list(ENDPOINT, namespace))
    if namespace is None and isinstance(found, Forbidden):
        return cluster.namespace, await _attempt(cluster.list(ENDPOINT, cluster.namespace))
    return namespace, found


async def _attempt(reading: Awaitable[Value]) -> Value | ClusterError:
    try:
        return await reading
    except ClusterError as error:
        return error
