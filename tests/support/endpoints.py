"""The LLMEndpoint of a test, one per namespace: apply it, look at it."""

import json
from typing import Any

from localcluster.cluster import Cluster
from support.kube import get

NAME = "llama"


def engine_env(startup_seconds: int = 2, **others: str) -> list[dict[str, str]]:
    """Variables of a simulated engine: how long it starts; it ends half a second after its last token."""
    values = {"ENGINESIM_STARTUP_SECONDS": str(startup_seconds), "ENGINESIM_EXIT_SECONDS": "0.5", **others}
    return [{"name": name, "value": value} for name, value in values.items()]


def apply(cluster: Cluster, namespace: str, *, name: str = NAME, **spec: Any) -> None:
    """Create or change it, or one of another name; ``spec`` is in the wire form."""
    body = {
        "apiVersion": "llmendpoint.dev/v1alpha1",
        "kind": "LLMEndpoint",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"model": {"source": "hf://acme/llama"}, **spec},
    }
    cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(body, ensure_ascii=False)
    )


def endpoint(cluster: Cluster, namespace: str) -> dict[str, Any]:
    return get(cluster, "llmendpoint", NAME, "-n", namespace)


def status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = endpoint(cluster, namespace).get("status", {})
    return found


def condition(cluster: Cluster, namespace: str, kind: str) -> dict[str, Any]:
    return next(entry for entry in status(cluster, namespace)["conditions"] if entry["type"] == kind)


def reason(cluster: Cluster, namespace: str) -> str:
    """Why Ready is as it is, in one word."""
    return str(condition(cluster, namespace, "Ready")["reason"])


def is_unread(cluster: Cluster, namespace: str, replicas: int = 1) -> bool:
    """Whether it is told that none of so many replicas can be read: of those on fake nodes no more is to come."""
    told = condition(cluster, namespace, "MetricsAvailable")
    return (told["reason"], str(told["message"]).count(f"{NAME}-engine-")) == ("MetricsUnknown", replicas)


def replicas(cluster: Cluster, namespace: str) -> int:
    """Engine replicas that the operator ordered."""
    return int(get(cluster, "deployment", f"{NAME}-engine", "-n", namespace)["spec"]["replicas"])


def ready(cluster: Cluster, namespace: str, replicas: int | None = None) -> bool:
    """Whether the current spec is served, by a number of replicas if one is given.

    Raises:
        RuntimeError: it is not; the message is the operator's.
    """
    body = endpoint(cluster, namespace)
    seen = body.get("status", {})
    conditions = {entry["type"]: entry for entry in seen.get("conditions", [])}
    if conditions["Ready"]["status"] != "True":
        raise RuntimeError(conditions["Ready"]["message"])
    if seen["observedGeneration"] != body["metadata"]["generation"]:
        return False
    return replicas is None or (seen["readyReplicas"] == replicas and seen["replicas"] == replicas)
