"""Whole replays: what is deterministic, conserved, billed, seen by a policy, and survived."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from llmendpoint.scaling.decision import Outcome
from llmendpoint.scaling.signals import PodPhase, ReadingWindow, derive
from llmendpoint.simulate.operator_policy import OperatorPolicy
from llmendpoint.simulate.policy import Order, View
from llmendpoint.simulate.profiles import load_profile
from llmendpoint.simulate.replay import Faults, Scenario, replay, warm_replicas
from llmendpoint.simulate.results import Result
from llmendpoint.simulate.traces import load_trace
from support.builders import scaling

A10G = load_profile("a10g-llama-8b")


@dataclass
class Plan:
    """A policy that follows a plan, and keeps what it was shown."""

    wanted: Callable[[float], int]
    period: float = 10.0
    metric_delay: float = 0.0
    name: str = "plan"
    views: list[View] = field(default_factory=list)

    def start(self, replicas: int) -> None:
        self.started_with = replicas

    def order(self, view: View) -> Order:
        self.views.append(view)
        return Order(self.wanted(view.now))


def scenario(trace: str = "poisson:rate=2,hours=0.5", **changes: object) -> Scenario:
    fixed = Scenario(load_trace(trace, seed=5), A10G, 60.0, seed=5)
    return replace(fixed, **changes)  # type: ignore[arg-type]


def ours(**spec: object) -> OperatorPolicy:
    return OperatorPolicy(scaling(maxReplicas=20, **spec), slots=256)


def check_conservation(result: Result) -> None:
    assert result.unfinished >= result.lost + result.refused
    assert result.series.arrivals.sum() == result.requests


def test_the_same_seed_gives_the_same_result_and_another_one_another() -> None:
    given = scenario("step:rate=1,hours=1,factor=5,at=900")
    one, same = replay(given, ours()), replay(given, ours())
    assert one == same
    assert [moment.sentence for moment in one.moments] == [moment.sentence for moment in same.moments]
    assert one != replay(replace(given, seed=6), ours())


@pytest.mark.parametrize("policy", [{}, {"policy": "TargetTracking", "targets": [
    {"type": "RequestsPerReplicaPerMinute", "value": 40}]}], ids=["Demand", "TargetTracking"])  # fmt: skip
def test_the_operator_scales_out_for_a_step_of_load_and_keeps_its_objective(policy: dict[str, object]) -> None:
    result = replay(scenario("step:rate=0.5,hours=1,factor=6,at=900", warm_replicas=1), ours(**policy))
    assert result.scale_outs >= 1
    assert result.series.ready[-60:].mean() >= 2
    assert result.ttft_attainment > 0.8
    check_conservation(result)


def test_a_budget_of_gpus_counts_in_a_replay() -> None:
    given = scenario("step:rate=0.5,hours=0.5,factor=8,at=300", warm_replicas=1)
    large = replace(given, profile=replace(given.profile, gpus=4))
    assert replay(large, ours(maxGPUs=7)).max_replicas_seen == 1
    assert replay(given, ours(maxGPUs=7)).max_replicas_seen > 1


def test_a_fixed_fleet_is_billed_by_its_size() -> None:
    result = replay(scenario(warm_replicas=3), Plan(lambda _: 3))
    assert result.gpu_hours == pytest.approx(3 * result.simulated_seconds / 3600.0)
    assert (result.scale_outs, result.scale_ins, result.unfinished, result.max_replicas_seen) == (0, 0, 0, 3)


def test_gpus_per_replica_are_billed() -> None:
    result = replay(scenario(warm_replicas=2, profile=load_profile("4xh100-llama-70b")), Plan(lambda _: 2))
    assert result.gpu_hours == pytest.approx(8 * result.simulated_seconds / 3600.0)


def test_what_is_billed_is_the_integral_of_starting_ready_and_draining_replicas() -> None:
    result = replay(scenario(warm_replicas=2), Plan(lambda now: 2 + int(now // 300) % 3, period=1.0))
    series = result.series
    integral = (series.starting + series.ready + series.draining).sum() * 1.0 / 3600.0
    assert result.gpu_hours == pytest.approx(integral, rel=0.01)
    assert result.scale_outs >= 2
    assert result.scale_ins >= 1


def test_draining_loses_nothing() -> None:
    result = replay(scenario(warm_replicas=4), Plan(lambda now: 4 if int(now // 60) % 2 else 2))
    assert result.scale_ins >= 10
    assert result.series.draining.max() >= 1
    assert (result.unfinished, result.lost) == (0, 0)
    check_conservation(result)


def test_a_replica_takes_its_cold_start_to_serve() -> None:
    plan = Plan(lambda now: 1 if now < 100 else 2)
    replay(scenario(warm_replicas=1, cold_start=200.0), plan)
    second = [view.pods[1] for view in plan.views if len(view.pods) > 1]
    assert {pod.phase for pod in second[:12]} == {PodPhase.STARTING}
    ready = next(pod for pod in second if pod.phase is PodPhase.READY)
    assert ready.created == 100.0
    assert ready.ready_since is not None
    assert 120.0 < ready.ready_since - ready.created < 330.0


def test_the_samples_give_derive_the_true_arrival_rate() -> None:
    plan = Plan(lambda _: 2)
    given = scenario("poisson:rate=4,hours=0.5", warm_replicas=2)
    replay(given, plan)
    window, rates = ReadingWindow(), []
    for view in plan.views:
        window, signals = derive(window, view.pods, view.now, slots=256)
        rates.append(signals.arrival_rate)
    edges = [view.now for view in plan.views]
    true = np.histogram(given.trace.t, edges)[0] / 10.0
    assert rates[0] is None
    seen = np.array(rates[1:], np.float64)
    # A request is seen at the end of the first step that it has part in, up to a second late, and never twice.
    assert np.cumsum(seen) == pytest.approx(np.cumsum(true), abs=1.0)
    assert seen.mean() == pytest.approx(true.mean(), rel=0.01)


def test_the_proxy_counts_what_arrives_and_what_is_done() -> None:
    plan = Plan(lambda _: 2, period=60.0)
    given = scenario(warm_replicas=2)
    replay(given, plan)
    for view in plan.views:
        assert view.proxy is not None
        arrived = given.trace.t <= view.now
        assert view.proxy.requests_total == arrived.sum()
        assert view.proxy.prompt_tokens_total == given.trace.input_tokens[arrived].sum()
        in_engines = sum(pod.sample.in_flight for pod in view.pods if pod.sample)
        assert view.proxy.in_flight == view.proxy.requests_total - view.proxy.finished_total >= in_engines
    last = plan.views[-1].proxy
    assert last is not None
    assert last.generation_tokens_total == given.trace.output_tokens.sum()


def test_kv_and_queue_gauges_agree_with_each_other() -> None:
    plan = Plan(lambda _: 1)
    replay(scenario("poisson:rate=4,hours=0.2", warm_replicas=1), plan)
    pods = [pod for view in plan.views for pod in view.pods if pod.sample]
    assert max(pod.sample.waiting for pod in pods if pod.sample) > 0
    for pod in pods:
        assert pod.sample is not None
        assert pod.sample.kv_usage is not None
        assert pod.kv_tokens is not None
        assert pod.kv_tokens <= pod.sample.kv_usage * A10G.kv_tokens <= A10G.kv_tokens
        assert (pod.sample.waiting > 0) == ((pod.queued_prompt_tokens or 0) > 0)


def test_a_policy_with_slow_metrics_sees_old_samples_and_present_phases() -> None:
    plan = Plan(lambda now: 1 if now < 100 else 2, period=15.0, metric_delay=40.0)
    replay(scenario(warm_replicas=1, cold_start=10.0), plan)
    assert [view.proxy for view in plan.views[:2]] == [None, None]
    for view in plan.views[2:]:
        assert view.proxy is not None
        assert view.proxy.taken_at == pytest.approx(view.now - 40.0)
    fresh = next(view for view in plan.views if len(view.ready) == 2)
    assert fresh.ready[1].sample is None


def test_no_metrics_reach_the_policy_in_an_outage_and_ours_holds() -> None:
    result = replay(scenario(faults=Faults(outages=[(600.0, 900.0)])), ours())
    during = [moment for moment in result.moments if 600.0 <= moment.time < 900.0]
    assert [moment.decision.reason for moment in during if moment.decision] == [Outcome.METRICS_UNKNOWN]
    ready = result.series.ordered[(result.series.time >= 600.0) & (result.series.time < 900.0)]
    assert len(set(ready)) == 1


def test_the_requests_of_a_crash_are_lost_and_the_replica_comes_back() -> None:
    plan = Plan(lambda _: 2)
    result = replay(scenario("poisson:rate=3,hours=0.5", warm_replicas=2, faults=Faults(crashes=[600.0])), plan)
    assert result.lost > 0
    assert result.unfinished == result.lost
    assert result.ttft_attainment <= 1 - result.lost / result.requests
    assert result.series.starting.sum() > 0
    assert [pod.restarts for pod in plan.views[-1].pods] in ([0, 1], [1, 0])
    assert result.gpu_hours == pytest.approx(2 * result.simulated_seconds / 3600.0)
    check_conservation(result)


def test_after_a_crash_of_all_replicas_requests_wait_at_the_proxy() -> None:
    plan = Plan(lambda _: 1)
    given = scenario("poisson:rate=0.5,hours=0.5", warm_replicas=1)
    just_then = float(given.trace.t[300]) + 0.1
    result = replay(replace(given, faults=Faults(crashes=[just_then])), plan)
    assert max(view.proxy.held for view in plan.views if view.proxy) > 15
    assert result.unfinished == result.lost > 0


def test_a_fleet_may_be_scaled_to_zero_and_back() -> None:
    given = scenario("poisson:rate=0.5,hours=0.5", warm_replicas=1)
    result = replay(given, Plan(lambda now: 0 if 300 <= now < 600 else 1))
    assert result.unfinished == 0
    assert result.ttft_p99 > 250.0


def test_replicas_beyond_the_cluster_are_shown_as_unschedulable() -> None:
    plan = Plan(lambda _: 5)
    result = replay(scenario(warm_replicas=2, schedulable=3), plan)
    assert plan.views[-1].replicas.unschedulable == 2
    assert plan.views[-1].replicas.oldest_unschedulable_age > 600.0
    assert result.max_replicas_seen == 3
    assert result.gpu_hours < 3 * result.simulated_seconds / 3600.0


def test_many_replicas_may_wait_for_a_node_from_the_start() -> None:
    plan = Plan(lambda now: 30 if now < 600 else 2)
    result = replay(scenario(warm_replicas=20, schedulable=3), plan)
    assert (plan.views[0].replicas.ready, plan.views[0].replicas.unschedulable) == (3, 17)
    assert (plan.views[-1].replicas.ready, plan.views[-1].replicas.unschedulable) == (2, 0)
    assert result.unfinished == 0


def test_what_does_not_finish_in_time_counts_as_a_miss() -> None:
    result = replay(scenario("poisson:rate=20,hours=0.2", warm_replicas=1), Plan(lambda _: 1))
    assert result.unfinished > 0
    assert result.simulated_seconds == 720.0 + 600.0
    assert result.ttft_attainment < 0.1
    assert math.isfinite(result.ttft_p99)
    check_conservation(result)


def test_a_trace_without_requests_costs_what_the_fleet_costs() -> None:
    result = replay(scenario("poisson:rate=0,hours=1"), Plan(lambda _: 1))
    assert (result.requests, result.ttft_attainment, result.ttft_p99, result.gpu_hours) == (0, 1.0, 0.0, 1.0)


def test_a_warm_start_has_the_replicas_for_the_first_ten_minutes() -> None:
    given = scenario("poisson:rate=10,hours=1,input=1000,output=200,length_cv=0")
    demand = 10.0 * A10G.replica_seconds(np.array([1000]), np.array([200]))[0]
    assert warm_replicas(given) == pytest.approx(demand / 0.9, abs=1.0)
    plan = Plan(lambda _: 1)
    replay(given, plan)
    assert plan.started_with == warm_replicas(given)


def test_the_demand_over_time_is_the_offered_work_in_replicas() -> None:
    given = scenario("poisson:rate=10,hours=1,input=1000,output=200,length_cv=0")
    series = replay(given, Plan(lambda _: 10)).series
    demand = 10.0 * A10G.replica_seconds(np.array([1000]), np.array([200]))[0]
    assert series.demand[:360].mean() == pytest.approx(demand, rel=0.03)


def test_the_band_of_times_to_first_token_counts_every_request_once() -> None:
    result = replay(scenario("step:rate=1,hours=1,factor=8,at=900", warm_replicas=1), ours())
    band = result.ttft_band
    assert band.seconds == 10.0
    assert band.requests.sum() == result.requests
    assert band.missed.sum() == pytest.approx((1.0 - result.ttft_attainment) * result.requests)
    known = band.requests > 0
    assert np.isnan(band.p50[~known]).all()
    assert (band.p50[known] <= band.p95[known]).all()
    assert (band.p95[known] <= band.p99[known]).all()
    assert (band.objective[known] > 2.0).all()
