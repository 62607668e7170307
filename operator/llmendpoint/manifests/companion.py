"""The Deployment of pods of our own beside the engine: restricted by the Pod Security Standards, without a token."""

from collections.abc import Sequence
from typing import Any

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests.common import Manifest, metadata, selector

# From the last answer to the exit.
EXIT_SECONDS = 15
SURGE: Manifest = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def companion_deployment(
    endpoint: Endpoint,
    component: str,
    container: Manifest,
    *,
    replicas: int,
    grace_seconds: int,
    strategy: Manifest = SURGE,
    volumes: Sequence[Manifest] = (),
    **security: Any,
) -> Manifest:
    """The Deployment ``NAME-COMPONENT``, spread over nodes.

    Args:
        grace_seconds: between being told to stop and being killed.
        security: more of the pods' securityContext.
    """
    meta = metadata(endpoint, f"{endpoint.name}-{component}", component)
    pods = selector(endpoint, component)
    pod: Manifest = {
        "containers": [container],
        "terminationGracePeriodSeconds": grace_seconds,
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, **security},
        "topologySpreadConstraints": [
            {
                "topologyKey": "kubernetes.io/hostname",
                "maxSkew": 1,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": pods},
            }
        ],
    }
    if volumes:
        pod["volumes"] = list(volumes)
    if endpoint.spec.engine.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in endpoint.spec.engine.image_pull_secrets]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": pods},
            "strategy": strategy,
            "revisionHistoryLimit": 3,
            "template": {"metadata": {"labels": meta["labels"]}, "spec": pod},
        },
    }
