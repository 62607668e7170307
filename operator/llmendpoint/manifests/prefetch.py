"""The Job that fills the cache volume once, before engines load from it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from llmendpoint.api import names
from llmendpoint.api.accelerators import is_accelerator
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.engines.facts import CACHE_PATH, FETCHED_PATH
from llmendpoint.manifests.common import (
    CONTROL_PORT,
    RESTRICTED,
    Manifest,
    ManifestDefaults,
    http_probe,
    literal,
    metadata,
    selector,
)
from llmendpoint.manifests.engine import engine_template
from llmendpoint.manifests.fetching import fetch_environment, passed
from llmendpoint.manifests.pod_template import strategic_merge

PREFETCH_CONTAINER = "prefetch"
CONTROL_NUMBER = 9901
# The fetch's exit code for what will be no better the next time.
EXIT_REFUSED = 2
# With the Job's pauses, 10 s and twice as long each time up to 6 min, an hour goes by.
RETRIES = 14
USER = 65532
RESOURCES: Manifest = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "4Gi"}}
# An endpoint's name has up to 50 characters, and a Job's no more than 63, because its pods have it as a label.
LONGEST_NAME = 45
PLACEMENT = ("nodeSelector", "tolerations", "affinity", "imagePullSecrets", "priorityClassName")
OWNERS = ("runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy", "supplementalGroups")


@dataclass(frozen=True)
class Download:
    """What is fetched into one folder, as the Job's program reads it."""

    source: str
    revision: str | None
    folder: str


def downloads(endpoint: Endpoint) -> tuple[Download, ...]:
    """All that the Job fetches, in its order."""
    model = endpoint.spec.model
    if not model.is_fetched_first:
        return ()
    revision = model.revision if model.origin.scheme == "hf" else None
    return (Download(model.source, revision, model.origin.folder(model.revision)),)


def prefetch_name(endpoint: Endpoint) -> str:
    """The Job's name: another one when something else is fetched, or in another way, and else the same for ever.

    A Job can not be changed, so all that mends one which failed or has no node is in the name.
    """
    model = endpoint.spec.model
    how = [part.to_wire() for part in (model.token_secret_ref, model.s3, *passed(endpoint.spec)) if part]
    size = model.cache.size if model.cache else None
    told = [endpoint.name, [asdict(one) for one in downloads(endpoint)], how, size, _where(endpoint)]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]
    return f"{endpoint.name[:LONGEST_NAME].rstrip('-')}-prefetch-{digest}"


def prefetch_jobs(endpoint: Endpoint, defaults: ManifestDefaults, in_use: Iterable[str] = ()) -> list[Manifest]:
    """The Job, where there is something to fetch.

    Args:
        in_use: paths that engines load from now. What else is in the folder of models is removed.
    """
    if not downloads(endpoint):
        return []
    meta = metadata(endpoint, prefetch_name(endpoint), names.COMPONENT_PREFETCH)
    return [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": meta,
            "spec": {
                "backoffLimit": RETRIES,
                "podFailurePolicy": {
                    "rules": [
                        {
                            "action": "FailJob",
                            "onExitCodes": {
                                "containerName": PREFETCH_CONTAINER,
                                "operator": "In",
                                "values": [EXIT_REFUSED],
                            },
                        },
                        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    ]
                },
                # Two at the same time would write the same files.
                "podReplacementPolicy": "Failed",
                "template": {"metadata": {"labels": meta["labels"]}, "spec": _pod(endpoint, defaults, in_use)},
            },
        }
    ]


def prefetch_problems(endpoint: Endpoint) -> list[str]:
    """Rules of model.cache.prefetch that the spec breaks."""
    cache = endpoint.spec.model.cache
    if cache is None or not cache.prefetch:
        return []
    found = []
    if not downloads(endpoint):
        found.append(
            f"model.cache.prefetch has nothing to fetch: {endpoint.spec.model.origin.scheme}:// is mounted as it is; "
            "leave it out"
        )
    if cache.access_mode == "ReadWriteOncePod":
        found.append(
            "model.cache.prefetch can not fetch a new model while a replica has a ReadWriteOncePod volume: use "
            "ReadWriteMany, or ReadWriteOnce on one node"
        )
    return found


def _where(endpoint: Endpoint) -> Manifest:
    """On which nodes the pod may run and as whom: what decides of it in the spec."""
    engine, template = endpoint.spec.engine, (endpoint.spec.engine.pod_template or {}).get("spec")
    if not isinstance(template, Mapping):  # a problem that is said elsewhere
        template = {}
    return {
        "nodes": engine.node_labels,
        "tolerations": [entry.to_wire() for entry in engine.tolerations],
        "taints": _tolerated(endpoint),
        "secrets": engine.image_pull_secrets,
        "template": {field: template[field] for field in (*PLACEMENT, "securityContext") if field in template},
    }


def _pod(endpoint: Endpoint, defaults: ManifestDefaults, in_use: Iterable[str]) -> Manifest:
    engine = strategic_merge(engine_template(endpoint, defaults), endpoint.spec.engine.pod_template or {})["spec"]
    pod: Manifest = {
        "containers": [_container(endpoint, defaults, in_use)],
        "restartPolicy": "Never",
        "volumes": [
            {"name": "cache", "persistentVolumeClaim": {"claimName": f"{endpoint.name}-cache"}},
            {"name": "tmp", "emptyDir": {}},
        ],
        "terminationGracePeriodSeconds": 5,
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": _security(engine.get("securityContext") or {}),
        # Where engines may run, so that a volume that only one node or zone has is one that they reach.
        **{field: engine[field] for field in PLACEMENT if field in engine},
    }
    if taints := _tolerated(endpoint):
        pod["tolerations"] = [*pod.get("tolerations", ()), *taints]
    if endpoint.spec.model.cache and endpoint.spec.model.cache.access_mode == "ReadWriteOnce":
        pod.setdefault("affinity", _near_engines(endpoint))
    return pod


def _security(engines: Mapping[str, Any]) -> Manifest:
    """The engine's user where the pod template names one, whom the volume lets write; else one of our own."""
    owners = {field: engines[field] for field in OWNERS if field in engines}
    ours = {"runAsUser": USER, "runAsGroup": USER, "fsGroup": USER, "fsGroupChangePolicy": "OnRootMismatch"} | owners
    return {"runAsNonRoot": ours["runAsUser"] != 0, **ours, "seccompProfile": {"type": "RuntimeDefault"}}


def _tolerated(endpoint: Endpoint) -> list[Manifest]:
    """The taints of nodes with accelerators, which admission lets pass those that ask for some."""
    asked = endpoint.spec.engine.replica_resources.limits or {}
    return [{"key": name, "operator": "Exists", "effect": "NoSchedule"} for name in asked if is_accelerator(name)]


def _near_engines(endpoint: Endpoint) -> Manifest:
    """While a replica has a ReadWriteOnce volume no other node gets it."""
    near = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": selector(endpoint, names.COMPONENT_ENGINE)},
    }
    return {
        "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": near}]}
    }


def _container(endpoint: Endpoint, defaults: ManifestDefaults, in_use: Iterable[str]) -> Manifest:
    told = [json.dumps(asdict(one)) for one in downloads(endpoint)]
    keep = sorted({PurePosixPath(path).name for path in in_use})
    return {
        "name": PREFETCH_CONTAINER,
        "image": defaults.fetch_image,
        "command": ["/app/bin/python", "-m", "modelfetch"],
        "args": [
            "run",
            f"--root={FETCHED_PATH}",
            *(f"--download={literal(one)}" for one in told),
            *(f"--keep={literal(one)}" for one in keep),
            f"--control-port={CONTROL_NUMBER}",
        ],
        "env": fetch_environment(endpoint.spec, {one.source.partition("://")[0] for one in downloads(endpoint)}),
        "ports": [{"name": CONTROL_PORT, "containerPort": CONTROL_NUMBER}],
        # One that hangs is followed by another, which goes on from the files that are there.
        "livenessProbe": http_probe("/readyz", CONTROL_PORT, period=20, timeout=10, failures=6),
        "resources": RESOURCES,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "cache", "mountPath": CACHE_PATH}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": True},
    }
