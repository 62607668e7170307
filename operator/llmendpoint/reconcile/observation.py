"""The state of the world regarding one endpoint, read out of plain API objects."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests.engine import ENGINE_CONTAINER
from llmendpoint.manifests.workload import DEPLOYMENT, WORKLOADS, workload_kind
from llmendpoint.scaling.record import epoch
from llmendpoint.scaling.signals import PodPhase

Manifest = Mapping[str, Any]
# By which a Deployment and a LeaderWorkerSet say which of their revisions a pod is of.
REVISION_LABELS = ("pod-template-hash", "leaderworkerset.sigs.k8s.io/template-revision-hash")
GROUP_LABEL = "leaderworkerset.sigs.k8s.io/group-index"
ChildKey = tuple[str, str]
"""(kind, name) of a child."""


@dataclass(frozen=True)
class PodView:
    """What matters of one pod.

    Times are seconds since the epoch.
    """

    name: str
    uid: str
    component: str
    phase: PodPhase
    ip: str | None
    created: float
    ready_since: float | None
    unready_since: float | None
    never_started: bool
    """The engine container runs and has not passed its startup probe."""
    deletion_cost: int
    body: Manifest

    @property
    def cold_start(self) -> float | None:
        """Seconds from creation to ready; None after a restart. A cold start only where the pod is newly ready."""
        if self.ready_since is None or restarts(self.body):
            return None
        return self.ready_since - self.created

    @property
    def revision(self) -> str:
        """The revision that the pod is of, by the label that its controller sets; empty without one."""
        labels = self.body["metadata"].get("labels") or {}
        return str(next((labels[name] for name in REVISION_LABELS if name in labels), ""))

    @property
    def group(self) -> str:
        """The number of the pod's group; empty where a replica is one pod."""
        return str((self.body["metadata"].get("labels") or {}).get(GROUP_LABEL, ""))


@dataclass(frozen=True)
class Observation:
    """One endpoint, its children and its pods at one instant."""

    endpoint: Endpoint
    children: Mapping[ChildKey, Manifest]
    pods: tuple[PodView, ...]
    fetches: tuple[Manifest, ...] = ()
    """Pods that fetch a model or have, oldest first."""
    served: frozenset[str] = frozenset()
    """Which of names.OPTIONAL_KINDS the API server serves."""

    @property
    def engine_pods(self) -> tuple[PodView, ...]:
        """Pods that serve, one for each replica."""
        return tuple(pod for pod in self.pods if pod.component == names.COMPONENT_ENGINE)

    @property
    def worker_pods(self) -> tuple[PodView, ...]:
        """The pods beside them, where a replica takes several nodes."""
        return tuple(pod for pod in self.pods if pod.component == names.COMPONENT_ENGINE_WORKER)

    @property
    def engine_workload(self) -> Manifest | None:
        """What makes the engine's replicas; until one of the kind that the spec asks for is there, the one before."""
        return self.workload_of(names.COMPONENT_ENGINE) or self.predecessor

    @property
    def predecessor(self) -> Manifest | None:
        """The engine's workload of the kind that the spec does not ask for any more, while it is there."""
        wanted, name = self.workload_key(names.COMPONENT_ENGINE)
        return next(
            (self.children[kind, name] for kind in WORKLOADS if kind != wanted and (kind, name) in self.children), None
        )

    @property
    def ordered(self) -> int | None:
        """Engine replicas that are ordered; None where there is no workload, or none with a count yet."""
        workload = self.engine_workload
        return workload["spec"].get("replicas") if workload else None

    def workload_key(self, component: str) -> ChildKey:
        """Where what makes the pods of a component is among the children."""
        kind = workload_kind(self.endpoint) if component == names.COMPONENT_ENGINE else DEPLOYMENT
        return kind, f"{self.endpoint.name}-{component}"

    def workload_of(self, component: str) -> Manifest | None:
        """What makes the pods of a component, where it exists."""
        return self.children.get(self.workload_key(component))

    @property
    def serving_revision(self) -> str:
        """The one revision that all ready engine pods are of; empty where there is none, or a roll-out is under way."""
        revisions = {pod.revision for pod in self.engine_pods if pod.phase is PodPhase.READY}
        return revisions.pop() if len(revisions) == 1 else ""

    def count(self, phase: PodPhase) -> int:
        """Engine pods in a phase."""
        return sum(pod.phase is phase for pod in self.engine_pods)


def observe(
    endpoint: Endpoint, children: Iterable[Manifest], pods: Iterable[Manifest], served: frozenset[str] = frozenset()
) -> Observation:
    """Gather one Observation from objects as the API server returns them. Only what the endpoint owns is its child."""
    there = list(pods)
    fetches = [body for body in there if _component_of(body) == names.COMPONENT_PREFETCH]
    return Observation(
        endpoint=endpoint,
        children={(body["kind"], body["metadata"]["name"]): body for body in children if is_ours(body, endpoint)},
        pods=tuple(sorted((view_of(body) for body in there if not is_finished(body)), key=lambda pod: pod.name)),
        fetches=tuple(sorted(fetches, key=lambda body: str(body["metadata"]["creationTimestamp"]))),
        served=served,
    )


def is_owned(body: Manifest, uid: str) -> bool:
    """Whether what has the uid owns an object: our label alone may be on anybody's object."""
    return any(owner["uid"] == uid for owner in body["metadata"].get("ownerReferences") or ())


def is_ours(body: Manifest, endpoint: Endpoint) -> bool:
    """Whether an object is the endpoint's, or was left by a predecessor (``kubectl delete --cascade=orphan``)."""
    if body["metadata"].get("ownerReferences"):
        return is_owned(body, endpoint.uid)
    return bool((body["metadata"].get("labels") or {}).get(names.LABEL_MANAGED_BY) == names.MANAGED_BY)


def view_of(body: Manifest) -> PodView:
    """What matters of a pod."""
    metadata, status = body["metadata"], body.get("status") or {}
    ready = condition(body, "Ready")
    is_ready = ready is not None and ready["status"] == "True"
    engine = container_status(body, ENGINE_CONTAINER)
    return PodView(
        name=metadata["name"],
        uid=metadata["uid"],
        component=_component_of(body),
        phase=_phase(body, ready, engine),
        ip=status.get("podIP"),
        created=epoch(metadata["creationTimestamp"]),
        ready_since=epoch(ready["lastTransitionTime"]) if ready and is_ready else None,
        unready_since=epoch(ready["lastTransitionTime"]) if ready and not is_ready else None,
        never_started=bool(engine and "running" in engine.get("state", {}) and not engine.get("started")),
        deletion_cost=int(metadata.get("annotations", {}).get(names.ANNOTATION_DELETION_COST, "0")),
        body=body,
    )


def _component_of(body: Manifest) -> str:
    return str((body["metadata"].get("labels") or {}).get(names.LABEL_COMPONENT, ""))


def _phase(body: Manifest, ready: Manifest | None, engine: Manifest | None) -> PodPhase:
    if "deletionTimestamp" in body["metadata"]:
        return PodPhase.DRAINING
    if ready and ready["status"] == "True":
        return PodPhase.READY
    # A pod is not ready before its containers start. Ready that changed later was true meanwhile.
    running = (engine or {}).get("state", {}).get("running") or {}
    if ready and "startedAt" in running and epoch(ready["lastTransitionTime"]) > epoch(running["startedAt"]):
        return PodPhase.UNREADY
    scheduled = condition(body, "PodScheduled")
    if scheduled and scheduled["status"] == "False" and scheduled.get("reason") == "Unschedulable":
        return PodPhase.UNSCHEDULABLE
    return PodPhase.STARTING


def is_finished(body: Manifest) -> bool:
    """Whether a pod has ended: evicted, failed or done. It is replaced and serves nothing."""
    return (body.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def ending(body: Manifest, container: str) -> Manifest:
    """How a container of a pod ended; empty where it has not."""
    state = (container_status(body, container) or {}).get("state") or {}
    return state.get("terminated") or {}


def condition(body: Manifest, kind: str) -> Manifest | None:
    """The condition of a type in an object's status."""
    conditions: list[Manifest] = (body.get("status") or {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == kind), None)


def rolling_out(workload: Manifest, revised_at: int | None = None) -> bool:
    """Whether a workload still has replicas of an older revision, or its controller has not seen the new one yet.

    Args:
        revised_at: generation of the last change of the pod template; every change counts where it is not known.
    """
    status = workload.get("status") or {}
    if revised_at is None:
        revised_at = workload["metadata"].get("generation", 0)
    if status.get("observedGeneration", 0) < revised_at:
        return True
    return bool(status.get("replicas", 0) > status.get("updatedReplicas", 0))


def container_statuses(body: Manifest) -> list[Manifest]:
    """Status of the pod's containers, init containers first."""
    status = body.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def container_status(body: Manifest, name: str) -> Manifest | None:
    """Status of one container of a pod."""
    return next((entry for entry in container_statuses(body) if entry["name"] == name), None)


def restarts(body: Manifest) -> int:
    """Restarts of the pod's containers together."""
    return sum(entry.get("restartCount", 0) for entry in container_statuses(body))
