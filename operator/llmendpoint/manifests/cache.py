"""The claim that keeps model weights and the compile cache over restarts and for all replicas."""

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests.common import Manifest, metadata


def cache_claims(endpoint: Endpoint) -> list[Manifest]:
    """The cache claim, where the model asks for one."""
    cache = endpoint.spec.model.cache
    if cache is None:
        return []
    spec: Manifest = {"accessModes": [cache.access_mode], "resources": {"requests": {"storage": cache.size}}}
    if cache.storage_class_name:
        spec["storageClassName"] = cache.storage_class_name
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata(endpoint, f"{endpoint.name}-cache", names.COMPONENT_ENGINE),
            "spec": spec,
        }
    ]
