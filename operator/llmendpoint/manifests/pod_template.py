"""Strategic merge of a user's pod template over the operator's, by the rules of the Kubernetes API.

https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""

from collections.abc import Mapping, Sequence
from typing import Any

# The merge keys of the Pod API for the lists that have one; all other lists are replaced whole.
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "volumes": "name",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}


def strategic_merge(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """``patch`` over ``base``: maps merge, null deletes, keyed lists merge by key, other lists are replaced."""
    merged = dict(base)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(name), Mapping):
            merged[name] = strategic_merge(merged[name], value)
        elif isinstance(value, list) and name in MERGE_KEYS and isinstance(merged.get(name), list):
            merged[name] = _merge_lists(merged[name], value, MERGE_KEYS[name])
        else:
            merged[name] = value
    return merged


def _merge_lists(base: Sequence[Any], patch: Sequence[Any], key: str) -> list[Any]:
    result = {entry.get(key): entry for entry in base}
    for entry in patch:
        known = result.get(entry.get(key))
        if entry.get("$patch") == "delete":
            result.pop(entry.get(key), None)
        else:
            result[entry.get(key)] = strategic_merge(known, entry) if known else entry
    return list(result.values())
