"""What loads LoRA adapters into an engine that serves: a container beside it, and the list that it is given.

The list is an annotation of each pod, which the container reads by the downward API. It is not in the pod template, so
that another list replaces no pod.
"""

import json
from typing import Final

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint, EndpointSpec
from llmendpoint.engines import engine_for
from llmendpoint.engines.facts import ADAPTER_PATH, CACHE_PATH, adapter_path, adapter_volume, served_model
from llmendpoint.manifests.common import (
    CONTROL_NUMBERS,
    CONTROL_PORT,
    RESTRICTED,
    Manifest,
    ManifestDefaults,
    http_probe,
    secret_variable,
)
from llmendpoint.manifests.fetching import fetch_environment

ADAPTERS_CONTAINER: Final = "adapters"
LIST_PATH = "/etc/llmendpoint"
# Of the variable that TGI reads: NAME=PATH@REVISION,...
_SEPARATORS = frozenset(",=@")
LIST_FILE = "adapters"
RESOURCES: Manifest = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}


def loads_adapters(spec: EndpointSpec) -> bool:
    """Whether the engine gets its adapters while it serves."""
    return spec.model.adapters is not None and engine_for(spec.engine.type).adapters.api is not None


def adapter_list(spec: EndpointSpec) -> str:
    """The annotation's value: every adapter, and where it lies or comes from."""
    return json.dumps(
        [
            {
                "name": adapter.name,
                "source": adapter.source,
                **({"revision": adapter.revision} if adapter.revision else {}),
                **(
                    {"path": path}
                    if (path := adapter_path(spec, adapter))
                    else {"folder": adapter.origin.folder(adapter.revision)}
                ),
            }
            for adapter in spec.model.adapters or ()
        ],
        separators=(",", ":"),
    )


def adapter_volumes(spec: EndpointSpec) -> list[Manifest]:
    """Volumes of claims and images, each once; those that the model has already are left out."""
    found = {}
    for adapter in spec.model.adapters or ():
        origin = adapter.origin
        if origin.claim and origin.claim != spec.model.origin.claim:
            source: Manifest = {"persistentVolumeClaim": {"claimName": origin.claim, "readOnly": True}}
        elif origin.scheme == "oci":
            source = {"image": {"reference": origin.root}}
        else:
            continue
        found[adapter_volume(adapter)] = source
    return [{"name": name, **source} for name, source in sorted(found.items())]


def adapter_mounts(spec: EndpointSpec) -> list[Manifest]:
    """Where those are, for the engine."""
    return [
        {"name": volume["name"], "mountPath": f"{ADAPTER_PATH}/{volume['name']}", "readOnly": True}
        for volume in adapter_volumes(spec)
    ]


def list_volume() -> Manifest:
    """The list as a file. It is empty until the operator has written the annotation."""
    field = f"metadata.annotations['{names.ANNOTATION_ADAPTERS}']"
    return {"name": "adapter-list", "downwardAPI": {"items": [{"path": LIST_FILE, "fieldRef": {"fieldPath": field}}]}}


def loader_container(endpoint: Endpoint, defaults: ManifestDefaults, user: Manifest) -> Manifest:
    """The container that fetches adapters and has the engine load them. The pod is not ready before that was tried.

    Args:
        user: fields of a security context that say who the engine is, on whose volume it writes.
    """
    spec = endpoint.spec
    facts, business = engine_for(spec.engine.type), spec.business
    control = next(number for number in CONTROL_NUMBERS if not business or number != business.port)
    return {
        "name": ADAPTERS_CONTAINER,
        "image": defaults.fetch_image,
        "command": ["/app/bin/python", "-m", "adapterloader"],
        "args": [
            f"--engine={facts.adapters.api}",
            f"--engine-url=http://127.0.0.1:{facts.port}",
            f"--list={LIST_PATH}/{LIST_FILE}",
            f"--root={CACHE_PATH}/adapters",
            f"--given={ADAPTER_PATH}",
            f"--control-port={control}",
        ],
        "env": _environment(spec),
        "ports": [{"name": CONTROL_PORT, "containerPort": control}],
        "readinessProbe": http_probe("/readyz", CONTROL_PORT, period=2, timeout=5, failures=3),
        "livenessProbe": http_probe("/livez", CONTROL_PORT, period=20, timeout=10, failures=6),
        "resources": RESOURCES,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "cache", "mountPath": CACHE_PATH},
            {"name": "adapter-list", "mountPath": LIST_PATH, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
        "securityContext": {**RESTRICTED, **user, "readOnlyRootFilesystem": True},
    }


def adapter_problems(spec: EndpointSpec) -> list[str]:
    """What the API server can not check, each with what to do."""
    facts, found = engine_for(spec.engine.type).adapters, []
    cache, schemes = spec.model.cache, {adapter.origin.scheme for adapter in spec.model.adapters or ()}
    if spec.engine.is_spread and schemes & {"hf", "s3"} and (not cache or cache.access_mode != "ReadWriteMany"):
        found.append(
            "model.adapters of hf:// and s3:// are fetched on one node, and with engine.nodesPerReplica above 1 all "
            "nodes read them: add a model.cache with accessMode ReadWriteMany, or use pvc://"
        )
    for adapter in spec.model.adapters or ():
        origin = adapter.origin
        if adapter.name == served_model(spec):
            found.append(
                f"model.adapters has {adapter.name}, which is the model's own name: give the adapter another name, or "
                "the model one by model.servedName"
            )
        if origin.scheme not in facts.source_schemes:
            known = ", ".join(f"{name}://" for name in sorted(facts.source_schemes))
            found.append(
                f"{spec.engine.type} can not load adapter {adapter.name} from {origin.scheme}://: use one of {known}"
            )
        if facts.api is None and origin.scheme == "hf" and adapter.name != origin.root:
            found.append(
                f"{spec.engine.type} calls adapter {adapter.name} as the hub does: set its name to {origin.root}"
            )
        if facts.api is None and origin.scheme == "hf" and spec.model.is_fetched_first:
            found.append(
                f"{spec.engine.type} fetches adapter {adapter.name} from the hub by itself, which an engine may not "
                "with model.cache.prefetch: use pvc://, or leave prefetch out"
            )
        if facts.api is None and _SEPARATORS & {*(origin.path or adapter.revision or "")}:
            found.append(
                f"{spec.engine.type} takes a list of adapters apart at , = and @: give adapter {adapter.name} a path "
                "and a revision without them"
            )
    return found


def _environment(spec: EndpointSpec) -> list[Manifest]:
    # Of both schemes: the next adapter may come from elsewhere, and is not to change the pod.
    env, key = fetch_environment(spec, {"hf", "s3"}), spec.engine.api_key_secret_ref
    return [*env, secret_variable("OPENAI_API_KEY", key)] if key else env
