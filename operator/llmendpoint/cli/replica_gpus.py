"""How many GPUs one replica of an endpoint takes, by the manifest that the operator would make."""

from collections import Counter

from llmendpoint import manifests
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.reconcile.gpus import gpus_among, gpus_of_replica


def replica_gpus(endpoint: Endpoint) -> Counter[str]:
    """GPUs by resource name. Of a spec that makes no manifest, those of its own resources."""
    defaults = manifests.ManifestDefaults(allow_privileged_pod_templates=True)  # which changes no resource
    if manifests.problems(endpoint, defaults):
        engine = endpoint.spec.engine
        each = gpus_among(engine.replica_resources.limits or {})
        return Counter({resource: number * engine.nodes_per_replica for resource, number in each.items()})
    return gpus_of_replica(manifests.engine_workload(endpoint, defaults))
