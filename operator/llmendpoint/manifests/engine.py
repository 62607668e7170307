"""The pod that runs the engine, and the Deployment of it where a replica is one pod."""

import math

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.serving import Engine
from llmendpoint.engines import engine_for
from llmendpoint.engines.facts import CACHE_PATH, MODEL_PATH, model_argument
from llmendpoint.manifests.adapters import (
    adapter_mounts,
    adapter_volumes,
    list_volume,
    loader_container,
    loads_adapters,
)
from llmendpoint.manifests.business import business_container
from llmendpoint.manifests.common import (
    RESTRICTED,
    Manifest,
    ManifestDefaults,
    http_probe,
    is_sidecar,
    merged_env,
    metadata,
    secret_variable,
    selector,
    variable,
)
from llmendpoint.manifests.pod_template import strategic_merge
from llmendpoint.manifests.s3 import s3_environment
from llmendpoint.manifests.untyped import by_name, mapping

ENGINE_CONTAINER = "engine"
STARTUP_PERIOD_SECONDS = 2
# Nothing is to be looked for on the hub where the model is on a volume.
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
WHO = ("runAsUser", "runAsGroup", "runAsNonRoot")
# From the last token to the exit a real vLLM took about 10 s.
EXIT_SECONDS = 15


def engine_deployment(endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    """The engine's Deployment. spec.replicas is left out: the scaler owns it."""
    engine = endpoint.spec.engine
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": engine_metadata(endpoint),
        "spec": {
            "selector": {"matchLabels": selector(endpoint, names.COMPONENT_ENGINE)},
            "strategy": surge if engine.rollout == "Surge" else {"type": "Recreate"},
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": engine.startup_timeout_seconds + 120,
            "template": serving_template(endpoint, defaults),
        },
    }


def serving_template(endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    """The template of the pod that serves, with the user's merged over it."""
    template = strategic_merge(engine_template(endpoint, defaults), endpoint.spec.engine.pod_template or {})
    if is_sidecar(endpoint):
        template = _engine_around_business(template)
    # Selector labels are not the user's: a pod without them is nobody's.
    return strategic_merge(template, {"metadata": {"labels": selector(endpoint, names.COMPONENT_ENGINE)}})


def engine_template(endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    """The pod template over which the user's is merged."""
    return {
        "metadata": {"labels": engine_metadata(endpoint)["labels"], **_model_path(endpoint)},
        "spec": _pod_spec(endpoint, defaults),
    }


def engine_metadata(endpoint: Endpoint) -> Manifest:
    """Metadata of what the engine's replicas are made by."""
    return metadata(endpoint, f"{endpoint.name}-engine", names.COMPONENT_ENGINE) | _model_path(endpoint)


def _model_path(endpoint: Endpoint) -> Manifest:
    """So that it is known what a replica of an older revision loads, and nobody removes it."""
    if not endpoint.spec.model.is_fetched_first:
        return {}
    return {"annotations": {names.ANNOTATION_MODEL: model_argument(endpoint.spec)}}


def _engine_around_business(template: Manifest) -> Manifest:
    """The engine as a native sidecar: the business service starts when it is ready, and it ends last.

    So the business service can call it to the end of its last request. The user's template sees it among the
    containers all the same, in every placement.
    """
    pod = dict(template["spec"])
    (engine,) = (entry for entry in pod["containers"] if entry["name"] == ENGINE_CONTAINER)
    others = [entry for entry in pod["containers"] if entry is not engine]
    inits = [*pod.pop("initContainers", []), {**engine, "restartPolicy": "Always"}]
    return {**template, "spec": {"initContainers": inits, **pod, "containers": others}}


def _pod_spec(endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    engine = endpoint.spec.engine
    sidecar = endpoint.spec.business if is_sidecar(endpoint) else None
    pod: Manifest = {
        "containers": [
            _container(endpoint, defaults),
            *([business_container(endpoint, sidecar)] if sidecar else []),
            *([loader_container(endpoint, defaults, _user(endpoint))] if loads_adapters(endpoint.spec) else []),
        ],
        "volumes": _volumes(endpoint),
        "terminationGracePeriodSeconds": engine.pre_stop_seconds + engine.drain_seconds + EXIT_SECONDS,
        # A Service called vllm would inject VLLM_PORT and kill the engine.
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    }
    if engine.node_labels:
        pod["nodeSelector"] = engine.node_labels
    if engine.resource_claims:
        pod["resourceClaims"] = [claim.to_wire() for claim in engine.resource_claims]
    if engine.tolerations:
        pod["tolerations"] = [entry.to_wire() for entry in engine.tolerations]
    if engine.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in engine.image_pull_secrets]
    return pod


def _container(endpoint: Endpoint, defaults: ManifestDefaults) -> Manifest:
    spec, engine = endpoint.spec, endpoint.spec.engine
    facts = engine_for(engine.type)
    container: Manifest = {
        "name": ENGINE_CONTAINER,
        "image": defaults.image_of(engine.type, engine.image, facts.default_image),
        "command": list(facts.command),
        "args": [*facts.arguments(spec), *engine.args],
        "env": _environment(endpoint),
        "ports": [{"name": "http", "containerPort": facts.port}],
        "resources": _resources(engine),
        # Nothing listens until the model is loaded, so only the startup probe may judge the load.
        "startupProbe": http_probe(
            facts.health_path,
            "http",
            period=STARTUP_PERIOD_SECONDS,
            timeout=5,
            failures=math.ceil(engine.startup_timeout_seconds / STARTUP_PERIOD_SECONDS),
        ),
        "readinessProbe": http_probe(facts.health_path, "http", period=5, timeout=5, failures=3),
        # Lenient: an engine whose workers die exits by itself, and a busy one answers late.
        "livenessProbe": http_probe(facts.health_path, "http", period=10, timeout=10, failures=6),
        # After SIGTERM an engine answers 500 to new requests while it still counts as ready.
        "lifecycle": {"preStop": {"sleep": {"seconds": engine.pre_stop_seconds}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(endpoint),
        # No runAsNonRoot and no read-only root: the vendors' images run as root and write beside their code.
        "securityContext": dict(RESTRICTED),
    }
    if engine.image_pull_policy:
        container["imagePullPolicy"] = engine.image_pull_policy
    return container


def _user(endpoint: Endpoint) -> Manifest:
    """Who the engine is: whom the user's template names, otherwise root as in the vendors' images."""
    pod = mapping((endpoint.spec.engine.pod_template or {}).get("spec"))
    theirs = mapping(by_name(pod.get("containers")).get(ENGINE_CONTAINER, {}).get("securityContext"))
    named = {field: theirs[field] for field in WHO if field in theirs}
    is_named = {"runAsUser", "runAsNonRoot"} & {*named, *mapping(pod.get("securityContext"))}
    return named if is_named else {"runAsUser": 0, **named}


def _resources(engine: Engine) -> Manifest:
    claims = [{"name": claim.name} for claim in engine.resource_claims]
    return engine.replica_resources.to_wire() | ({"claims": claims} if claims else {})


def _environment(endpoint: Endpoint) -> list[Manifest]:
    spec = endpoint.spec
    facts = engine_for(spec.engine.type)
    ours = {"HOME": "/tmp", "HF_HOME": f"{CACHE_PATH}/huggingface", **facts.environment(spec)}  # noqa: S108
    env = [variable(name, value) for name, value in ours.items()]
    if spec.model.is_fetched_first:
        env += [variable(name, "1") for name in OFFLINE]
    elif spec.model.token_secret_ref:
        env.append(secret_variable("HF_TOKEN", spec.model.token_secret_ref))
    if spec.model.origin.scheme == "s3" and not spec.model.is_fetched_first:
        env += s3_environment(spec.model.s3)
        if spec.model.s3 and spec.model.s3.region:
            # vLLM lists the bucket by boto3, which reads this one alone.
            env.append(variable("AWS_DEFAULT_REGION", spec.model.s3.region))
    if spec.engine.api_key_secret_ref:
        env.append(secret_variable(facts.api_key_variable, spec.engine.api_key_secret_ref))
    return merged_env(env, spec.engine.env)


def _mounts(endpoint: Endpoint) -> list[Manifest]:
    mounts: list[Manifest] = [
        {"name": "cache", "mountPath": CACHE_PATH},
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - tensor parallelism talks through it
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
    ]
    if _model_volume(endpoint):
        mounts.append({"name": "model", "mountPath": MODEL_PATH, "readOnly": True})
    return [*mounts, *adapter_mounts(endpoint.spec)]


def _volumes(endpoint: Endpoint) -> list[Manifest]:
    claim = {"persistentVolumeClaim": {"claimName": f"{endpoint.name}-cache"}}
    return [
        {"name": "cache", **(claim if endpoint.spec.model.cache else {"emptyDir": {}})},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
        {"name": "tmp", "emptyDir": {}},
        *_model_volume(endpoint),
        *adapter_volumes(endpoint.spec),
        *([list_volume()] if loads_adapters(endpoint.spec) else []),
    ]


def _model_volume(endpoint: Endpoint) -> list[Manifest]:
    origin = endpoint.spec.model.origin
    if origin.claim:
        return [{"name": "model", "persistentVolumeClaim": {"claimName": origin.claim, "readOnly": True}}]
    return [{"name": "model", "image": {"reference": origin.root}}] if origin.scheme == "oci" else []
