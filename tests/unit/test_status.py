"""What the status says, for what was seen."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.api import names
from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.status import BusinessStatus, Condition, EndpointStatus, ScalingStatus
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.status import LONGEST_MESSAGE, READY_RULES, Outcome, make_status, same
from llmendpoint.reconcile.trouble import Trouble
from llmendpoint.scaling.job_queue import Backlog, JobQueue
from llmendpoint.scaling.signals import Signals
from support.builders import endpoint, pod

EARLIER, LATER = "2025-06-15T15:00:00Z", "2025-06-15T16:00:00Z"
BUSINESS = {"image": "rag:1"}
SCALED = {"maxReplicas": 4}
READ = Signals(known=2, unknown=0)


def deployment(component: str, **status: Any) -> dict[str, Any]:
    """A Deployment of two replicas that is rolled out."""
    name = f"llama-{component}"
    labels = {names.LABEL_COMPONENT: component, names.LABEL_MANAGED_BY: names.MANAGED_BY}
    usual = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "generation": 3, "labels": labels},
        "spec": {"replicas": 2},
        "status": usual | status,
    }


def engines(*phases: dict[str, Any]) -> list[dict[str, Any]]:
    return [pod(f"llama-engine-{index}", **phase) for index, phase in enumerate(phases)]


UP, LOADING, GOING = {"ready": True}, {"ready": False, "containers": []}, {"deleting": True}


def seen(
    of: Endpoint | None = None,
    pods: Sequence[dict[str, Any]] | None = None,
    children: Sequence[dict[str, Any]] | None = None,
) -> Observation:
    """An endpoint with two engine replicas that serve."""
    if children is None:
        children = [deployment("engine"), deployment("business")]
    return observe(of or endpoint(), children, engines(UP, UP) if pods is None else pods)


def status_of(at: Observation, outcome: Outcome | None = None, now: str = EARLIER) -> EndpointStatus:
    return make_status(at, outcome or Outcome(desired=2, signals=READ), now=now)


def condition(status: EndpointStatus, kind: ConditionType) -> Condition:
    return next(entry for entry in status.conditions if entry.type == kind)


def ready(at: Observation, outcome: Outcome | None = None) -> Condition:
    return condition(status_of(at, outcome), ConditionType.READY)


# Ready.

QUOTA = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: gpus"}
CRASHED = {"ready": False, "containers": [
    {"name": "engine", "ready": False, "state": {"terminated": {"exitCode": 1}}},
]}  # fmt: skip


def test_the_first_rule_that_is_broken_is_the_reason() -> None:
    """All rules are broken; they are mended one after the other, in their order."""
    world: dict[str, Any] = {
        "problems": ("the source can not be loaded",),
        "failure": Trouble(Reason.APPLY_FAILED, "Service llama: refused"),
        "engine": {"conditions": [QUOTA], "updatedReplicas": 1},
        "pods": engines(UP, CRASHED),
        "stalled": ("llama-engine-0",),
        "desired": 3,
        "business": {"readyReplicas": 0, "updatedReplicas": 1},
        "worker": {"readyReplicas": 0},
    }
    mends: list[tuple[dict[str, Any], str]] = [
        ({}, "InvalidSpec"),
        ({"problems": ()}, "ApplyFailed"),
        ({"failure": None}, "QuotaExceeded"),
        ({"engine": {"updatedReplicas": 1}}, "CrashLoop"),
        ({"pods": engines(UP, UP)}, "EngineStalled"),
        ({"stalled": ()}, "RollingOut"),
        ({"engine": {}}, "ReplicasStarting"),
        ({"desired": 2}, "BusinessNotReady"),
        ({"business": {"updatedReplicas": 1}}, "RollingOut"),
        ({"business": {}}, "QueueNotReady"),
        ({"worker": {}}, "AllReplicasReady"),
    ]
    reasons = []
    for mend, _ in mends:
        world |= mend
        outcome = Outcome(
            world["desired"], problems=world["problems"], failure=world["failure"], stalled_pods=world["stalled"]
        )
        parts = [deployment(component, **world[component]) for component in ("engine", "business", "worker")]
        children = [*parts, deployment("redis"), deployment("queue")]
        of = endpoint(business=BUSINESS, **{"async": {}})
        reasons.append(ready(seen(of, world["pods"], children), outcome).reason)
    assert reasons == [reason for _, reason in mends]
    # One is about an endpoint that sleeps, one about a model that is fetched; a new rule has its place in this test.
    assert len(READY_RULES) == 11


@pytest.mark.parametrize(
    ("covered", "status", "reason"), [(True, "True", "Asleep"), (False, "False", "ActivatorNotReady")]
)
def test_an_endpoint_that_sleeps_is_ready_while_requests_are_held(covered: bool, status: str, reason: str) -> None:
    zero = endpoint(scaling={"minReplicas": 0, "maxReplicas": 2})
    at = seen(zero, [pod("llama-activator-1", component="activator", ready=covered)])
    found = ready(at, Outcome(desired=0))
    assert (found.status, found.reason) == (status, reason)


def test_an_endpoint_that_serves_is_ready() -> None:
    found = ready(seen())
    assert (found.status, found.message) == ("True", "2 of 2 engine replicas are ready")


@pytest.mark.parametrize(
    ("children", "reason", "message"),
    [
        ([], Reason.REPLICAS_STARTING, "the engine Deployment is being created"),
        ([deployment("engine", observedGeneration=0)], Reason.REPLICAS_STARTING, "the engine Deployment is being cre"),
        ([deployment("engine", updatedReplicas=1)], Reason.ROLLING_OUT, "1 of 2 engine replicas run the current revis"),
    ],
)
def test_an_engine_that_is_not_rolled_out_is_not_ready(
    children: list[dict[str, Any]], reason: Reason, message: str
) -> None:
    found = ready(seen(children=children))
    assert (found.status, found.reason) == ("False", reason)
    assert found.message.startswith(message)


@pytest.mark.parametrize(
    ("revised", "reason"), [({"llama-engine": 4}, "RollingOut"), ({"llama-engine": 3}, None), ({}, None)]
)
def test_a_new_count_is_no_roll_out_and_a_new_template_is(revised: dict[str, int], reason: str | None) -> None:
    """The Deployment's controller has seen generation 3 and not 4."""
    ahead = deployment("engine")
    ahead["metadata"]["generation"] = 4
    found = ready(seen(children=[ahead]), Outcome(desired=2, revised=revised))
    assert found.reason == (reason or "AllReplicasReady")


@pytest.mark.parametrize(
    ("replicas", "children", "is_ready"),
    [
        ({"min": 2, "max": 2}, [deployment("business", readyReplicas=1)], False),
        ({"min": 1, "max": 2}, [deployment("business", readyReplicas=1)], True),
        ({"min": 2, "max": 2}, [deployment("business")], True),
        ({"min": 1, "max": 2}, [], False),
    ],
)
def test_a_business_service_is_ready_with_its_fewest_replicas(
    replicas: dict[str, int], children: list[dict[str, Any]], is_ready: bool
) -> None:
    of = endpoint(business={**BUSINESS, "replicas": replicas})
    assert (ready(seen(of, children=[deployment("engine"), *children])).status == "True") == is_ready


def test_a_business_container_in_the_engines_pod_has_no_deployment_to_wait_for() -> None:
    of = endpoint(business={**BUSINESS, "port": 9000, "placement": "Sidecar"})
    assert ready(seen(of, children=[deployment("engine")])).status == "True"


@pytest.mark.parametrize("component", ["engine", "business"])
def test_a_refused_pod_of_either_component_is_reported(component: str) -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "violates PodSecurity"}
    others = [deployment(name) for name in ("engine", "business") if name != component]
    found = ready(seen(children=[deployment(component, conditions=[refused]), *others]))
    assert found.reason == Reason.PODS_REFUSED


def test_a_business_pod_in_trouble_is_reported() -> None:
    broken = pod("llama-business-1", component=names.COMPONENT_BUSINESS, **CRASHED)
    assert ready(seen(pods=[*engines(UP, UP), broken])).reason == Reason.CRASH_LOOP


def test_no_replicas_at_all_are_ready_when_none_are_wanted() -> None:
    found = ready(seen(pods=[]), Outcome(desired=0))
    assert (found.status, found.message) == ("True", "0 of 0 engine replicas are ready")


def test_nobody_has_said_how_many_should_run() -> None:
    assert ready(seen(pods=engines(LOADING)), Outcome(desired=None)).status == "True"


# Progressing.


@pytest.mark.parametrize(
    ("children", "pods", "desired", "status", "reason", "message"),
    [
        ([deployment("engine")], engines(UP, UP), 2, "False", Reason.SETTLED, "nothing is on its way"),
        ([deployment("engine")], engines(UP, UP), 4, "True", Reason.SCALING_OUT, "2 of 4 engine replicas are ready"),
        ([deployment("engine")], engines(UP, UP, GOING), 2, "True", Reason.DRAINING, "1 replicas finish their streams"),
        ([], [], 2, "True", Reason.REPLICAS_STARTING, "the engine Deployment is being created"),
        (
            [deployment("engine", updatedReplicas=1)], engines(UP, GOING), 3, "True", Reason.ROLLING_OUT,
            "1 of 2 engine replicas run the current revision",
        ),
    ],
)  # fmt: skip
def test_what_is_on_its_way(
    children: list[dict[str, Any]], pods: list[dict[str, Any]], desired: int, status: str, reason: Reason, message: str
) -> None:
    found = condition(status_of(seen(pods=pods, children=children), Outcome(desired)), ConditionType.PROGRESSING)
    assert (found.status, found.reason, found.message) == (status, reason, message)


# MetricsAvailable.

REFUSED = ("llama-engine-0", "refused")


@pytest.mark.parametrize(
    ("scaling", "pods", "outcome", "status", "reason", "message"),
    [
        (None, None, {}, "Unknown", Reason.NOT_NEEDED, "does not follow metrics"),
        ({"mode": "Off"}, None, {}, "Unknown", Reason.NOT_NEEDED, "does not follow metrics"),
        ({"mode": "DryRun"}, None, {}, "True", Reason.METRICS_READ, "every ready replica was read"),
        ({}, None, {}, "True", Reason.METRICS_READ, "every ready replica was read"),
        ({}, None, {"signals": None}, "Unknown", Reason.NOT_READ_YET, "read at the next tick"),
        ({}, engines(LOADING), {}, "Unknown", Reason.NO_READY_REPLICAS, "nothing to read yet"),
        (
            {}, None, {"unread_pods": (REFUSED,)}, "False", Reason.METRICS_PARTIAL,
            "no scale-in until every replica can be read: llama-engine-0: refused",
        ),
        (
            {}, None, {"unread_pods": (REFUSED, ("llama-engine-1", "slow"))}, "False", Reason.METRICS_UNKNOWN,
            "the size is held because no replica can be read: llama-engine-0: refused; llama-engine-1: slow",
        ),
        ({}, None, {"unanswered_targets": ("no result",)}, "False", Reason.TARGET_UNKNOWN, "has a value: no result"),
        (
            {}, None, {"unanswered_targets": ("no result",), "unread_pods": (REFUSED,)}, "False",
            Reason.METRICS_PARTIAL, "llama-engine-0: refused",
        ),
    ],
)  # fmt: skip
def test_what_can_be_read(
    scaling: dict[str, Any] | None,
    pods: list[dict[str, Any]] | None,
    outcome: dict[str, Any],
    status: str,
    reason: Reason,
    message: str,
) -> None:
    of = endpoint() if scaling is None else endpoint(scaling=SCALED | scaling)
    made = Outcome(**{"desired": 2, "signals": READ} | outcome)
    found = condition(status_of(seen(of, pods), made), ConditionType.METRICS_AVAILABLE)
    assert (found.status, found.reason) == (status, reason)
    assert message in found.message


def test_a_fleet_that_can_not_be_read_is_not_listed_whole() -> None:
    unread = tuple((f"pod-{index}", "refused") for index in range(50))
    made = Outcome(desired=2, signals=READ, unread_pods=unread)
    found = condition(status_of(seen(endpoint(scaling=SCALED)), made), ConditionType.METRICS_AVAILABLE)
    assert found.message.endswith("pod-2: refused; and 47 more")


# ScalingActive.


@pytest.mark.parametrize(
    ("scaling", "warnings", "status", "reason", "message"),
    [
        (None, (), "False", Reason.SCALING_OFF, "spec.replicas counts"),
        ({"mode": "Off"}, ("w",), "False", Reason.SCALING_OFF, "spec.replicas counts"),
        ({"mode": "DryRun"}, ("w",), "False", Reason.DRY_RUN, "decides and writes nothing"),
        ({}, (), "True", Reason.SCALER_ACTIVE, "policy Demand, 1 to 4"),
        ({}, ("raise this", "lower that"), "True", Reason.SCALER_WARNING, "raise this; lower that"),
    ],
)
def test_who_decides_on_the_count(
    scaling: dict[str, Any] | None, warnings: tuple[str, ...], status: str, reason: Reason, message: str
) -> None:
    of = endpoint() if scaling is None else endpoint(scaling=SCALED | scaling)
    found = condition(status_of(seen(of), Outcome(desired=2, warnings=warnings)), ConditionType.SCALING_ACTIVE)
    assert (found.status, found.reason) == (status, reason)
    assert message in found.message


# The queue of spec.async.

ASYNC = {"async": {}}
JOBS = JobQueue(per_replica=32, longest_wait=300, backlog=Backlog(3, 1, 2.0))
PARTS = ("engine", "redis", "queue", "worker")


def queue_condition(at: Observation, jobs: JobQueue | None = JOBS) -> Condition:
    signals = replace(READ, jobs=jobs) if jobs else None
    return condition(status_of(at, Outcome(2, signals=signals)), ConditionType.QUEUE_AVAILABLE)


def parts(*lacking: str) -> list[dict[str, Any]]:
    return [deployment(part, readyReplicas=0 if part in lacking else 1) for part in PARTS]


@pytest.mark.parametrize("component", ["redis", "queue", "worker"])
def test_an_endpoint_is_ready_when_jobs_are_taken_and_worked_on(component: str) -> None:
    assert ready(seen(endpoint(**ASYNC), children=parts())).status == "True"
    at = seen(endpoint(**ASYNC), children=parts(component))
    for found in (ready(at), queue_condition(at)):
        assert (found.status, found.reason) == ("False", Reason.QUEUE_NOT_READY)
        assert f"component={component}" in found.message


def test_a_redis_of_the_user_s_is_theirs_to_watch() -> None:
    of = endpoint(**{"async": {"redis": {"urlSecretRef": {"name": "a", "key": "b"}}}})
    found = queue_condition(seen(of, children=parts("redis")))
    assert (found.status, found.reason) == ("True", Reason.BACKLOG_READ)
    assert found.message == "jobs are taken at http://llama-queue.team.svc:80"
    assert status_of(seen(of)).async_url == "http://llama-queue.team.svc:80"


def test_jobs_in_a_redis_for_development_are_told_to_be_lost_with_its_pod() -> None:
    found = queue_condition(seen(endpoint(**ASYNC), children=parts()))
    assert (found.status, found.reason) == ("True", Reason.BACKLOG_VOLATILE)
    assert "async.redis.urlSecretRef" in found.message


def test_a_backlog_that_can_not_be_read_says_what_to_do() -> None:
    found = queue_condition(seen(endpoint(**ASYNC), children=parts()), replace(JOBS, backlog=None))
    assert (found.status, found.reason) == ("False", Reason.BACKLOG_UNKNOWN)
    assert "port control (9901)" in found.message


def test_an_operator_that_starts_repeats_what_was_said_of_the_queue_until_its_first_tick() -> None:
    assert queue_condition(seen(endpoint(**ASYNC), children=parts()), None).reason == Reason.NOT_READ_YET
    said = {"type": "QueueAvailable", "status": "True", "reason": "BacklogVolatile", "message": "m"}
    of = endpoint(status={"conditions": [{**said, "lastTransitionTime": EARLIER}]}, **ASYNC)
    assert queue_condition(seen(of, children=parts()), None).reason == Reason.BACKLOG_VOLATILE


def test_an_endpoint_without_a_queue_says_nothing_of_one() -> None:
    found = status_of(seen())
    assert (found.async_url, len(found.conditions)) == (None, 4)


# The conditions as a whole.


def again(status: EndpointStatus) -> Endpoint:
    """The endpoint as it is read when that status has been written."""
    return endpoint(status=status.to_wire())


def test_a_condition_keeps_its_time_until_it_flips() -> None:
    first = status_of(seen())
    assert {entry.last_transition_time for entry in first.conditions} == {EARLIER}
    starting = status_of(seen(again(first), engines(UP, LOADING)), now=LATER)
    times = {entry.type: entry.last_transition_time for entry in starting.conditions}
    assert times == {
        "Ready": LATER,
        "Progressing": LATER,
        "MetricsAvailable": EARLIER,
        "ScalingActive": EARLIER,
    }


def test_another_reason_is_no_flip() -> None:
    first = status_of(seen(pods=engines(UP, LOADING)))
    crashed = ready(seen(again(first), engines(UP, CRASHED)))
    assert (crashed.reason, crashed.last_transition_time) == (Reason.CRASH_LOOP, EARLIER)


def test_what_was_written_and_still_holds_is_the_same() -> None:
    first = status_of(seen(endpoint(scaling=SCALED)))
    second = status_of(seen(endpoint(status=first.to_wire(), scaling=SCALED)), now=LATER)
    assert same(first, second)
    assert not same(first, status_of(seen(again(first), engines(UP))))


def test_every_condition_says_which_spec_it_is_about() -> None:
    status = status_of(seen())
    assert {entry.observed_generation for entry in status.conditions} == {status.observed_generation} == {1}


def test_a_message_is_never_longer_than_the_api_server_takes() -> None:
    found = ready(seen(), Outcome(desired=2, problems=("x" * 2 * LONGEST_MESSAGE,)))
    assert len(found.message) == LONGEST_MESSAGE


# The numbers.


def test_draining_replicas_are_not_counted() -> None:
    status = status_of(seen(pods=engines(UP, LOADING, GOING)))
    assert (status.replicas, status.ready_replicas) == (2, 1)


def test_the_scale_subresource_finds_the_engine_pods() -> None:
    assert status_of(seen()).selector == "llmendpoint.dev/endpoint=llama,llmendpoint.dev/component=engine"


def test_what_is_not_known_is_left_out() -> None:
    status = status_of(seen(children=[deployment("engine")]))
    assert (status.model, status.business, status.scaling) == (None, None, None)


def test_what_is_known_is_handed_through() -> None:
    scaling = ScalingStatus(desired_replicas=2)
    status = status_of(seen(), Outcome(desired=2, scaling=scaling, model="acme/llama"))
    assert (status.url, status.model, status.scaling) == ("http://llama.team.svc:80", "acme/llama", scaling)
    assert status.business == BusinessStatus(replicas=2, ready_replicas=2)
