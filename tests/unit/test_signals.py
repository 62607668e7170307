"""What the readings of pods say about load, and what a missing one means."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.engines import engine_for
from llmendpoint.metrics.extract import sample_of
from llmendpoint.metrics.parser import parse
from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.decision import Outcome, Replicas
from llmendpoint.scaling.histogram import quantile
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import (
    EngineSample,
    PodPhase,
    PodReading,
    Queue,
    ReadingWindow,
    Signals,
    derive,
    finite,
)
from llmendpoint.scaling.state import initial_state
from llmendpoint.scaling.target_tracking import reads_ttft
from support.builders import NOW, reading, sample, scaling

READY, STARTING = PodPhase.READY, PodPhase.STARTING
UNREADY, DRAINING = PodPhase.UNREADY, PodPhase.DRAINING
TICK = 10.0


def signals_of(*readings: PodReading, now: float = NOW, **more: Any) -> Signals:
    return derive(ReadingWindow(), readings, now, **more)[1]


def over_ticks(*ticks: Sequence[PodReading], step: float = TICK) -> list[Signals]:
    """Signals of successive ticks."""
    window, found = ReadingWindow(), []
    for index, readings in enumerate(ticks):
        window, signals = derive(window, readings, NOW + step * index)
        found.append(signals)
    return found


def at(tick: int, **numbers: Any) -> EngineSample:
    return sample(NOW + TICK * tick, **numbers)


def scrape(text: str) -> EngineSample | str:
    """The sample of an answer of vLLM's /metrics."""
    names = engine_for("vLLM").metrics
    return sample_of(parse(text, names.wanted), names, taken_at=NOW, own_metrics=names.prefix in text, objective=2.0)


# The table of missing metrics, row by row.


def test_no_engine_pod_is_no_signal_and_holds_the_size() -> None:
    signals = signals_of()
    assert (signals.ready, signals.known, signals.unknown) == (0, 0, 0)
    decision = decide(scaling(), initial_state(3, NOW), signals, Replicas(0, ordered=3), NOW)[1]
    assert (decision.reason, decision.desired) == (Outcome.NO_READY_REPLICAS, 3)


def test_a_starting_replica_is_not_missing_and_carries_no_load() -> None:
    signals = signals_of(reading("a", taken=at(0, running=4)), reading("b", STARTING))
    assert (signals.known, signals.unknown, signals.running) == (1, 0, 4.0)


def test_an_absent_gauge_of_an_engine_that_answers_is_zero() -> None:
    taken = scrape("vllm:generation_tokens_total 0.0\n")
    assert isinstance(taken, EngineSample)
    assert (taken.running, taken.waiting, taken.kv_usage) == (0.0, 0.0, None)
    assert signals_of(reading("a", taken=taken)).known == 1


def test_an_answer_without_any_metric_of_the_engine_is_unknown_and_says_why() -> None:
    why = scrape("python_info 1\n")
    assert isinstance(why, str)
    assert "another program listens on this port" in why
    assert "statistics disabled" in why


@pytest.mark.parametrize(("age", "known"), [(0.0, 1), (30.0, 1), (30.1, 0)])
def test_a_reading_older_than_three_ticks_is_unknown(age: float, known: int) -> None:
    signals = signals_of(reading("a", taken=sample(NOW - age, running=4)))
    assert (signals.known, signals.unknown) == (known, 1 - known)


def test_a_failed_scrape_is_unknown() -> None:
    assert (signals_of(reading("a")).known, signals_of(reading("a")).unknown) == (0, 1)


def test_nothing_known_is_held_until_the_fallback_that_was_asked_for() -> None:
    nothing, counts = signals_of(reading("a"), reading("b")), Replicas(2, ordered=2)
    fallback = scaling(fallback={"afterSeconds": 60, "replicas": 5})
    for spec, after in ((scaling(), 2), (fallback, 5)):
        state, wanted = initial_state(2, NOW), []
        for seconds in (0, 59, 60):
            state, decision = decide(spec, state, nothing, counts, NOW + seconds)
            assert decision.reason is (Outcome.SCALE_OUT if decision.desired > 2 else Outcome.METRICS_UNKNOWN)
            wanted.append(decision.desired)
        assert wanted == [2, 2, after]


@pytest.mark.parametrize("text", ["NaN", "Nan", "nan"])
def test_a_rate_over_nothing_is_zero(text: str) -> None:
    taken = scrape(f"vllm:num_requests_running {text}\nvllm:kv_cache_usage_perc {text}\n")
    assert isinstance(taken, EngineSample)
    assert (taken.running, taken.kv_usage) == (0.0, 0.0)
    broken = signals_of(reading("a", taken=at(0, running=math.nan, waiting=math.nan, kv_usage=math.nan)))
    assert (broken.running, broken.waiting, broken.kv_usage, broken.occupancy) == (0.0, 0.0, 0.0, 0.0)


def test_unread_replicas_are_put_at_the_mean_of_the_others() -> None:
    first = [reading("a", taken=at(0)), reading("b", taken=at(0)), reading("c")]
    second = [
        reading("a", taken=at(1, running=4, waiting=2, kv_usage=0.2, requests_total=20)),
        reading("b", taken=at(1, running=8, waiting=0, kv_usage=0.4, requests_total=40)),
        reading("c"),
    ]
    signals = over_ticks(first, second)[-1]
    assert (signals.known, signals.unknown) == (2, 1)
    assert (signals.running, signals.waiting) == (18.0, 3.0)
    assert signals.kv_usage == pytest.approx(0.9)
    # What is in flight has arrived as well.
    assert signals.arrival_rate == pytest.approx((20 + 40 + 14) / 10 * 3 / 2)
    assert did(signals).finished == 60  # by those that were read


def test_partial_readings_scale_out_and_never_in() -> None:
    def decided(running: float) -> int:
        partial = signals_of(reading("a", taken=at(0, running=running)), reading("b"), slots=16)
        spec = scaling(scaleIn={"holdSeconds": 0})
        return decide(spec, initial_state(2, NOW - 1000), partial, Replicas(2, ordered=2), NOW)[1].desired

    assert decided(16.0) == 3
    assert decided(0.0) == 2


def test_draining_replicas_are_left_out_of_both_sides() -> None:
    signals = signals_of(reading("a", taken=at(0, running=4)), reading("b", DRAINING, at(0, running=9)))
    assert (signals.ready, signals.running) == (1, 4.0)


# Rates.


def did(signals: Signals) -> Activity:
    assert signals.activity is not None
    return signals.activity


def finished(*ticks: Sequence[PodReading]) -> list[float | None]:
    """Requests finished by tick; None where nothing is known."""
    return [signals.activity.finished if signals.activity else None for signals in over_ticks(*ticks)]


def test_the_first_tick_knows_no_rates() -> None:
    (signals,) = over_ticks([reading("a", taken=at(0, requests_total=1000))])
    assert (signals.arrival_rate, signals.activity, signals.queues) == (None, None, ())


def test_arrivals_are_what_was_finished_and_what_has_come_in_addition() -> None:
    before = at(0, running=4, waiting=6, requests_total=100)
    after = at(1, running=8, waiting=12, requests_total=150)
    signals = over_ticks([reading("a", taken=before)], [reading("a", taken=after)])[-1]
    assert (did(signals).finished, signals.arrival_rate) == (50, 6.0)


def test_arrivals_are_never_negative() -> None:
    gave_up = over_ticks([reading("a", taken=at(0, waiting=500))], [reading("a", taken=at(1, requests_total=10))])[-1]
    assert gave_up.arrival_rate == 0.0


def test_what_replicas_did_is_the_growth_of_their_counters() -> None:
    first = at(0, running=2, requests_total=5, prompt_tokens_total=100, generation_tokens_total=50, steps_total=20,
               finished_prompt_tokens_total=80, finished_generation_tokens_total=40,
               queued_total=5, late_total=1)  # fmt: skip
    second = at(1, requests_total=7, prompt_tokens_total=150, generation_tokens_total=90, steps_total=60,
                finished_prompt_tokens_total=140, finished_generation_tokens_total=85,
                queued_total=7, late_total=2)  # fmt: skip
    signals = over_ticks(
        [reading("a", taken=first), reading("b", taken=at(0))], [reading("a", taken=second), reading("b", taken=at(1))]
    )[-1]
    assert did(signals) == Activity(
        elapsed=10, seconds=20, busy_seconds=5, steps=40, prompt_tokens=50, generation_tokens=40, finished=2,
        finished_prompt_tokens=60, finished_generation_tokens=45, queued=2, late=1,
    )  # fmt: skip


@pytest.mark.parametrize(("first", "second", "is_there"), [(3, 4, True), (0, 4, False), (3, 0, False), (0, 0, False)])
def test_a_queue_is_one_that_was_there_at_both_readings(first: int, second: int, is_there: bool) -> None:
    before, after = at(0, waiting=first), at(1, waiting=second, requests_total=20)
    signals = over_ticks([reading("a", taken=before)], [reading("a", taken=after)])[-1]
    assert signals.queues == ((Queue(2.0, 4.0),) if is_there else ())


def test_the_counters_of_a_restarted_engine_begin_again() -> None:
    before = at(0, running=8, waiting=4, requests_total=1000, generation_tokens_total=1e6)
    after = at(1, running=2, requests_total=5, generation_tokens_total=300)
    signals = over_ticks([reading("a", taken=before)], [reading("a", taken=after)])[-1]
    assert (did(signals).finished, did(signals).generation_tokens) == (5, 300)
    assert signals.arrival_rate == 0.7  # the 12 that were in flight are lost, not finished


def test_a_new_replica_counts_from_when_it_came_up() -> None:
    old = [reading("a", taken=at(tick, requests_total=10 * tick)) for tick in range(3)]
    ticks = [
        [old[0], reading("b", STARTING)],
        [old[1], reading("b", STARTING)],
        [old[2], reading("b", taken=at(2, requests_total=10))],
    ]
    assert finished(*ticks) == [None, 10, 20]


def test_a_replica_that_was_not_ready_for_a_while_is_not_counted_from_zero() -> None:
    ticks = [
        [reading("a", taken=at(0, requests_total=100_000))],
        [reading("a", UNREADY)],
        [reading("a", taken=at(2, requests_total=100_020))],
    ]
    assert finished(*ticks) == [None, None, 20]


def test_a_replica_that_is_not_ready_when_the_operator_starts_is_not_counted_from_zero() -> None:
    ticks = [
        [reading("a", UNREADY)],
        [reading("a", taken=at(1, requests_total=100_000))],
        [reading("a", taken=at(2, requests_total=100_010))],
    ]
    assert finished(*ticks) == [None, None, 10]


def test_a_gap_in_the_readings_is_bridged() -> None:
    ticks = [
        [reading("a", taken=at(0, requests_total=100))],
        [reading("a")],
        [reading("a", taken=at(2, requests_total=140))],
    ]
    assert finished(*ticks) == [None, None, 40]


# Time to first token.

BOUNDS = (0.1, 0.5, 1.0, math.inf)


def ttft(*counts: float) -> tuple[tuple[float, float], ...]:
    """Buckets with so many observations each."""
    return tuple(zip(BOUNDS, accumulate(counts), strict=True))


def p95(*ticks: Mapping[str, Sequence[float]], step: float = TICK) -> float | None:
    """The 95th percentile after some ticks, each with observations by pod and bucket."""
    made = [
        [reading(pod, taken=sample(NOW + step * index, ttft_buckets=ttft(*counts))) for pod, counts in by_pod.items()]
        for index, by_pod in enumerate(ticks)
    ]
    return over_ticks(*made, step=step)[-1].ttft_p95


def test_the_percentile_is_over_what_was_observed_in_the_last_minute() -> None:
    assert p95({"a": (100, 0, 0, 0)}) is None
    assert p95({"a": (100, 0, 0, 0)}, {"a": (100, 0, 20, 0)}) == pytest.approx(0.5 + 0.5 * 0.95)
    old = [{"a": (0, 0, 20, 0)}] * 7
    assert p95({"a": (0, 0, 0, 0)}, *old) is None


def test_the_percentile_is_over_all_replicas_together() -> None:
    before, after = {"a": (0, 0, 0, 0), "b": (0, 0, 0, 0)}, {"a": (95, 0, 0, 0), "b": (0, 0, 5, 0)}
    assert p95(before, after) == pytest.approx(0.1)


def test_observations_of_a_restarted_engine_count_from_zero() -> None:
    restarted = [{"a": (100, 0, 0, 0)}, {"a": (0, 0, 10, 0)}]
    assert p95(*restarted) == pytest.approx(0.5 + 0.5 * 0.95)
    assert p95(*restarted, {"a": (0, 0, 120, 0)}) == pytest.approx(0.5 + 0.5 * 0.95)


def test_an_engine_without_the_histogram_has_no_percentile() -> None:
    assert signals_of(reading("a", taken=at(0))).ttft_p95 is None


def test_histograms_that_no_target_reads_are_not_kept() -> None:
    window = ReadingWindow()
    for tick, counts in enumerate([(0, 0, 0, 0), (4, 0, 0, 0)]):
        taken = at(tick, ttft_buckets=ttft(*counts))
        window, signals = derive(window, [reading("a", taken=taken)], NOW + TICK * tick, with_ttft=False)
    assert signals.ttft_p95 is None
    assert window.ttft == ()


@pytest.mark.parametrize(("kind", "reads"), [("TTFTP95Seconds", True), ("ConcurrentRequestsPerReplica", False)])
def test_a_target_tells_whether_it_reads_histograms(kind: str, reads: bool) -> None:
    assert reads_ttft(scaling(policy="TargetTracking", targets=[{"type": kind, "value": 2}])) is reads


def histogram_quantile(q: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Prometheus' function of that name, after its documentation: NaN where there is no answer."""
    total = buckets[-1][1]
    if len(buckets) < 2 or total == 0:
        return math.nan
    rank = q * total
    index = bisect_left([count for _, count in buckets[:-1]], rank)
    if index == len(buckets) - 1:
        return buckets[-2][0]
    start, before = buckets[index - 1] if index else (0.0, 0.0)
    end, count = buckets[index]
    return start + (end - start) * (rank - before) / (count - before)


@given(
    st.floats(0.01, 1.0),
    st.lists(st.floats(0.001, 100.0), min_size=1, max_size=8, unique=True),
    st.lists(st.integers(0, 50), min_size=9, max_size=9),
)
def test_a_quantile_is_prometheus_histogram_quantile(q: float, bounds: list[float], counts: list[int]) -> None:
    cumulative = accumulate(counts)
    buckets = [(bound, float(next(cumulative))) for bound in (*sorted(bounds), math.inf)]
    expected = histogram_quantile(q, buckets)
    found = quantile(q, buckets)
    assert (found is None) == math.isnan(expected)
    assert found is None or found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("what", "q", "buckets", "value"),
    [
        ("no buckets", 0.5, [], None),
        ("no bucket with a bound", 0.5, [(math.inf, 9.0)], None),
        ("no observations", 0.5, [(1.0, 0.0), (math.inf, 0.0)], None),
        ("beyond the last bound", 0.99, [(1.0, 1.0), (2.0, 2.0), (math.inf, 100.0)], 2.0),
        ("the middle of the first bucket", 0.5, [(1.0, 10.0), (math.inf, 10.0)], 0.5),
        ("the largest", 1.0, [(1.0, 10.0), (2.0, 10.0), (math.inf, 10.0)], 1.0),
    ],
)
def test_quantiles_at_the_edges(what: str, q: float, buckets: list[tuple[float, float]], value: float | None) -> None:
    assert quantile(q, buckets) == value


@pytest.mark.parametrize(
    ("value", "clean"), [(None, 0.0), (math.nan, 0.0), (-1.0, 0.0), (2.5, 2.5), (math.inf, 1e9), (1e300, 1e9)]
)
def test_numbers_that_can_not_be_calculated_with_are_made_safe(value: float | None, clean: float) -> None:
    assert finite(value) == clean
