"""Whether the activator stands in for the engine's replicas, and when the last one of them may go."""

from llmendpoint.api import names
from llmendpoint.manifests.activator import has_activator
from llmendpoint.reconcile.observation import Observation
from llmendpoint.scaling.signals import PodPhase


def is_asleep(seen: Observation, desired: int) -> bool:
    """Whether requests should go to the activator: no replica is ready, or none is wanted and it can hold them.

    Where it is not wanted any more it stays until a replica is ready: it may hold requests.
    """
    scaling = seen.endpoint.spec.scaling
    if scaling is None or scaling.mode != "Active":
        return False
    if not has_activator(seen.endpoint) and seen.deployment_of(names.COMPONENT_ACTIVATOR) is None:
        return False
    return seen.count(PodPhase.READY) == 0 or (desired == 0 and is_covered(seen))


def is_covered(seen: Observation) -> bool:
    """Whether an activator is ready."""
    return any(pod.component == names.COMPONENT_ACTIVATOR and pod.phase is PodPhase.READY for pod in seen.pods)


def leads_to_activator(seen: Observation) -> bool:
    """Whether the Services have moved, so that replicas that go get no new requests."""
    targets = {
        body["spec"]["selector"].get(names.LABEL_COMPONENT)
        for (kind, _), body in seen.children.items()
        if kind == "Service" and body["metadata"]["labels"].get(names.LABEL_COMPONENT) == names.COMPONENT_ENGINE
    }
    return names.COMPONENT_ACTIVATOR in targets and names.COMPONENT_ENGINE not in targets
