"""The engine's replicas: how many there are by state, who decides how many there should be, and that number."""

from collections.abc import Iterator
from typing import Literal

from llmendpoint.reconcile.observation import Observation, PodView
from llmendpoint.reconcile.quota import replica_gpus
from llmendpoint.reconcile.sleeping import is_covered, leads_to_activator
from llmendpoint.scaling.decision import Replicas
from llmendpoint.scaling.signals import PodPhase

SpecReplicas = int | None | Literal["keep"]
"""What to write into the endpoint's spec.replicas: a number, None to remove it, or "keep"."""


def wanted_replicas(seen: Observation, scaler_desired: int) -> tuple[int, SpecReplicas]:
    """Engine replicas to run, and what to do with the endpoint's spec.replicas.

    In mode Active the scaler decides. Otherwise spec.replicas counts; where it is absent the size is kept and written
    there, because an HPA takes an absent number for "scaling is disabled" and KEDA needs one too. An endpoint that
    sleeps wakes.

    The last replicas go when the Services are seen to lead to an activator that is ready, and not before.
    """
    spec = seen.endpoint.spec
    scaling = spec.scaling
    if spec.is_scaled:
        count = scaler_desired
        if count == 0 and seen.ordered is not None and not (leads_to_activator(seen) and is_covered(seen)):
            count = seen.ordered
        return count, "keep" if spec.replicas is None else None
    if spec.replicas is not None:
        return spec.replicas, "keep"
    kept = seen.ordered if seen.ordered is not None else (max(scaling.min_replicas, 1) if scaling else 1)
    if kept == 0 and leads_to_activator(seen):
        kept = 1  # it sleeps, and nobody else would wake it
    return kept, kept


def replicas_of(seen: Observation, now: float) -> Replicas:
    """The engine's replicas by state."""
    waits = [now - pod.created for pod in seen.engine_pods if pod.phase is PodPhase.UNSCHEDULABLE]
    return Replicas(
        ready=seen.count(PodPhase.READY),
        starting=seen.count(PodPhase.STARTING),
        unready=sum(pod.phase is PodPhase.UNREADY for pod in live_pods(seen, now)),
        draining=seen.count(PodPhase.DRAINING),
        unschedulable=len(waits),
        oldest_unschedulable_age=max(waits, default=0.0),
        ordered=seen.ordered if seen.ordered is not None else 1,
        startup_timeout=float(seen.endpoint.spec.engine.startup_timeout_seconds),
        gpus=replica_gpus(seen).total(),
        is_covered=not seen.endpoint.spec.is_scaled or is_covered(seen),
    )


def live_pods(seen: Observation, now: float) -> Iterator[PodView]:
    """The engine's pods but those that were not ready for so long that they must be given up."""
    limit = seen.endpoint.spec.engine.startup_timeout_seconds
    for pod in seen.engine_pods:
        if pod.phase is not PodPhase.UNREADY or pod.unready_since is None or now - pod.unready_since < limit:
            yield pod
