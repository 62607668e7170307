"""What makes the engine's replicas: a Deployment where one is a pod, a LeaderWorkerSet where one is a group of pods."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests import leader_worker_set
from llmendpoint.manifests.common import Manifest, ManifestDefaults
from llmendpoint.manifests.engine import engine_deployment

DEPLOYMENT: Final = "Deployment"
LEADER_WORKER_SET: Final = leader_worker_set.KIND
WORKLOADS: Final = (DEPLOYMENT, LEADER_WORKER_SET)


def workload_kind(endpoint: Endpoint) -> str:
    """The kind that the spec asks for."""
    return LEADER_WORKER_SET if endpoint.spec.engine.is_spread else DEPLOYMENT


def engine_workload(endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    """What makes the engine's replicas. spec.replicas is left out: the scaler owns it."""
    if endpoint.spec.engine.is_spread:
        return leader_worker_set.leader_worker_set(endpoint, defaults)
    return engine_deployment(endpoint, defaults)


def replica_pods(workload: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], int]]:
    """The specs of the pods of one replica, and how many there are of each."""
    spec = workload["spec"]
    if workload["kind"] == DEPLOYMENT:
        yield spec["template"]["spec"], 1
        return
    group = spec["leaderWorkerTemplate"]
    yield group["leaderTemplate"]["spec"], 1
    yield group["workerTemplate"]["spec"], group["size"] - 1
