"""What the scaler learns of the simulated engine, from what it can read there, beside what that engine is."""

from dataclasses import dataclass, field
from statistics import fmean

import pytest

from llmendpoint.scaling.engine_model import EngineModel
from llmendpoint.scaling.signals import ReadingWindow, derive
from llmendpoint.simulate.policy import Order, View
from llmendpoint.simulate.profiles import EngineProfile, load_profile
from llmendpoint.simulate.replay import Scenario, replay
from llmendpoint.simulate.traces import Trace, load_trace

REPLICAS = 2
# Below what saturates a replica: that has to be learned without seeing it.
UTILIZATION = 0.5


@dataclass
class Learner:
    """A fleet of a constant size whose readings teach the model; the last half hour's costs are kept."""

    profile: EngineProfile
    trace: Trace
    name: str = "learner"
    period: float = 10.0
    metric_delay: float = 0.0
    model: EngineModel = field(default_factory=EngineModel)
    window: ReadingWindow = field(default_factory=ReadingWindow)
    costs: list[float] = field(default_factory=list)

    def start(self, replicas: int) -> None:
        self.replicas = replicas

    def order(self, view: View) -> Order:
        slots = self.profile.max_num_seqs
        self.window, signals = derive(self.window, view.pods, view.now, slots=slots, with_ttft=False)
        # Once nothing arrives any more only the longest requests finish.
        if signals.activity and view.now <= self.trace.duration:
            self.model = self.model.learned(signals.activity, signals.running, signals.kv_usage)
            cost = self.model.cost(slots)
            if cost and view.now > self.trace.duration / 2:
                self.costs.append(cost.total)
        return Order(self.replicas)


def mean_cost(profile: EngineProfile, trace: Trace) -> float:
    return float(profile.replica_seconds(trace.input_tokens, trace.output_tokens).mean())


def trace_of(profile: EngineProfile, prompt: int, output: int) -> Trace:
    """An hour at half of what the replicas can do."""
    lengths = f"input={prompt},output={output}"
    cost = mean_cost(profile, load_trace(f"poisson:rate=1,hours=1,{lengths}", seed=3))
    return load_trace(f"poisson:rate={REPLICAS * UTILIZATION / cost},hours=1,{lengths}", seed=3)


@pytest.mark.parametrize("name", ["a10g-llama-8b", "a100-llama-8b"])
@pytest.mark.parametrize(("prompt", "output"), [(2000, 100), (300, 600)], ids=["long prompts", "long answers"])
def test_the_cost_of_a_request_is_learned_from_half_the_load(name: str, prompt: int, output: int) -> None:
    profile = load_profile(name)
    trace = trace_of(profile, prompt, output)
    learner = Learner(profile, trace)
    replay(Scenario(trace, profile, 60.0, warm_replicas=REPLICAS), learner)
    assert fmean(learner.costs) == pytest.approx(mean_cost(profile, trace), rel=0.15)
