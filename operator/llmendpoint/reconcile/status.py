"""What the endpoint's status says, as a pure function of what was seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from llmendpoint.api import names
from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.api.status import BusinessStatus, Condition, EndpointStatus, ScalingStatus, Usage
from llmendpoint.manifests.prefetch import downloads
from llmendpoint.manifests.service import queue_url
from llmendpoint.reconcile.adapters import Reports, adapter_statuses, adapters_condition
from llmendpoint.reconcile.asynchronous import queue_condition, queue_trouble
from llmendpoint.reconcile.fetch_progress import FetchProgress
from llmendpoint.reconcile.gateway import reachable_url, route_condition
from llmendpoint.reconcile.groups import last_ending, missing_pods, not_installed, takeover, too_old
from llmendpoint.reconcile.observation import Observation, rolling_out
from llmendpoint.reconcile.prefetch import cache_status, fetch_condition, fetch_trouble
from llmendpoint.reconcile.sleeping import is_covered
from llmendpoint.reconcile.trouble import Trouble, apply_trouble, creation_trouble, pod_trouble
from llmendpoint.reconcile.usage import trial_sentence
from llmendpoint.scaling.signals import PodPhase, Signals

# Enough to find the cause; a fleet of them would not fit into a condition.
PODS_NAMED = 3
LONGEST_MESSAGE = 32768
COMPONENTS = (
    names.COMPONENT_ENGINE, names.COMPONENT_BUSINESS, names.COMPONENT_ACTIVATOR, names.COMPONENT_REDIS,
    names.COMPONENT_QUEUE, names.COMPONENT_WORKER,
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How the reconcile went and what the scaler said: all that status needs beside the observation."""

    desired: int | None
    """Engine replicas that should run; None when nobody said."""
    problems: tuple[str, ...] = ()
    """Rules that the spec breaks."""
    failure: Trouble | None = None
    """Why a child could not be applied."""
    signals: Signals | None = None
    stalled_pods: tuple[str, ...] = ()
    unread_pods: tuple[tuple[str, str], ...] = ()
    """(pod, why) of the ready replicas whose metrics could not be read."""
    revised: Mapping[str, int] = field(default_factory=dict)
    """Workload -> its generation when this operator last changed the pod template. A change of the replica count
    is a new generation as well, and no roll-out."""
    unanswered_targets: tuple[str, ...] = ()
    """Why PromQL targets have no value."""
    warnings: tuple[str, ...] = ()
    """What deserves a look in the scaler's settings."""
    scaling: ScalingStatus | None = None
    usage: Usage | None = None
    fetched: FetchProgress | None = None
    """How far the fetch of the model is, where its pod says so."""
    model: str = ""
    adapters: Reports = field(default_factory=dict)
    """What the loaders of LoRA adapters say."""


ReadyRule = Callable[[Observation, Outcome], Trouble | None]


def spec_is_valid(_: Observation, outcome: Outcome) -> Trouble | None:
    """The spec keeps every rule."""
    return Trouble(Reason.INVALID_SPEC, "; ".join(outcome.problems)) if outcome.problems else None


def children_applied(seen: Observation, outcome: Outcome) -> Trouble | None:
    """The API server knows every kind of child, and took every child."""
    return not_installed(seen) or apply_trouble(seen.endpoint.spec, outcome.failure)


def pods_can_be_created(seen: Observation, _: Outcome) -> Trouble | None:
    """Quota and admission allow the pods."""
    return next((found for one in COMPONENTS if (found := creation_trouble(seen.workload_of(one)))), None)


def pods_are_well(seen: Observation, outcome: Outcome) -> Trouble | None:
    """No pod that should serve is in trouble, nor did one end and take its group with it."""
    engine = (*seen.engine_pods, *seen.worker_pods)
    # Where no replica waits for a fetch it is no matter of Ready; where one does, model_is_cached says what is wrong.
    others = (pod for pod in seen.pods if pod not in engine and pod.component != names.COMPONENT_PREFETCH)
    found = pod_trouble(seen.endpoint.spec, engine) or pod_trouble(seen.endpoint.spec, others)
    return found or (last_ending(seen) if _lacks_replicas(seen, outcome) else None)


def model_is_cached(seen: Observation, outcome: Outcome) -> Trouble | None:
    """The model that replicas wait for is on the cache volume."""
    return fetch_trouble(seen, outcome.fetched)


def engines_make_tokens(_: Observation, outcome: Outcome) -> Trouble | None:
    """No replica hangs."""
    if not outcome.stalled_pods:
        return None
    return Trouble(
        Reason.ENGINE_STALLED,
        f"{', '.join(outcome.stalled_pods)}: requests are running and no token has come for a while, so the "
        "accelerator may hang: look at the node, or delete the pod to replace it",
    )


def engine_rolled_out(seen: Observation, outcome: Outcome) -> Trouble | None:
    """Every replica runs the current revision."""
    return takeover(seen) or too_old(seen) or _rolled_out(seen, names.COMPONENT_ENGINE, outcome)


def requests_are_held(seen: Observation, outcome: Outcome) -> Trouble | None:
    """Where no replica is to run, an activator does."""
    if not _is_to_sleep(seen, outcome) or is_covered(seen):
        return None
    return Trouble(Reason.ACTIVATOR_NOT_READY, "no replica runs and no activator is ready to hold requests")


def engine_replicas_ready(seen: Observation, outcome: Outcome) -> Trouble | None:
    """As many replicas serve as are wanted."""
    if not _lacks_replicas(seen, outcome):
        return None
    said = f"{seen.count(PodPhase.READY)} of {outcome.desired} engine replicas are ready"
    return Trouble(Reason.REPLICAS_STARTING, said + missing_pods(seen, outcome.desired or 0))


def _lacks_replicas(seen: Observation, outcome: Outcome) -> bool:
    return outcome.desired is not None and seen.count(PodPhase.READY) < outcome.desired


def business_ready(seen: Observation, outcome: Outcome) -> Trouble | None:
    """The business service serves."""
    business = seen.endpoint.spec.business
    if business is None or business.placement == "Sidecar":
        return None
    deployment = seen.workload_of(names.COMPONENT_BUSINESS)
    ready = ((deployment or {}).get("status") or {}).get("readyReplicas", 0)
    if ready < business.replicas.min:
        return Trouble(Reason.BUSINESS_NOT_READY, f"{ready} of {business.replicas.min} business replicas are ready")
    return _rolled_out(seen, names.COMPONENT_BUSINESS, outcome)


def jobs_are_taken(seen: Observation, _: Outcome) -> Trouble | None:
    """With spec.async jobs are taken and worked on."""
    return queue_trouble(seen)


READY_RULES: tuple[ReadyRule, ...] = (
    spec_is_valid,
    children_applied,
    pods_can_be_created,
    pods_are_well,
    engines_make_tokens,
    model_is_cached,
    engine_rolled_out,
    requests_are_held,
    engine_replicas_ready,
    business_ready,
    jobs_are_taken,
)


def make_status(seen: Observation, outcome: Outcome, *, now: str) -> EndpointStatus:
    """The status to report.

    Args:
        now: RFC 3339 time; used only where a condition flips.
    """
    endpoint = seen.endpoint
    previous = {entry.type: entry for entry in endpoint.status.conditions}
    conditions = []
    found = {
        ConditionType.READY: _ready(seen, outcome),
        ConditionType.PROGRESSING: _progressing(seen, outcome),
        ConditionType.METRICS_AVAILABLE: _metrics(seen, outcome),
        ConditionType.SCALING_ACTIVE: _scaling(seen, outcome),
    }
    if endpoint.spec.async_:
        found[ConditionType.QUEUE_AVAILABLE] = _queue(seen, outcome)
    if downloads(endpoint):
        found[ConditionType.MODEL_CACHED] = fetch_condition(seen, outcome.fetched)
    if endpoint.spec.gateway:
        found[ConditionType.ROUTE_ACCEPTED] = route_condition(seen, endpoint.spec.gateway)
    rolls = engine_rolled_out(seen, outcome) is not None
    adapters = adapter_statuses(seen, outcome.adapters, rolls=rolls)
    if adapters is not None:
        found[ConditionType.ADAPTERS_READY] = adapters_condition(seen, adapters)
    for kind, (status, reason, message) in found.items():
        before = previous.get(kind)
        conditions.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=message[:LONGEST_MESSAGE],
                observed_generation=endpoint.generation,
                last_transition_time=before.last_transition_time if before and before.status == status else now,
            )
        )
    return EndpointStatus(
        observed_generation=endpoint.generation,
        replicas=len(seen.engine_pods) - seen.count(PodPhase.DRAINING),
        ready_replicas=seen.count(PodPhase.READY),
        selector=f"{names.LABEL_ENDPOINT}={endpoint.name},{names.LABEL_COMPONENT}={names.COMPONENT_ENGINE}",
        url=reachable_url(seen),
        async_url=queue_url(endpoint),
        model=outcome.model or None,
        business=_business(seen),
        model_cache=cache_status(seen, outcome.fetched),
        adapters=adapters,
        conditions=conditions,
        scaling=outcome.scaling,
        usage=outcome.usage,
    )


ConditionParts = tuple[str, str, str]


def _ready(seen: Observation, outcome: Outcome) -> ConditionParts:
    trouble = next((found for rule in READY_RULES if (found := rule(seen, outcome))), None)
    if trouble:
        return "False", trouble.reason, trouble.message
    if _is_to_sleep(seen, outcome):
        return "True", Reason.ASLEEP, "no replica runs; the next request waits at the activator until one is ready"
    ready = seen.count(PodPhase.READY)
    return "True", Reason.ALL_REPLICAS_READY, f"{ready} of {ready} engine replicas are ready"


def _is_to_sleep(seen: Observation, outcome: Outcome) -> bool:
    return outcome.desired == 0 and seen.endpoint.spec.is_scaled


def _progressing(seen: Observation, outcome: Outcome) -> ConditionParts:
    draining = seen.count(PodPhase.DRAINING)
    fetching = model_is_cached(seen, outcome)
    rolling = engine_rolled_out(seen, outcome)
    starting = engine_replicas_ready(seen, outcome)
    if fetching and fetching.reason == Reason.FETCHING_MODEL:
        return "True", fetching.reason, fetching.message
    if rolling:
        return "True", rolling.reason, rolling.message
    if starting:
        return "True", Reason.SCALING_OUT, starting.message
    if draining:
        return "True", Reason.DRAINING, f"{draining} replicas finish their streams"
    return "False", Reason.SETTLED, "nothing is on its way"


def _metrics(seen: Observation, outcome: Outcome) -> ConditionParts:
    scaling = seen.endpoint.spec.scaling
    if scaling is None or scaling.mode == "Off":
        return "Unknown", Reason.NOT_NEEDED, "the replica count does not follow metrics"
    ready = seen.count(PodPhase.READY)
    if ready == 0:
        return "Unknown", Reason.NO_READY_REPLICAS, "no replica is ready, so there is nothing to read yet"
    if outcome.signals is None and (said := _said(seen, ConditionType.METRICS_AVAILABLE)):
        return said  # the operator has just started: what the last one read holds until the first tick
    if outcome.signals is None or outcome.signals.ready == 0:
        return "Unknown", Reason.NOT_READ_YET, "the ready replicas are read at the next tick"
    if not outcome.unread_pods and outcome.unanswered_targets:
        whys = "; ".join(outcome.unanswered_targets)
        return "False", Reason.TARGET_UNKNOWN, f"no scale-in until every target has a value: {whys}"
    if not outcome.unread_pods:
        return "True", Reason.METRICS_READ, "every ready replica was read"
    whys = "; ".join(f"{pod}: {why}" for pod, why in outcome.unread_pods[:PODS_NAMED])
    if (more := len(outcome.unread_pods) - PODS_NAMED) > 0:
        whys += f"; and {more} more"
    if len(outcome.unread_pods) < ready:
        return "False", Reason.METRICS_PARTIAL, f"no scale-in until every replica can be read: {whys}"
    return "False", Reason.METRICS_UNKNOWN, f"the size is held because no replica can be read: {whys}"


def _said(seen: Observation, kind: ConditionType) -> ConditionParts | None:
    """What status says in a condition of what was read; None where nothing was."""
    for entry in seen.endpoint.status.conditions:
        if entry.type == kind and entry.status != "Unknown":
            return entry.status, entry.reason, entry.message
    return None


def _scaling(seen: Observation, outcome: Outcome) -> ConditionParts:
    scaling = seen.endpoint.spec.scaling
    if scaling is None or scaling.mode == "Off":
        return "False", Reason.SCALING_OFF, "spec.replicas counts: kubectl scale, an HPA or KEDA may write it"
    if scaling.mode == "DryRun":
        shown = outcome.usage and outcome.usage.dry_run
        so_far = f": {trial_sentence(shown)}" if shown else ""
        return "False", Reason.DRY_RUN, f"the scaler decides and writes nothing{so_far}; see status.scaling.decision"
    if outcome.warnings:
        return "True", Reason.SCALER_WARNING, "; ".join(outcome.warnings)
    return (
        "True",
        Reason.SCALER_ACTIVE,
        f"policy {scaling.policy}, {scaling.min_replicas} to {scaling.max_replicas}",
    )


def _queue(seen: Observation, outcome: Outcome) -> ConditionParts:
    said = None if outcome.signals else _said(seen, ConditionType.QUEUE_AVAILABLE)
    return said or queue_condition(seen, outcome.signals.jobs if outcome.signals else None)


def _business(seen: Observation) -> BusinessStatus | None:
    deployment = seen.workload_of(names.COMPONENT_BUSINESS)
    if deployment is None:
        return None
    status = deployment.get("status") or {}
    return BusinessStatus(replicas=status.get("replicas", 0), ready_replicas=status.get("readyReplicas", 0))


def _rolled_out(seen: Observation, component: str, outcome: Outcome) -> Trouble | None:
    workload, (kind, name) = seen.workload_of(component), seen.workload_key(component)
    if workload is None or not (workload.get("status") or {}).get("observedGeneration"):
        return Trouble(Reason.REPLICAS_STARTING, f"the {component} {kind} is being created")
    if rolling_out(workload, outcome.revised.get(name, 0)):
        updated = (workload.get("status") or {}).get("updatedReplicas", 0)
        replicas = workload["spec"].get("replicas", 1)
        return Trouble(Reason.ROLLING_OUT, f"{updated} of {replicas} {component} replicas run the current revision")
    return None


def same(one: EndpointStatus, other: EndpointStatus) -> bool:
    """Whether two statuses say the same, so that nothing has to be written."""
    return one.to_wire() == other.to_wire()


__all__: Sequence[str] = ["READY_RULES", "Outcome", "make_status", "same"]
