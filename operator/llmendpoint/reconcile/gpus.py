"""How many GPUs a pod asks for, by the names of the vendors' device plugins."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from llmendpoint.reconcile.quantity import amount

Manifest = Mapping[str, Any]

# A MIG instance counts as one. Intel's plugin also counts tiles, memory and its monitor, which are no devices.
_GPU = re.compile(r"nvidia\.com/(gpu(\.shared)?|mig-.+)|amd\.com/gpu|gpu\.intel\.com/(i915|xe)|habana\.ai/gaudi")


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


def gpus_among(resources: Manifest) -> Counter[str]:
    """The GPUs among amounts by resource name: a container's limits, what a node has to give."""
    return Counter({name: int(amount(value) or 0) for name, value in resources.items() if _GPU.fullmatch(name)})


def _limits(container: Manifest) -> Counter[str]:
    return gpus_among((container.get("resources") or {}).get("limits") or {})
