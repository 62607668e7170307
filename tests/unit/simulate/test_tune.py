"""The tuner: what it finds, that it finds the same again, and what is left of an interrupted search."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.api.scaling import Scaling
from llmendpoint.simulate.knobs import knobs_of, with_values, written
from llmendpoint.simulate.profiles import load_profile
from llmendpoint.simulate.replay import Scenario
from llmendpoint.simulate.traces import load_trace
from llmendpoint.simulate.tune import Tuning, tune
from support.builders import scaling

SCENARIO = Scenario(
    load_trace("gamma-modulated:rate=1,hours=0.5,period=200", 1), load_profile("a10g-llama-8b"), cold_start=60.0
)
CONCURRENCY = {"type": "ConcurrentRequestsPerReplica", "value": 1}
TRACKING = scaling(maxReplicas=4, policy="TargetTracking", evaluation="Fast", targets=[CONCURRENCY])


def tuned(
    settings: Scaling | None = None, *, trials: int = 8, choose_on: float = 0.5, jobs: int = 1, seed: int = 0,
    on_replay: Callable[[], None] = lambda: None,
) -> Tuning:  # fmt: skip
    settings = settings or scaling(maxReplicas=4)
    found = Tuning(knobs_of(settings), 0.99)
    tune(
        found, replace(SCENARIO, seed=seed), settings, slots=256, trials=trials, choose_on=choose_on, jobs=jobs,
        on_replay=on_replay,
    )  # fmt: skip
    return found


def test_the_best_is_the_cheapest_that_keeps_the_service_level() -> None:
    found = tuned(TRACKING, trials=12)
    good = [trial.gpu_hours for trial in found.trials if trial.attainment >= 0.99]
    assert found.best.gpu_hours == min(good) < found.trials[0].gpu_hours
    assert len(found.trials) == 13
    assert found.trials[0].values == {}


def test_the_frontier_rises_and_is_scored_on_the_rest() -> None:
    found = tuned()
    hours, shares = zip(*((trial.gpu_hours, trial.attainment) for trial in found.frontier), strict=True)
    assert list(hours) == sorted(set(hours))
    assert list(shares) == sorted(set(shares))
    assert found.best in found.frontier
    whole = len(SCENARIO.trace.t)
    for trial in (found.trials[0], *found.frontier):
        assert trial.scored is not None
        assert 0 < trial.scored.requests < whole


def test_on_the_whole_trace_what_chose_is_what_is_reported() -> None:
    found = tuned(choose_on=0.0, trials=3)
    for trial in found.trials:
        assert trial.scored is not None
        assert (trial.scored.gpu_hours, trial.scored.requests) == (trial.gpu_hours, len(SCENARIO.trace.t))


def test_the_seed_decides_what_is_tried_and_processes_change_nothing() -> None:
    found = tuned()
    assert tuned(jobs=2) == found
    assert [trial.values for trial in tuned(seed=1).trials] != [trial.values for trial in found.trials]


def test_what_was_found_is_kept_when_the_search_is_interrupted() -> None:
    done = []

    def press() -> None:
        done.append(1)
        if len(done) == 7:
            raise KeyboardInterrupt

    settings = scaling(maxReplicas=4)
    found = Tuning(knobs_of(settings), 0.99)
    with pytest.raises(KeyboardInterrupt):
        tune(found, SCENARIO, settings, slots=256, trials=40, choose_on=0.5, on_replay=press)
    assert len(found.trials) == 5  # the settings as they are, and one batch
    assert found.best.scored is None


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        ({}, ["demand.errorBudget", "scaleIn.holdSeconds", "scaleIn.cooldownSeconds"]),
        (
            {"policy": "TargetTracking", "targets": [CONCURRENCY, {"type": "TTFTP95Seconds", "value": 1}]},
            ["targets.0.value", "targets.1.value", "scaleOut.cooldownSeconds", "scaleIn.cooldownSeconds"],
        ),
        (
            {"policy": "Step", "targets": [CONCURRENCY], "steps": [{"lowerBound": 0, "adjustment": 1}]},
            ["targets.0.value"],
        ),
    ],
    ids=["Demand", "TargetTracking", "Step"],
)  # fmt: skip
def test_each_policy_has_settings_whose_ends_are_valid(settings: dict[str, Any], paths: list[str]) -> None:
    given = scaling(**settings)
    knobs = knobs_of(given)
    assert [knob.path for knob in knobs] == paths
    for end in ("low", "high"):
        values = {knob.path: getattr(knob.span, end) for knob in knobs}
        changed = with_values(given, values)
        assert {knob.path: knob.read(changed) for knob in knobs} == values


def test_what_the_user_wrote_stays_as_it_is_and_defaults_are_left_out() -> None:
    given = scaling(maxReplicas=4, scaleIn={"maxStep": 2})
    assert written(given, {"scaleIn.holdSeconds": 300.0, "demand.errorBudget": 0.05}) == {
        "maxReplicas": 4, "scaleIn": {"maxStep": 2, "holdSeconds": 300}, "demand": {"errorBudget": 0.05},
    }  # fmt: skip
