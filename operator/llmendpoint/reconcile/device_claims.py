"""Which claims of a pod for devices are not made yet: nothing schedules it until then, and no condition says so.

https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
"""

from collections.abc import Mapping
from typing import Any


def claim_sentence(pod: Mapping[str, Any]) -> str:
    """Which ResourceClaimTemplates a pod has no claim of, and what to do; empty where there is none."""
    made = {status["name"] for status in (pod.get("status") or {}).get("resourceClaimStatuses") or ()}
    wanted = (pod.get("spec") or {}).get("resourceClaims") or ()
    missing = (claim for claim in wanted if claim["name"] not in made)
    templates = sorted(
        {claim["resourceClaimTemplateName"] for claim in missing if "resourceClaimTemplateName" in claim}
    )
    if not templates:
        return ""
    name = pod["metadata"]["name"]
    return (
        f"pod {name} waits for its claim of ResourceClaimTemplate {', '.join(templates)}: if it stays so, check that "
        f"this exists in this namespace, the pod then starts by itself, or see kubectl describe pod {name}"
    )
