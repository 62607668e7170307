"""Endpoints, pods and readings for tests, each with defaults that are well."""

from pathlib import Path
from typing import Any

import yaml

from llmendpoint.api import names
from llmendpoint.api.batch import Batch
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.scaling import Scaling
from llmendpoint.api.status import Clamp
from llmendpoint.scaling.decision import Decision, Outcome, Replicas, Unread
from llmendpoint.scaling.engine_model import EngineModel, Requests
from llmendpoint.scaling.signals import EngineSample, PodPhase, PodReading
from llmendpoint.scaling.step_time import FEWEST_SPANS, PRIOR, StepTime

NOW = 1_750_000_000.0
CREATED = "2025-06-15T15:00:00Z"


def endpoint(
    name: str = "llama", namespace: str = "team", status: dict[str, Any] | None = None, **spec: Any
) -> Endpoint:
    """An endpoint; ``spec`` is in the wire form."""
    return Endpoint.from_object(endpoint_object(name, namespace, status, **spec))


def endpoint_object(
    name: str = "llama", namespace: str = "team", status: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "name": name, "namespace": namespace, "uid": f"uid-{name}", "generation": 1, "resourceVersion": "1",
        },
        "spec": {"model": {"source": "hf://acme/llama"}, **spec},
        "status": status or {},
    }  # fmt: skip


def endpoint_file(directory: Path, namespace: str = "team", **spec: Any) -> Path:
    """A file with the endpoint "llama", as a user has it; ``spec`` is in the wire form."""
    path = directory / "endpoint.yaml"
    body = endpoint_object(namespace=namespace, **spec)
    body["metadata"] = {"name": "llama", "namespace": namespace}
    path.write_text(yaml.safe_dump({name: body[name] for name in ("apiVersion", "kind", "metadata", "spec")}))
    return path


def scaling(**spec: Any) -> Scaling:
    """spec.scaling; arguments in the wire form."""
    return Scaling.model_validate({"maxReplicas": 10, **spec})


def decision(at: float, desired: int, *, raw: int | None = None, held_by: str | None = None, **more: Any) -> Decision:
    """A decision to leave the count as it is, or what ``more`` says in its place."""
    raw = desired if raw is None else raw
    holding = Clamp(name=held_by, before=raw, after=desired) if held_by else None
    usual: dict[str, Any] = {
        "current": desired, "reason": Outcome.HELD if held_by else Outcome.STEADY, "holding": holding,
        "desire": Unread(raw, "the sum"), "replicas": Replicas(desired),
    }  # fmt: skip
    return Decision(**{"time": at, "desired": desired} | usual | more)


def model_of(seconds: float, prefill: float = 0.0) -> EngineModel:
    """A model by which a request takes so many replica-seconds, some of them until its first token."""
    per_token = PRIOR[1]
    requests = Requests(prefill / PRIOR[2], (seconds - prefill) / per_token)
    return EngineModel(StepTime(factors=(0.0, 1.0, 1.0), spans=FEWEST_SPANS), requests)


def sample(at: float, **numbers: Any) -> EngineSample:
    return EngineSample(taken_at=at, **numbers)


def reading(pod: str, phase: PodPhase = PodPhase.READY, taken: EngineSample | None = None) -> PodReading:
    return PodReading(pod, phase, taken)


def pod(
    name: str = "llama-engine-1",
    *,
    component: str = names.COMPONENT_ENGINE,
    ready: bool = True,
    deleting: bool = False,
    conditions: list[dict[str, Any]] | None = None,
    containers: list[dict[str, Any]] | None = None,
    annotations: dict[str, str] | None = None,
    ip: str | None = "127.0.0.1",
    phase: str = "Running",
    grace: int = 80,
) -> dict[str, Any]:
    """A pod as the API server returns it."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": "team",
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "creationTimestamp": CREATED,
        "labels": {names.LABEL_ENDPOINT: "llama", names.LABEL_COMPONENT: component},
        "annotations": annotations or {},
    }
    if deleting:
        metadata |= {"deletionTimestamp": CREATED, "deletionGracePeriodSeconds": grace}
    own = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": "2025-06-15T15:01:30Z"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {},
        "status": {
            "phase": phase,
            **({"podIP": ip} if ip else {}),
            "conditions": [*own, *(conditions or [])],
            "containerStatuses": containers
            if containers is not None
            else [{"name": "engine", "image": "i", "ready": ready, "started": True, "state": {"running": {}}}],
        },
    }


BATCH_SPEC: dict[str, Any] = {
    "endpointRef": {"name": "llama"},
    "input": {"uri": "pvc://prompts/march.jsonl"},
    "output": {"uri": "pvc://answers/march"},
}


def batch_object(name: str = "march", status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A batch as the API server returns it; ``spec`` is in the wire form, and None takes a field away."""
    metadata = {"name": name, "namespace": "team", "uid": f"uid-{name}", "generation": 1, "resourceVersion": "1"}
    whole = {field: value for field, value in {**BATCH_SPEC, **spec}.items() if value is not None}
    kind = {"apiVersion": names.API_VERSION, "kind": names.BATCH_KIND}
    return {**kind, "metadata": metadata, "spec": whole, "status": status or {}}


def batch(name: str = "march", status: dict[str, Any] | None = None, **spec: Any) -> Batch:
    return Batch.from_object(batch_object(name, status, **spec))


def batch_job(*conditions: dict[str, Any], suspend: bool = False, **status: Any) -> dict[str, Any]:
    """The Job of the batch "march" as the API server returns it, begun a minute after the batch was made."""
    owner = {"apiVersion": names.API_VERSION, "kind": names.BATCH_KIND, "name": "march", "uid": "uid-march"}
    metadata = {"name": "march", "namespace": "team", "uid": "uid-job", "ownerReferences": [owner]}
    begun = {"startTime": "2025-06-15T15:01:00Z", "conditions": list(conditions)}
    return {"kind": "Job", "metadata": metadata, "spec": {"suspend": suspend}, "status": {**begun, **status}}


def batch_pod(
    shard: int, phase: str = "Running", *, number: int = 1, code: int | None = None, said: str = "", **state: Any
) -> dict[str, Any]:
    """A pod of that Job.

    Args:
        number: which pod of the shard; later ones are younger.
        code: how its worker ended, if it has.
        said: its last words.
    """
    if code is not None:
        state["terminated"] = {"exitCode": code, "message": said, **state.pop("terminated", {})}
    made = pod(
        f"march-{shard}-{number}",
        component=names.COMPONENT_BATCH,
        ready=phase == "Running",
        phase=phase,
        containers=[{"name": "batch", "image": "i", "ready": phase == "Running", "state": state or {"running": {}}}],
        annotations={"batch.kubernetes.io/job-completion-index": str(shard)},
    )
    made["metadata"]["labels"] = {names.LABEL_BATCH: "march", names.LABEL_COMPONENT: names.COMPONENT_BATCH}
    made["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "march", "uid": "uid-job"}]
    made["metadata"]["creationTimestamp"] = f"2025-06-15T15:0{number}:00Z"
    return made
