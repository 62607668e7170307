"""Who decides the engine's replica count, and what it is."""

from typing import Literal

from llmendpoint.reconcile.observation import Observation
from llmendpoint.scaling.schedules import limits

SpecReplicas = int | None | Literal["keep"]
"""What to write into the endpoint's spec.replicas: a number, None to remove it, or "keep"."""


def wanted_replicas(seen: Observation, scaler_desired: int, now: float) -> tuple[int, SpecReplicas]:
    """Engine replicas to run, and what to do with the endpoint's spec.replicas.

    In mode Active the scaler decides, within the bounds even when they were changed a moment ago. Otherwise
    spec.replicas counts; where it is absent the size is kept and written there, because an HPA takes an absent
    number for "scaling is disabled" and KEDA needs one too.
    """
    spec = seen.endpoint.spec
    scaling = spec.scaling
    if scaling is not None and scaling.mode == "Active":
        return limits(scaling, now).within(scaler_desired), "keep" if spec.replicas is None else None
    if spec.replicas is not None:
        return spec.replicas, "keep"
    kept = seen.ordered if seen.ordered is not None else (scaling.min_replicas if scaling else 1)
    return kept, kept
