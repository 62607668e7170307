"""How many GPUs one replica of an endpoint takes, by the manifest that the operator would make."""

from collections import Counter

from llmendpoint import manifests
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests.engine import engine_deployment
from llmendpoint.reconcile.gpus import gpus_of


def replica_gpus(endpoint: Endpoint) -> Counter[str]:
    """GPUs by resource name. Of a spec that makes no manifest, those of its own resources."""
    defaults = manifests.ManifestDefaults(allow_privileged_pod_templates=True)  # which changes no resource
    if manifests.problems(endpoint, defaults):
        return gpus_of({"containers": [{"resources": endpoint.spec.engine.replica_resources.to_wire()}]})
    return gpus_of(engine_deployment(endpoint, defaults)["spec"]["template"]["spec"])
