"""A short replay with scale-outs, scale-ins, holds and a queue, and its report."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from llmendpoint.report.replay import replay_report
from llmendpoint.simulate.operator_policy import OperatorPolicy
from llmendpoint.simulate.profiles import load_profile
from llmendpoint.simulate.replay import Scenario, replay
from llmendpoint.simulate.results import Moment, Result
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
