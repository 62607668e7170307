"""Whether the nodes have as many GPUs as the endpoints may ask for."""

from collections import Counter
from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.cli.checks.check import Check, unread
from llmendpoint.cli.replica_gpus import replica_gpus
from llmendpoint.cluster.errors import ClusterError
from llmendpoint.manifests.common import Manifest
from llmendpoint.reconcile.gpus import gpus_among, gpus_of
from llmendpoint.reconcile.observation import is_finished

SUBJECT = "GPUs"


def check_gpus(
    nodes: list[Manifest] | ClusterError, pods: list[Manifest] | ClusterError, endpoints: list[Manifest] | ClusterError
) -> Iterator[Check]:
    """A line for each GPU resource that nodes have or endpoints need."""
    if isinstance(nodes, ClusterError):
        yield unread(SUBJECT, nodes)
        return
    if isinstance(pods, ClusterError):
        yield unread(SUBJECT, pods)
        return
    if isinstance(endpoints, ClusterError):
        return  # the check of the endpoints says so
    allocatable = _allocatable(nodes)
    needed = _needed(endpoints)
    own = {(body["metadata"]["namespace"], body["metadata"]["name"]) for body in endpoints}
    held, requested = _requested(pods, own)
    for resource in sorted(allocatable.keys() | needed.keys()):
        yield _resource(resource, allocatable[resource], requested[resource], held[resource], needed[resource])
    if not allocatable and not needed:
        yield Check(level="ok", subject=SUBJECT, found="no node has any, and no endpoint asks for one")


def _allocatable(nodes: Sequence[Manifest]) -> Counter[str]:
    """Of nodes that take pods."""
    total: Counter[str] = Counter()
    for node in nodes:
        if not (node.get("spec") or {}).get("unschedulable"):
            total += gpus_among((node.get("status") or {}).get("allocatable") or {})
    return total


def _requested(pods: Sequence[Manifest], own: set[tuple[str, str]]) -> tuple[Counter[str], Counter[str]]:
    """GPUs of the endpoints' pods, and of all pods, on nodes."""
    held: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for pod in pods:
        if is_finished(pod) or "nodeName" not in pod["spec"]:
            continue
        gpus = gpus_of(pod["spec"])
        total += gpus
        metadata = pod["metadata"]
        if (metadata["namespace"], (metadata.get("labels") or {}).get(names.LABEL_ENDPOINT)) in own:
            held += gpus
    return held, total


def _needed(endpoints: Sequence[Manifest]) -> Counter[str]:
    """What all endpoints take at their most."""
    total: Counter[str] = Counter()
    for body in endpoints:
        try:
            endpoint = Endpoint.from_object(body)
        except ValidationError:  # the check of the endpoints says so
            continue
        for resource, each in replica_gpus(endpoint).items():
            total[resource] += each * _most(endpoint, each)
    return total


def _most(endpoint: Endpoint, each: int) -> int:
    """Replicas that may run at once."""
    scaling = endpoint.spec.scaling
    if scaling is None or scaling.mode != "Active":
        return endpoint.spec.replicas if endpoint.spec.replicas is not None else endpoint.status.replicas
    most = max([scaling.max_replicas, *(schedule.max_replicas or 0 for schedule in scaling.schedules)])
    return most if scaling.max_gpus is None else max(min(most, scaling.max_gpus // max(each, 1)), scaling.min_replicas)


def _resource(resource: str, allocatable: int, requested: int, held: int, needed: int) -> Check:
    found = f"{resource}: {allocatable} allocatable, {requested} requested"
    if not needed:
        return Check(level="ok", subject=SUBJECT, found=found)
    found = f"{found} ({held} by endpoints), {needed} needed by endpoints at maxReplicas"
    if not allocatable:
        return Check(
            level="fail",
            subject=SUBJECT,
            found=f"{found}: no node has any",
            todo="add GPU nodes, and install the vendor's device plugin",
        )
    short = needed + requested - held - allocatable
    if short > 0:
        return Check(
            level="warn",
            subject=SUBJECT,
            found=f"{found}: {short} short",
            todo="add nodes (a node autoscaler may do so), or lower maxReplicas or set maxGPUs",
        )
    return Check(level="ok", subject=SUBJECT, found=found)
