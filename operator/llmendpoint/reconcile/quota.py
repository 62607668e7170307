"""How many replicas the ResourceQuotas of a namespace let exist, so that the scaler orders none that is refused."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from llmendpoint.manifests.workload import LEADER_WORKER_SET
from llmendpoint.reconcile.gpus import gpus_of_replica
from llmendpoint.reconcile.observation import Manifest, Observation
from llmendpoint.reconcile.quantity import amount
from llmendpoint.scaling.decision import Room
from llmendpoint.scaling.signals import PodPhase


def room_in(quotas: Iterable[Manifest], seen: Observation, promised: Counter[str]) -> Room | None:
    """What the tightest quota on GPUs leaves to an endpoint; None where none is on its GPUs.

    Quotas with a scope are for some pods only, and left out.

    Args:
        quotas: those of the namespace, as fresh as can be.
        promised: GPUs of the replicas that others were ordered and that no quota counts yet, by resource.
    """
    rooms = []
    for quota in quotas:
        if quota["spec"].get("scopes") or quota["spec"].get("scopeSelector"):
            continue
        for resource, each in replica_gpus(seen).items():
            hard = _counted(quota, "hard", resource)
            if hard is None or not each:
                continue
            free = max(int(hard - (_counted(quota, "used", resource) or 0)) - promised[resource], 0)
            why = (
                f"ResourceQuota {quota['metadata']['name']} has {free} of {hard} {resource} left, "
                f"and a replica takes {each}"
            )
            rooms.append(Room(_counted_pods(seen) + free // each, why))
    return min(rooms, key=lambda room: room.replicas, default=None)


def promised_to(seen: Observation, wanted: int) -> Counter[str]:
    """GPUs of an endpoint's replicas that are ordered and whose pods do not exist yet, by resource.

    Args:
        wanted: replicas that are ordered.
    """
    missing = max(wanted - _counted_pods(seen), 0)
    return Counter({resource: missing * each for resource, each in replica_gpus(seen).items()})


def replica_gpus(seen: Observation) -> Counter[str]:
    """GPUs of one more replica by resource; empty where nothing makes replicas yet."""
    workload = seen.engine_workload
    return gpus_of_replica(workload) if workload else Counter()


def _counted(quota: Manifest, column: str, resource: str) -> Decimal | None:
    """An entry of the quota's status. Of extended resources only requests can be limited."""
    return amount(((quota.get("status") or {}).get(column) or {}).get(f"requests.{resource}"))


def _counted_pods(seen: Observation) -> int:
    """Replicas that exist. Draining ones, and those of a workload that makes way, go and give back what they hold."""
    workload = seen.engine_workload
    is_group = workload is not None and workload["kind"] == LEADER_WORKER_SET
    return sum(pod.phase is not PodPhase.DRAINING and bool(pod.group) is is_group for pod in seen.engine_pods)
