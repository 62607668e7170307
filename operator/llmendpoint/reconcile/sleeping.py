"""Whether the activator stands in for the engine's replicas, and when the last one of them may go."""

from collections.abc import Iterator

from llmendpoint.api import names
from llmendpoint.manifests.activator import has_activator
from llmendpoint.manifests.service import redirected
from llmendpoint.reconcile.observation import Manifest, Observation
from llmendpoint.scaling.signals import PodPhase


def is_asleep(seen: Observation, desired: int) -> bool:
    """Whether requests should go to the activator: no replica is ready, or none is wanted and it can hold them.

    Where it is not wanted any more it stays until a replica is ready: it may hold requests.
    """
    is_none_ready = seen.count(PodPhase.READY) == 0
    if not has_activator(seen.endpoint):
        return is_none_ready and seen.workload_of(names.COMPONENT_ACTIVATOR) is not None
    return is_none_ready or (desired == 0 and is_covered(seen))


def may_hold(seen: Observation) -> bool:
    """Whether an activator's pod is there. One that was told to stop goes on holding what it has."""
    return any(pod.component == names.COMPONENT_ACTIVATOR for pod in seen.pods)


def is_covered(seen: Observation) -> bool:
    """Whether an activator is ready."""
    return any(pod.component == names.COMPONENT_ACTIVATOR and pod.phase is PodPhase.READY for pod in seen.pods)


def leads_to_activator(seen: Observation) -> bool:
    """Whether the Services have moved, so that replicas that go get no new requests."""
    targets = {body["spec"]["selector"].get(names.LABEL_COMPONENT) for body in _engine_services(seen)}
    return names.COMPONENT_ACTIVATOR in targets and names.COMPONENT_ENGINE not in targets


def redirections(seen: Observation, *, asleep: bool) -> list[Manifest]:
    """The Services as they are, but for whom they lead to: for a spec that can not be done, but sleeps and wakes."""
    if seen.workload_of(names.COMPONENT_ACTIVATOR) is None:
        return []
    return [redirected(seen.endpoint, body, asleep=asleep) for body in _engine_services(seen)]


def _engine_services(seen: Observation) -> Iterator[Manifest]:
    for (kind, _), body in seen.children.items():
        if kind == "Service" and body["metadata"]["labels"].get(names.LABEL_COMPONENT) == names.COMPONENT_ENGINE:
            yield body
