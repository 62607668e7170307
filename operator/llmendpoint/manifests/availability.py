"""The PodDisruptionBudgets: a node drain takes one replica of a component at a time."""

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests.common import Manifest, metadata, selector


def disruption_budgets(endpoint: Endpoint, *, with_activator: bool) -> list[Manifest]:
    """One budget per component. maxUnavailable, because minAvailable would block the drain of a single replica."""
    made = [_budget(endpoint, f"{endpoint.name}-engine", names.COMPONENT_ENGINE)]
    business = endpoint.spec.business
    if business is not None and business.placement == "Separate":
        made.append(_budget(endpoint, f"{endpoint.name}-business", names.COMPONENT_BUSINESS))
    if with_activator:
        made.append(_budget(endpoint, f"{endpoint.name}-activator", names.COMPONENT_ACTIVATOR))
    if endpoint.spec.async_:
        made.append(_budget(endpoint, f"{endpoint.name}-queue", names.COMPONENT_QUEUE))
        made.append(_budget(endpoint, f"{endpoint.name}-worker", names.COMPONENT_WORKER))
    return made


def _budget(endpoint: Endpoint, name: str, component: str) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(endpoint, name, component),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(endpoint, component)},
            # A replica that never became ready must not hold up a node drain.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
