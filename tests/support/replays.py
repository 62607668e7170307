"""Short replays for reports: one with scale-outs, scale-ins, holds and a queue, and one of each policy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from llmendpoint.report.replay import replay_report
from llmendpoint.simulate.compare import Comparison, compare
from llmendpoint.simulate.operator_policy import OperatorPolicy
from llmendpoint.simulate.profiles import load_profile
from llmendpoint.simulate.replay import Scenario, replay
from llmendpoint.simulate.results import Moment, Result
from llmendpoint.simulate.sweep import Run
from llmendpoint.simulate.traces import load_trace
from support.builders import scaling


@dataclass(frozen=True)
class Replayed:
    """A replay and what it was of."""

    scenario: Scenario
    result: Result

    @property
    def changes(self) -> Sequence[Moment]:
        return [moment for moment in self.result.moments if moment.after != moment.before]

    @property
    def report(self) -> str:
        return replay_report(
            self.result, self.scenario, endpoint="llama", trace="spike", slo_attainment=0.99, gpu_hour_price=1.5
        )


@cache
def replayed() -> Replayed:
    """Six times the load for a while, with GPUs for four replicas only."""
    trace = load_trace("spike:rate=1,hours=1,factor=6,at=600,seconds=600", seed=3)
    scenario = Scenario(trace, load_profile("a10g-llama-8b"), 60.0, warm_replicas=1, seed=3, schedulable=4)
    return Replayed(scenario, replay(scenario, OperatorPolicy(scaling(maxReplicas=8), slots=256)))


@cache
def compared() -> Comparison:
    """All policies on a short trace, the operator's own with a sweep."""
    trace = load_trace("step:rate=0.6,hours=0.4,factor=3,at=500", 1)
    scenario = Scenario(trace, load_profile("a10g-llama-8b"), cold_start=60.0)
    found = compare(scenario, scaling(maxReplicas=4), slots=256, trace="step", slo_attainment=0.99)
    own = found.results["demand"]
    runs = [Run(0.5, 1.5 * own.result.gpu_hours, 1.0), Run(0.9, own.result.gpu_hours, own.result.ttft_attainment)]
    return replace(found, results={**found.results, "demand": replace(own, tuned=True, runs=runs)})
