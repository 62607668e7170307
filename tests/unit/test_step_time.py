"""The time of an engine's step, learned from counters."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.scaling.activity import MOST, Activity
from llmendpoint.scaling.step_time import FEWEST_SPANS, LEAST_FACTOR, PRIOR, StepTime

Three = tuple[float, float, float]

SMALL_GPU: Three = (0.055, 3e-4, 4e-4)
MEDIUM_GPU: Three = (0.030, 4e-4, 3.5e-4)
LARGE_GPU: Three = (0.010, 3e-5, 7e-5)
HOUR = 120
"""Spans."""


def busy_share(coefficients: Three, done: Three, seconds: float = 30.0) -> float:
    return math.fsum(c * count for c, count in zip(coefficients, done, strict=True)) / seconds


def after_span(fit: StepTime, done: Three, busy: float, seconds: float = 30.0) -> StepTime:
    """After half a minute in one reading; ``busy`` is the share of ``seconds`` replica-seconds."""
    steps, generated, prompt = done
    activity = Activity(30.0, seconds, steps=steps, generation_tokens=generated, prompt_tokens=prompt)
    return fit.learned(activity, busy * seconds)


def mixed(load: float, gpu: Three, chance: random.Random) -> Three:
    """What a replica does in a span: batches of 1 to 100 sequences, 0 to 4 prompt tokens for each that is generated."""
    sequences = 100.0 ** chance.random()
    prompts = 4.0 * chance.random()
    step = busy_share(gpu, (1.0, sequences, sequences * prompts), 1.0)
    steps = 2.0 * load * chance.random() * 30.0 / step
    return steps, steps * sequences, steps * sequences * prompts


def taught(
    fit: StepTime, gpu: Three, spans: int, load: float = 0.3, noise: float = 0.0,
    mix: Callable[[float, Three, random.Random], Three] = mixed,
) -> StepTime:  # fmt: skip
    chance = random.Random(7)
    for _ in range(spans):
        done = mix(load, gpu, chance)
        fit = after_span(fit, done, busy_share(gpu, done) * max(1.0 + noise * chance.gauss(0.0, 1.0), 0.0))
    return fit


# What one span does.


def test_at_first_it_is_what_is_usual() -> None:
    assert StepTime().coefficients == PRIOR
    assert not StepTime().is_learned


def test_one_span_of_one_feature_by_hand() -> None:
    """500 steps x 0.03 s are half of 30 s, the replica was busy for 0.75: (0.02 + 0.5 x 0.75) / (0.02 + 0.5 x 0.5)."""
    fit = after_span(StepTime(), (500.0, 0.0, 0.0), 0.75)
    assert fit.factors == pytest.approx((0.395 / 0.27, 1.0, 1.0))
    assert fit.coefficients == pytest.approx((0.03 * 0.395 / 0.27, *PRIOR[1:]))


def test_a_span_counts_by_its_replicas() -> None:
    """Two replicas that did the same each: (0.02 + 2 x 0.5 x 0.75) / (0.02 + 2 x 0.5 x 0.5)."""
    fit = after_span(StepTime(), (1000.0, 0.0, 0.0), 0.75, seconds=60.0)
    assert fit.factors[0] == pytest.approx(0.77 / 0.52)


def test_readings_are_added_up_to_spans_of_half_a_minute() -> None:
    reading = Activity(10.0, 20.0, steps=100.0, prompt_tokens=2000.0, generation_tokens=500.0)
    fit = StepTime().learned(reading, 8.0).learned(reading, 4.0)
    assert (fit.elapsed, fit.seconds, fit.busy_seconds, fit.done) == (20.0, 40.0, 12.0, (200.0, 1000.0, 4000.0))
    assert fit.factors == (1.0, 1.0, 1.0)
    whole = fit.learned(reading, 6.0)
    assert whole == after_span(StepTime(), (300.0, 1500.0, 6000.0), 18.0 / 60.0, seconds=60.0)
    assert (whole.elapsed, whole.seconds, whole.busy_seconds, whole.done) == (0.0, 0.0, 0.0, (0.0, 0.0, 0.0))


def test_it_is_learned_after_two_minutes_and_no_more_is_counted() -> None:
    fits = [taught(StepTime(), SMALL_GPU, spans) for spans in (3, 4, 12)]
    assert [fit.is_learned for fit in fits] == [False, True, True]
    assert fits[-1].spans == FEWEST_SPANS


def test_a_span_is_forgotten_in_six_hours_and_the_prior_is_not() -> None:
    fit = after_span(StepTime(), (500.0, 0.0, 0.0), 0.75)
    assert fit.gram[0] == pytest.approx(0.02 + 0.25)
    for _ in range(6 * HOUR):
        fit = after_span(fit, (0.0, 0.0, 1000.0), 0.1)
    assert fit.gram[0] == pytest.approx(0.02 + 0.25 / math.e, rel=1e-3)
    assert fit.gram[3] == pytest.approx(0.02)


def test_idle_spans_teach_nothing() -> None:
    known = taught(StepTime(), SMALL_GPU, 100)
    fit = known
    for _ in range(24 * HOUR):
        fit = after_span(fit, (0.0, 0.0, 0.0), 0.0)
    assert fit == known


def test_idle_time_before_and_after_work_is_part_of_its_span() -> None:
    idle, work = Activity(10.0, 10.0), Activity(10.0, 10.0, steps=300.0)
    fit = StepTime().learned(idle, 0.0).learned(work, 9.0).learned(idle, 0.0)
    assert fit == after_span(StepTime(), (300.0, 0.0, 0.0), 9.0 / 30.0)


# What many spans do.


@pytest.mark.parametrize("gpu", [PRIOR, SMALL_GPU, LARGE_GPU], ids=["prior", "small", "large"])
@pytest.mark.parametrize(("load", "tolerance"), [(0.1, 0.2), (0.3, 0.03), (0.8, 0.01)])
def test_the_time_of_a_step_is_known_from_any_load(gpu: Three, load: float, tolerance: float) -> None:
    """Where little happens the prior is felt."""
    assert taught(StepTime(), gpu, 12 * HOUR, load).coefficients == pytest.approx(gpu, rel=tolerance)


@pytest.mark.parametrize("gpu", [SMALL_GPU, LARGE_GPU], ids=["small", "large"])
@pytest.mark.parametrize("done", [(100.0, 2000.0, 4000.0), (100.0, 100.0, 400.0), (100.0, 5000.0, 20_000.0)])
def test_noise_of_a_fifth_is_averaged_out(gpu: Three, done: Three) -> None:
    fit = taught(StepTime(), gpu, 12 * HOUR, noise=0.2)
    assert busy_share(fit.coefficients, done) == pytest.approx(busy_share(gpu, done), rel=0.05)


def test_spans_of_one_mix_predict_themselves_though_they_do_not_tell_the_coefficients_apart() -> None:
    def same(load: float, _: Three, chance: random.Random) -> Three:
        steps = 400.0 * load * (0.5 + chance.random())
        return steps, 10.0 * steps, 30.0 * steps

    fit = taught(StepTime(), SMALL_GPU, 2 * HOUR, mix=same)
    for done in ((100.0, 1000.0, 3000.0), (400.0, 4000.0, 12000.0)):
        assert busy_share(fit.coefficients, done) == pytest.approx(busy_share(SMALL_GPU, done), rel=0.01)
    assert fit.coefficients[2] != pytest.approx(SMALL_GPU[2], rel=0.1)


@pytest.mark.parametrize(("before", "after"), [(SMALL_GPU, MEDIUM_GPU), (MEDIUM_GPU, SMALL_GPU)], ids=["up", "down"])
def test_another_gpu_is_known_after_hours(before: Three, after: Three) -> None:
    fit = taught(StepTime(), before, 24 * HOUR)
    done = (100.0, 2000.0, 4000.0)

    def error(hours: int) -> float:
        return abs(busy_share(taught(fit, after, hours * HOUR).coefficients, done) / busy_share(after, done) - 1.0)

    assert error(1) > 0.1
    assert error(12) < 0.1
    assert error(24) < 0.05


def test_an_engine_without_a_counter_of_steps_is_learned_by_its_tokens() -> None:
    def without_steps(load: float, gpu: Three, chance: random.Random) -> Three:
        _, generated, prompt = mixed(load, (0.0, *gpu[1:]), chance)
        return 0.0, generated, prompt

    fit = taught(StepTime(), (0.0, 1.5e-3, 4e-4), 12 * HOUR, mix=without_steps)
    assert fit.coefficients == pytest.approx((PRIOR[0], 1.5e-3, 4e-4), rel=0.1)


def test_work_in_no_time_makes_no_coefficient_negative() -> None:
    """Idle with 500 steps, busy with tokens: alone, the steps would have to give time back."""
    fit = StepTime()
    for _ in range(HOUR):
        fit = after_span(after_span(fit, (500.0, 0.0, 0.0), 0.0), (500.0, 30_000.0, 0.0), 0.9)
    assert fit.factors[0] >= LEAST_FACTOR
    assert after_span(StepTime(), (1e5, 0.0, 0.0), 0.0).factors[0] == LEAST_FACTOR


counts = st.floats(0.0, MOST, exclude_max=True)


@given(st.lists(st.tuples(counts, counts, counts, st.floats(0.0, 1.0), st.floats(30.0, 1e5)), max_size=20))
def test_whatever_is_read_coefficients_are_positive_numbers(spans: list[tuple[float, ...]]) -> None:
    fit = StepTime()
    for steps, generated, prompt, busy, seconds in spans:
        fit = after_span(fit, (steps, generated, prompt), busy, seconds)
        assert all(math.isfinite(c) and c > 0.0 for c in fit.coefficients)
        assert all(math.isfinite(value) and value >= 0.0 for value in (*fit.gram, *fit.moment))


# Other replicas.


def seconds_of_a_request(gpu: Three) -> float:
    alpha, beta, gamma = gpu
    return 1000.0 * (gamma + alpha / 2048.0) + 200.0 * (alpha / 60.0 + beta)


@pytest.mark.parametrize(("before", "after"), [(SMALL_GPU, LARGE_GPU), (LARGE_GPU, SMALL_GPU), (MEDIUM_GPU, LARGE_GPU)])
def test_a_doubted_fit_knows_another_gpu_within_half_an_hour_and_not_by_evening(before: Three, after: Three) -> None:
    day = taught(StepTime(), before, 24 * HOUR)
    known, truth = taught(day.doubted(), after, HOUR // 2, noise=0.1), seconds_of_a_request(after)
    assert seconds_of_a_request(known.coefficients) == pytest.approx(truth, rel=0.12)
    stubborn = taught(day, after, HOUR // 2, noise=0.1)
    assert abs(seconds_of_a_request(stubborn.coefficients) / truth - 1.0) > 0.5


def test_doubt_alone_changes_no_coefficient() -> None:
    day = taught(StepTime(), MEDIUM_GPU, 24 * HOUR)
    doubted = day.doubted()
    assert (doubted.coefficients, doubted.is_learned) == (day.coefficients, True)
    again = taught(doubted, MEDIUM_GPU, 20)
    assert seconds_of_a_request(again.coefficients) == pytest.approx(seconds_of_a_request(MEDIUM_GPU), rel=0.2)


def test_a_fit_of_little_is_not_doubted_to_less_than_its_prior() -> None:
    assert StepTime().doubted() == StepTime()
