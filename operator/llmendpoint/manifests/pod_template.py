"""Strategic merge of a user's pod template over the operator's, by the rules of the Kubernetes API.

https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
"""

from collections.abc import Iterator, Mapping, Sequence
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
    "resourceClaims": "name",
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


def template_problems(template: Mapping[str, Any]) -> list[str]:
    """What can not be merged in a user's pod template. All else is for the API server to judge, which knows pods."""
    maps = [("metadata", template.get("metadata")), ("spec", template.get("spec"))]
    if isinstance(template.get("metadata"), Mapping):
        maps.append(("metadata.labels", template["metadata"].get("labels")))
    wrong = [
        f"engine.podTemplate.{path} must be an object" for path, value in maps if not isinstance(value, Mapping | None)
    ]
    return [*wrong, *_entries_without_key(template, "engine.podTemplate")]


def _entries_without_key(node: Any, path: str) -> Iterator[str]:
    for name, value in node.items() if isinstance(node, Mapping) else ():
        if isinstance(value, list) and name in MERGE_KEYS:
            for index, entry in enumerate(value):
                where, key = f"{path}.{name}[{index}]", MERGE_KEYS[name]
                if isinstance(entry, Mapping) and isinstance(entry.get(key), str | int):
                    yield from _entries_without_key(entry, where)
                else:
                    yield f"{where} must be an object with a {key}, by which it is merged"
        else:
            yield from _entries_without_key(value, f"{path}.{name}")


def _merge_lists(base: Sequence[Any], patch: Sequence[Any], key: str) -> list[Any]:
    result = {entry.get(key): entry for entry in base}
    for entry in patch:
        known = result.get(entry.get(key))
        if entry.get("$patch") == "delete":
            result.pop(entry.get(key), None)
        else:
            result[entry.get(key)] = strategic_merge(known, entry) if known else entry
    return list(result.values())
