"""The PodDisruptionBudgets: a node drain takes one replica of a component at a time."""

from llmendpoint.api import names
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests.common import Manifest, metadata, selector


def disruption_budgets(endpoint: Endpoint, *, with_activator: bool) -> list[Manifest]:
    """One budget per component. maxUnavailable, because minAvailable would block the drain of a single replica."""
    made = [_engine_budget(endpoint)]
    business = endpoint.spec.business
    if business is not None and business.placement == "Separate":
        made.append(_budget(endpoint, f"{endpoint.name}-business", names.COMPONENT_BUSINESS))
    if with_activator:
        made.append(_budget(endpoint, f"{endpoint.name}-activator", names.COMPONENT_ACTIVATOR))
    if endpoint.spec.async_:
        made.append(_budget(endpoint, f"{endpoint.name}-queue", names.COMPONENT_QUEUE))
        made.append(_budget(endpoint, f"{endpoint.name}-worker", names.COMPONENT_WORKER))
    return made


def _engine_budget(endpoint: Endpoint) -> Manifest:
    budget = _budget(endpoint, f"{endpoint.name}-engine", names.COMPONENT_ENGINE)
    if endpoint.spec.engine.is_spread:
        # With any pod of a group the whole group goes, so that no two groups may lose one at once.
        parts = [names.COMPONENT_ENGINE, names.COMPONENT_ENGINE_WORKER]
        budget["spec"]["selector"] = {
            "matchLabels": {names.LABEL_ENDPOINT: endpoint.name},
            "matchExpressions": [{"key": names.LABEL_COMPONENT, "operator": "In", "values": parts}],
        }
    return budget


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
