"""What is to be told of an endpoint whose replicas are groups of pods, becomes such a one or ceases to be."""

from llmendpoint.api import names
from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.manifests.workload import LEADER_WORKER_SET
from llmendpoint.reconcile.observation import Observation
from llmendpoint.reconcile.trouble import Trouble
from llmendpoint.scaling.signals import PodPhase

# What the next try of a group may end with as well.
ENDINGS = (Reason.OUT_OF_MEMORY, Reason.STARTUP_TIMEOUT, Reason.CRASH_LOOP)


def not_installed(seen: Observation) -> Trouble | None:
    """The cluster lacks the kind that makes groups."""
    kind, _ = seen.workload_key(names.COMPONENT_ENGINE)
    if kind not in names.OPTIONAL_KINDS or kind in seen.served:
        return None
    serves_on = f"; its {seen.predecessor['kind']} serves on until then" if seen.predecessor else ""
    return Trouble(
        Reason.LEADER_WORKER_SET_MISSING,
        f"engine.nodesPerReplica is {seen.endpoint.spec.engine.nodes_per_replica}, and this cluster has no {kind} that "
        "the operator can use: install it (https://lws.sigs.k8s.io/docs/installation/), and the endpoint goes on by "
        f"itself within a minute, or set engine.nodesPerReplica to 1{serves_on}",
    )


def too_old(seen: Observation) -> Trouble | None:
    """The controller of the groups says nothing by which one could tell when it has made the current revision."""
    workload = seen.workload_of(names.COMPONENT_ENGINE)
    said = (workload or {}).get("status") or {}
    if workload is None or workload["kind"] != LEADER_WORKER_SET or not said or "observedGeneration" in said:
        return None
    return Trouble(
        Reason.LEADER_WORKER_SET_MISSING,
        f"{LEADER_WORKER_SET} is older than 0.9, and does not tell when groups are of the current revision: install a "
        "later one (https://lws.sigs.k8s.io/docs/installation/)",
    )


def last_ending(seen: Observation) -> Trouble | None:
    """What a group last ended with: its pods are gone, and the status is all that tells of it."""
    endpoint = seen.endpoint
    if not endpoint.spec.engine.is_spread:
        return None
    for said in endpoint.status.conditions:
        if said.type == ConditionType.READY and said.observed_generation == endpoint.generation:
            return next((Trouble(reason, said.message) for reason in ENDINGS if reason == said.reason), None)
    return None


def missing_pods(seen: Observation, replicas: int) -> str:
    """Where to look when groups are not whole: nothing but the events of their StatefulSets says why."""
    nodes = seen.endpoint.spec.engine.nodes_per_replica
    there = sum(pod.phase is not PodPhase.DRAINING for pod in (*seen.engine_pods, *seen.worker_pods))
    if nodes == 1 or there >= nodes * replicas:
        return ""
    return (
        f"; {nodes * replicas - there} pods of their groups do not exist yet: if that stays so, see kubectl describe "
        f"statefulset -l leaderworkerset.sigs.k8s.io/name={seen.workload_key(names.COMPONENT_ENGINE)[1]}"
    )


def takeover(seen: Observation) -> Trouble | None:
    """The engine's Deployment makes way for a LeaderWorkerSet, or the other way round."""
    before, after = seen.predecessor, seen.workload_of(names.COMPONENT_ENGINE)
    if before is None or after is None:
        return None
    return Trouble(
        Reason.ROLLING_OUT,
        f"{after['kind']} {after['metadata']['name']} takes over from the {before['kind']} of that name, which goes "
        "when all replicas of the new one are ready",
    )
