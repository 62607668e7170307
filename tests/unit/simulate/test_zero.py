"""A replay of an endpoint that sleeps: what it costs, and how often it is woken."""

import numpy as np

from llmendpoint.simulate.operator_policy import OperatorPolicy
from llmendpoint.simulate.replay import Scenario, replay
from llmendpoint.simulate.traces import Trace
from support.builders import scaling
from support.engines import SIMPLE

HOURS = 2.0


def test_an_endpoint_that_sleeps_costs_only_the_times_at_which_it_is_used() -> None:
    arrivals = np.array([0.0, 10.0, 3000.0, 3001.0, 6000.0])
    tokens = np.full(len(arrivals), 100)
    trace = Trace(arrivals, tokens, tokens, HOURS * 3600.0)
    zero = scaling(minReplicas=0, maxReplicas=3, idleSeconds=300)
    found = replay(Scenario(trace, SIMPLE, 60.0, warm_replicas=1), OperatorPolicy(zero, slots=32))
    changes = [(moment.before, moment.after) for moment in found.moments if moment.before != moment.after]
    assert changes == [(1, 0), (0, 1), (1, 0), (0, 1), (1, 0)]
    assert [moment.sentence.partition(";")[0] for moment in found.moments if moment.after > moment.before] == [
        "woken by 1 waiting request"
    ] * 2
    assert (found.unfinished, found.lost, found.refused) == (0, 0, 0)
    assert found.gpu_hours < HOURS / 5
