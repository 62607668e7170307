"""What has to be written so that the cluster says what the endpoint says: applies, deletions, the replica count."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmendpoint.api import names
from llmendpoint.manifests.workload import DEPLOYMENT
from llmendpoint.reconcile.adapters import untold
from llmendpoint.reconcile.drift import agrees
from llmendpoint.reconcile.handover import held_back
from llmendpoint.reconcile.observation import ChildKey, Manifest, Observation, PodView, is_owned, rolling_out
from llmendpoint.reconcile.prefetch import fetch_before, stale_jobs, waits_for_model
from llmendpoint.reconcile.replicas import SpecReplicas
from llmendpoint.scaling.signals import PodPhase, finite

# A replica that never served has no streams to finish; an engine loses the first SIGTERM while it loads, so
# its GPU would stay busy for the whole grace period. It does all the same where the kubelet has begun to end the
# container, which it then does with the grace that it began with: so up to 1.36 at least, kubernetes/kubernetes#113883.
NEVER_READY_GRACE_SECONDS = 5
SERVED = frozenset({PodPhase.READY, PodPhase.UNREADY, PodPhase.DRAINING})


@dataclass(frozen=True)
class Scale:
    """Set what makes the engine's replicas to a number of them."""

    workload: ChildKey
    current: int | None
    replicas: int


@dataclass(frozen=True)
class Plan:
    """All writes of one reconcile, in the order in which they are carried out."""

    costs: Mapping[str, int]
    """Pod name -> pod-deletion-cost to set before a scale-in."""
    adapters: Mapping[str, str]
    """Pod name -> list of adapters to tell its loader."""
    applies: tuple[Mapping[str, Any], ...]
    scale: Scale | None
    deletes: tuple[ChildKey, ...]
    evictions: tuple[PodView, ...]
    """Terminating pods that never served: shorten their grace."""
    spec_replicas: SpecReplicas
    """What to write into the endpoint's own spec.replicas."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (
            self.costs
            or self.adapters
            or self.applies
            or self.scale
            or self.deletes
            or self.evictions
            or self.spec_replicas != "keep"
        )


def make_plan(
    seen: Observation,
    *,
    desired: Sequence[Mapping[str, Any]],
    replicas: int | None,
    load: Mapping[str, float],
    accepted: Mapping[ChildKey, Any] | None = None,
    is_whole: bool = True,
    spec_replicas: SpecReplicas = "keep",
) -> Plan:
    """Compare what is with what should be.

    Args:
        seen: the endpoint with its children and pods.
        desired: manifests of the children.
        replicas: engine replicas to run; None leaves the count alone.
        load: requests in flight by engine pod, to choose whom a scale-in takes.
        accepted: children in the form in which the API server stored our last apply, where that form never
            agrees literally with what was applied.
        is_whole: whether these are all children; otherwise the others that are there stay as they are.
        spec_replicas: see Plan.
    """
    wanted = {(body["kind"], body["metadata"]["name"]): body for body in desired}
    held = held_back(seen, wanted)
    scale = _scale(seen, replicas, wanted)
    stale = set(stale_jobs(seen))
    return Plan(
        costs=_costs(seen.engine_pods, load) if scale and _chooses_pods(scale) else {},
        adapters=untold(seen),
        applies=tuple(
            body
            for key, body in wanted.items()
            if key not in held
            and _is_served(key, seen)
            and not _is_current(body, seen.children.get(key), (accepted or {}).get(key))
            and not _waits_for_engine(body, seen, wanted)
            and not (key == seen.workload_key(names.COMPONENT_ENGINE) and waits_for_model(seen))
            and not (key[0] == "Job" and fetch_before(seen))
        ),
        scale=scale,
        deletes=tuple(
            sorted(
                key
                for key, body in seen.children.items()
                if is_whole
                and (key in stale or (key not in {*wanted, *held} and is_owned(body, seen.endpoint.uid)))
                and _is_served(key, seen)
                and _lives(body)
            )
        ),
        evictions=tuple(_without_streams(seen)),
        spec_replicas=spec_replicas,
    )


def fingerprint(child: Manifest) -> Any:
    """The part of a stored child, metadata aside, that tells whether somebody edited it."""
    return {key: value for key, value in child.items() if key not in {"status", "metadata", "apiVersion", "kind"}}


def _is_served(child: ChildKey, seen: Observation) -> bool:
    """What is of a kind that the API server does not serve now is left as it is: it can be neither read nor written."""
    kind, _ = child
    return kind not in names.OPTIONAL_KINDS or kind in seen.served


def _is_current(body: Mapping[str, Any], child: Manifest | None, accepted: Any) -> bool:
    if child is not None and child["kind"] == "Job":
        return True  # it can not be changed, and its name says what it does
    if child is None or not _lives(child) or _hash_of(child) != _hash_of(body):
        return False
    if accepted is not None and accepted == fingerprint(child):
        return agrees(body["metadata"], child["metadata"])
    return agrees(body, child)


def _waits_for_engine(body: Mapping[str, Any], seen: Observation, wanted: Mapping[ChildKey, Mapping[str, Any]]) -> bool:
    """A new revision of the business service waits for the engine's: it keeps serving during the roll-out."""
    key = (body["kind"], body["metadata"]["name"])
    engine, business = (seen.workload_key(part) for part in (names.COMPONENT_ENGINE, names.COMPONENT_BUSINESS))
    if key != business or engine not in seen.children or business not in seen.children:
        return False
    if _hash_of(seen.children[business]) == _hash_of(body):
        return False  # somebody edited the revision that is rolled out
    running = seen.children[engine]
    return _hash_of(running) != _hash_of(wanted[engine]) or rolling_out(running)


def _hash_of(body: Manifest) -> str | None:
    found: str | None = (body["metadata"].get("annotations") or {}).get(names.ANNOTATION_HASH)
    return found


def _lives(body: Manifest) -> bool:
    return "deletionTimestamp" not in body["metadata"]


def _scale(seen: Observation, replicas: int | None, wanted: Mapping[ChildKey, Any]) -> Scale | None:
    """The order for what is to make the replicas, or for what makes them as long as the other one can not be made."""
    workload, key = seen.engine_workload, seen.workload_key(names.COMPONENT_ENGINE)
    if workload is not None and not (key in wanted and _is_served(key, seen)):
        key = workload["kind"], workload["metadata"]["name"]
    current = seen.children[key]["spec"].get("replicas") if key in seen.children else None
    return None if replicas is None or replicas == current else Scale(key, current, replicas)


def _chooses_pods(scale: Scale) -> bool:
    """Whether it takes replicas away, and those that cost least. Of a LeaderWorkerSet the last ones go."""
    return scale.current is not None and scale.replicas < scale.current and scale.workload[0] == DEPLOYMENT


def _costs(pods: Iterable[PodView], load: Mapping[str, float]) -> dict[str, int]:
    """The busier a replica, the dearer. Pods that are not ready go first by themselves (ReplicaSet order)."""
    return {
        pod.name: cost
        for pod in pods
        if pod.phase is PodPhase.READY
        and pod.name in load
        and (cost := round(finite(load[pod.name]))) != pod.deletion_cost
    }


def _without_streams(seen: Observation) -> Iterable[PodView]:
    """Terminating pods that have nothing to finish: replicas that never served, and workers without one that does."""
    served = {pod.group for pod in seen.engine_pods if not pod.never_started and pod.phase in SERVED}
    for pod in (*seen.engine_pods, *seen.worker_pods):
        grace = pod.body["metadata"].get("deletionGracePeriodSeconds", 0)
        is_worker = pod.component == names.COMPONENT_ENGINE_WORKER
        is_done = pod.group not in served if is_worker else pod.never_started
        if pod.phase is PodPhase.DRAINING and is_done and grace > NEVER_READY_GRACE_SECONDS:
            yield pod
