"""The comparison: the same scenario for all, the same results however many processes, honest tuning."""

from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.simulate.compare import Comparison, compare
from llmendpoint.simulate.peers import PEERS
from llmendpoint.simulate.profiles import load_profile
from llmendpoint.simulate.replay import Faults, Scenario
from llmendpoint.simulate.sweep import GRID, REFINEMENTS
from llmendpoint.simulate.traces import load_trace
from support.builders import scaling

SCENARIO = Scenario(
    load_trace("step:rate=0.6,hours=0.4,factor=3,at=500", 1), load_profile("a10g-llama-8b"), cold_start=60.0
)
STEP = {"policy": "TargetTracking", "targets": [{"type": "ConcurrentRequestsPerReplica", "value": 8}]}


def compared(scenario: Scenario = SCENARIO, settings: Any = None, **options: Any) -> Comparison:
    return compare(
        scenario, settings or scaling(maxReplicas=4), slots=256, trace="step",
        **{"slo_attainment": 0.99, **options},
    )  # fmt: skip


@pytest.fixture(scope="module")
def by_default() -> Comparison:
    return compared()


@pytest.fixture(scope="module")
def by_tuning() -> Comparison:
    return compared(tuned=True)


def test_demand_and_every_peer_run_with_their_defaults(by_default: Comparison) -> None:
    assert list(by_default.results) == ["demand", *PEERS]
    for name, entry in by_default.results.items():
        assert not entry.tuned
        assert not entry.runs
        assert entry.target == (0.01 if name == "demand" else PEERS[name].default)
        assert entry.reached == (entry.result.ttft_attainment >= 0.99)
        assert entry.result.requests == len(SCENARIO.trace.t)
        assert 1 <= entry.result.max_replicas_seen <= 4


def test_the_lower_bound_is_below_all_that_keep_the_service_level(by_default: Comparison) -> None:
    reached = [entry.result.gpu_hours for entry in by_default.results.values() if entry.reached]
    assert 0.4 <= by_default.lower_bound <= min(reached)


def test_processes_change_nothing(by_default: Comparison) -> None:
    counted = []
    parallel = compared(jobs=2, on_replay=lambda: counted.append(1))
    assert parallel == by_default
    assert len(counted) == len(parallel.results)


def test_another_policy_of_the_file_runs_beside_demand_with_its_defaults(by_default: Comparison) -> None:
    found = compared(settings=scaling(maxReplicas=4, **STEP))
    assert list(found.results)[:2] == ["demand", "target-tracking"]
    assert found.results["demand"] == by_default.results["demand"]
    own = found.results["target-tracking"]
    assert (own.target, own.target_name) == (8.0, "scaling.targets.0.value")


def test_bounds_hold_for_all_from_the_start() -> None:
    found = compared(settings=scaling(minReplicas=2, maxReplicas=2))
    assert {entry.result.max_replicas_seen for entry in found.results.values()} == {2}
    assert {entry.result.scale_outs for entry in found.results.values()} == {0}


def test_each_target_is_swept_for_the_cheapest_run_that_keeps_the_service_level(
    by_default: Comparison, by_tuning: Comparison
) -> None:
    for name, entry in by_tuning.results.items():
        assert entry.tuned
        assert 1 <= len(entry.runs) <= GRID + REFINEMENTS
        own = next(run for run in entry.runs if run.target == entry.target)
        assert (own.gpu_hours, own.attainment) == (entry.result.gpu_hours, entry.result.ttft_attainment)
        good = [run.gpu_hours for run in entry.runs if run.attainment >= 0.99]
        assert entry.reached == bool(good)
        if good:
            assert own.gpu_hours == min(good)
        else:
            assert own.attainment == max(run.attainment for run in entry.runs)
        assert entry.reached or not by_default.results[name].reached


def test_a_fixed_fleet_is_there_from_the_start_and_paid_to_the_end(by_tuning: Comparison) -> None:
    static = by_tuning.results["static"]
    assert static.target
    assert (static.result.scale_outs, static.result.scale_ins) == (0, 0)
    assert static.result.gpu_hours * 3600 == pytest.approx(static.target * static.result.simulated_seconds)
    assert static.result.simulated_seconds < SCENARIO.trace.duration + 60.0


def test_what_was_chosen_on_the_first_part_is_reported_of_the_rest() -> None:
    found = compared(tuned=True, choose_on=0.5)
    half = SCENARIO.trace.duration / 2
    assert found.seconds == pytest.approx(half, abs=1.0)
    later = SCENARIO.between(half, SCENARIO.trace.duration + 1.0)
    for entry in found.results.values():
        assert entry.result.requests == len(later.trace.t)
        assert entry.reached == (entry.result.ttft_attainment >= 0.99)


def test_faults_stay_where_they_are_in_a_part_of_the_trace() -> None:
    faults = Faults([100.0, 900.0], [(300.0, 700.0), (50.0, 60.0)])
    part = replace(SCENARIO, faults=faults).between(500.0, 1000.0)
    assert part.faults == Faults([400.0], [(0.0, 200.0)])
    assert part.trace.t.max() < 500.0
