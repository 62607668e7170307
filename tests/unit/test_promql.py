"""Which buckets of the waits in the queue are asked from Prometheus."""

import re
from collections.abc import Sequence

import pytest

from llmendpoint.engines import engine_for
from llmendpoint.metrics.extract import bound_of
from llmendpoint.metrics.promql import LONGEST_BOUNDS, queue_objectives, signal_queries
from llmendpoint.metrics.source import EndpointTarget
from llmendpoint.scaling.histogram import above
from support.builders import scaling

HISTOGRAM = engine_for("vLLM").metrics.queue_bucket or ""
VLLM = ["0.3", "0.5", "0.8", "1.0", "1.5", "2.0", "2.5", "5.0", "10.0", "15.0", "20.0", "30.0", "40.0", "+Inf"]


def query(bounds: Sequence[str], *objectives: float) -> str:
    """That for the histogram, for endpoints with these objectives."""
    targets = [
        EndpointTarget("team", "llama", "vLLM", scaling(policy="Demand", demand={"ttftSeconds": objective}), [])
        for objective in objectives
    ]
    return signal_queries(targets, queue_objectives(targets), {HISTOGRAM: bounds})[HISTOGRAM]


def asked(bounds: Sequence[str], *objectives: float) -> set[str]:
    """Those that the query matches."""
    match = re.search(r'le=~"([^"]*)"', query(bounds, *objectives))
    assert match
    pattern = match[1].replace("\\\\", "\\")
    return {bound for bound in bounds if re.fullmatch(pattern, bound)}


@pytest.mark.parametrize("objective", [0.1, 0.3, 0.7, 1.0, 2.0, 3.3, 17.0, 39.0, 40.0, 55.0])
def test_the_buckets_that_are_asked_say_as_much_as_all(objective: float) -> None:
    counts = tuple((bound_of(label), 10.0 * number) for number, label in enumerate(VLLM, 1))
    near = asked(VLLM, objective)
    assert len(near) <= 7
    assert above(objective, [one for one, label in zip(counts, VLLM, strict=True) if label in near]) == pytest.approx(
        above(objective, counts)
    )


def test_each_objective_has_its_own() -> None:
    assert asked(VLLM, 0.4, 12.0) == {"0.3", "0.5", "0.8", "10.0", "15.0", "20.0", "+Inf"}


def test_bounds_of_one_engine_do_not_hide_those_of_another() -> None:
    assert asked([*VLLM, "1.9999", "2.0001", "x", "nan"], 2.0) >= asked(VLLM, 2.0)


@pytest.mark.parametrize(
    "bounds", [[], [str(number) for number in range(LONGEST_BOUNDS)], ["2." + "0" * LONGEST_BOUNDS]]
)
def test_nothing_is_left_out_where_bounds_are_unknown_or_would_not_fit_into_an_address(bounds: list[str]) -> None:
    assert "le=~" not in query(bounds, 2.0)


def test_series_of_one_engine_that_say_the_same_again_are_not_asked_for() -> None:
    target = EndpointTarget("team", "llama", "SGLang", scaling(policy="Demand"), [])
    histogram = "sglang:queue_time_seconds_bucket"
    queries = signal_queries([target], queue_objectives([target]), {histogram: ["1.0", "2.0", "+Inf"]})
    assert 'pp_rank=~"|0", priority=~"|"' in queries["sglang:num_running_reqs"]
    assert 'pp_rank=~"|0", le=~"' in queries[histogram]
    # Those that stream and those that do not are two series, and both count.
    requests = queries["sglang:num_requests_total"]
    assert "is_streaming" in requests
    assert "=~" not in requests.replace('pod=~".+-engine-.+"', "")
