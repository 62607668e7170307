"""How many GPUs a pod asks for; every kind of accelerator is called a GPU here."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from llmendpoint.api.accelerators import is_accelerator
from llmendpoint.manifests.workload import replica_pods
from llmendpoint.reconcile.quantity import amount

Manifest = Mapping[str, Any]


def gpus_of(pod_spec: Manifest) -> Counter[str]:
    """GPUs of a pod by resource name, as the scheduler counts them.

    https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#resource-sharing-within-containers
    """
    first: Counter[str] = Counter()
    sidecars: Counter[str] = Counter()
    for container in pod_spec.get("initContainers") or ():
        own = _limits(container)
        if container.get("restartPolicy") == "Always":
            sidecars += own
            first |= sidecars
        else:
            first |= sidecars + own
    together = sidecars
    for container in pod_spec.get("containers") or ():
        together = together + _limits(container)
    return together | first


def gpus_of_replica(workload: Manifest) -> Counter[str]:
    """GPUs of one replica by resource name, by the manifest of what makes the engine's replicas."""
    total: Counter[str] = Counter()
    for pod_spec, pods in replica_pods(workload):
        total += Counter({resource: each * pods for resource, each in gpus_of(pod_spec).items()})
    return total


def gpus_among(resources: Manifest) -> Counter[str]:
    """The GPUs among amounts by resource name: a container's limits, what a node has to give."""
    return Counter({name: int(amount(value) or 0) for name, value in resources.items() if is_accelerator(name)})


def _limits(container: Manifest) -> Counter[str]:
    return gpus_among((container.get("resources") or {}).get("limits") or {})
