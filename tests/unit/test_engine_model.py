"""What one replica can do, learned from what the replicas did."""

import json
from collections.abc import Mapping
from dataclasses import astuple, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.engine_model import EngineModel, Requests
from llmendpoint.scaling.state import decode, encode, initial_state
from llmendpoint.scaling.step_time import FEWEST_SPANS, StepTime
from support.builders import NOW

# Coefficients as of the prior: 0.03, 2e-4 and 2e-4 s.
KNOWN = StepTime(spans=FEWEST_SPANS)
REQUESTS = Requests(prompt_tokens=2048.0, generation_tokens=200.0)


def finished(count: float, prompt: float, generation: float, **more: float) -> Activity:
    """Ten seconds of one replica in which so many requests finished, with so much each."""
    return Activity(
        10.0, 10.0, finished=count, finished_prompt_tokens=count * prompt,
        finished_generation_tokens=count * generation, **more,
    )  # fmt: skip


# The cost.


@pytest.mark.parametrize(
    "model",
    [
        EngineModel(),
        EngineModel(step_time=KNOWN),
        EngineModel(step_time=StepTime(spans=FEWEST_SPANS - 1), requests=REQUESTS),
    ],
    ids=["nothing", "no request", "too few spans"],
)
def test_a_cost_is_unknown_until_steps_and_requests_are_known(model: EngineModel) -> None:
    assert model.cost(256) is None


def test_the_cost_of_a_request_by_hand() -> None:
    """A prompt fills one step: 2048 x 2e-4 + 0.03 s; 200 tokens, each a 256th of a step: 200 x (0.03 / 256 + 2e-4)."""
    cost = EngineModel(KNOWN, REQUESTS).cost(256)
    assert cost is not None
    assert (cost.prefill, cost.decode, cost.batch) == pytest.approx((0.4396, 0.0634375, 256.0))
    assert cost.total == pytest.approx(0.5030375)


@pytest.mark.parametrize(
    ("slots", "running", "kv_usage", "batch"),
    [
        (256, 10.0, 0.5, 19.0),  # 20 fill the KV cache, 0.95 of them before engines preempt
        (16, 10.0, 0.5, 16.0),
        (256, 10.0, 0.0, 256.0),  # the engine does not say, or was idle
        (256, 0.1, 0.9, 1.0),  # one always runs
        (256, 0.0, 0.9, 1.0),
        (0, 0.0, 0.0, 1.0),
    ],
)
def test_as_many_run_at_once_as_slots_and_the_kv_cache_allow(
    slots: int, running: float, kv_usage: float, batch: float
) -> None:
    cost = EngineModel(KNOWN, REQUESTS, kv_usage, running).cost(slots)
    assert cost is not None
    assert (cost.decode, cost.batch) == pytest.approx((200.0 * (0.03 / batch + 2e-4), batch))


# Requests.


def test_the_first_requests_are_taken_as_they_are() -> None:
    model = EngineModel().learned(finished(4, 1000, 100), 1.0, None)
    assert model.requests == Requests(1000.0, 100.0)


@pytest.mark.parametrize(("count", "prompt"), [(50, 1500.0), (150, 1750.0), (12.5, 1200.0), (0, 1000.0)])
def test_fifty_requests_renew_half_of_what_they_are_like(count: float, prompt: float) -> None:
    model = EngineModel(requests=Requests(1000.0, 100.0)).learned(finished(count, 2000, 200), 1.0, None)
    assert model.requests is not None
    assert astuple(model.requests) == pytest.approx((prompt, prompt / 10.0))


def test_other_requests_are_known_after_some_hundred_of_them() -> None:
    model = EngineModel(requests=Requests(4000.0, 20.0))
    for _ in range(100):
        model = model.learned(finished(3, 200, 800), 1.0, None)
    assert model.requests is not None
    assert astuple(model.requests) == pytest.approx((200.0, 800.0), rel=0.1)


# The KV cache.


def test_kv_use_and_the_requests_that_hold_it_are_means_of_an_hour() -> None:
    six_minutes = Activity(360.0, 360.0)
    model = EngineModel().learned(six_minutes, 10.0, 0.5)
    assert (model.kv_usage, model.running) == pytest.approx((0.05, 1.0))
    model = model.learned(six_minutes, 0.0, 0.0)
    assert (model.kv_usage, model.running) == pytest.approx((0.045, 0.9))
    assert model.running / model.kv_usage == pytest.approx(20.0), "idle time does not change how many fit"


def test_a_reading_of_hours_is_taken_as_it_is() -> None:
    model = EngineModel(kv_usage=0.2, running=9.0).learned(Activity(7200.0, 7200.0), 10.0, 0.5)
    assert (model.kv_usage, model.running) == (0.5, 10.0)


def test_an_engine_that_says_nothing_of_its_kv_cache_changes_neither() -> None:
    model = EngineModel(kv_usage=0.2, running=9.0).learned(Activity(360.0, 360.0), 50.0, None)
    assert (model.kv_usage, model.running) == (0.2, 9.0)


# Other replicas.


def test_doubt_keeps_what_requests_are_like_and_how_many_fit_until_others_tell() -> None:
    model = EngineModel(KNOWN, REQUESTS, kv_usage=0.5, running=10.0)
    doubted = model.doubted()
    same, cost = doubted.cost(256), model.cost(256)
    assert doubted.requests == REQUESTS
    assert same is not None
    assert cost is not None
    assert tuple(same) == pytest.approx(tuple(cost))
    for _ in range(60):  # ten minutes in which twice as many fit
        doubted = doubted.learned(Activity(10.0, 10.0), 20.0, 0.5)
    cost = doubted.cost(256)
    assert cost is not None
    assert cost.batch == pytest.approx(0.95 * 40.0, rel=0.15)


# Busy time.


@pytest.mark.parametrize(
    ("requests", "count", "gauge", "busy"),
    [
        (None, 5, 4.0, 4.0),  # what they are like is not known before
        (REQUESTS, 0, 4.0, 4.0),
        # The first step takes 0.03 + 2048 x 2e-4 = 0.4396 s. 5 requests in 10 s: r t = 0.2198.
        (REQUESTS, 5, 4.0, (4.0 + 10 * 0.2198) / 1.2198),
        (REQUESTS, 5, 10.0, 10.0),
        (REQUESTS, 5, 0.0, 10 * 0.2198 / 1.2198),
        (Requests(100.0, 200.0), 5, 4.0, (4.0 + 5 * 0.05) / 1.025),
        (Requests(1e6, 200.0), 5, 4.0, (4.0 + 10 * 0.2198) / 1.2198),  # a step reads no more than 2048 tokens
    ],
)
def test_the_first_step_of_a_busy_period_is_added_to_what_the_gauge_shows(
    requests: Requests | None, count: float, gauge: float, busy: float
) -> None:
    activity = Activity(10.0, 10.0, busy_seconds=gauge, finished=count)
    if requests:
        tokens = (count * requests.prompt_tokens, count * requests.generation_tokens)
        activity = activity._replace(finished_prompt_tokens=tokens[0], finished_generation_tokens=tokens[1])
        model = EngineModel(requests=requests).learned(activity, 1.0, None)
    else:
        model = EngineModel().learned(activity, 1.0, None)
    assert model.step_time.busy_seconds == pytest.approx(busy)


def test_a_fleet_is_learned_as_one_engine() -> None:
    """Four replicas, each 60 % busy: ten steps of 0.06 s per second with 8 sequences and 20 prompt tokens per step."""
    model = EngineModel(requests=Requests(500.0, 200.0))
    for _ in range(720):
        model = model.learned(Activity(10.0, 40.0, 24.0, 400.0, 8000.0, 3200.0), 19.2, 0.8)
    alpha, beta, gamma = model.step_time.coefficients
    assert alpha + 8.0 * beta + 20.0 * gamma == pytest.approx(0.06, rel=0.02)
    cost = model.cost(256)
    assert cost is not None
    assert cost.batch == pytest.approx(0.95 * 24.0)
    assert cost.total == pytest.approx(500 * (gamma + alpha / 2048) + 200 * (alpha / (0.95 * 24) + beta))


# Over a restart.

numbers = st.floats(0.0, 1e9)
counts = st.integers(0, 10**6).map(float)
activities = st.builds(Activity, st.floats(0.1, 600.0), st.floats(0.1, 1e5), st.floats(0.0, 1e5), *[counts] * 8)


@given(st.lists(st.tuples(activities, numbers, st.none() | numbers), max_size=12))
def test_a_model_survives_a_restart(readings: list[tuple[Activity, float, float | None]]) -> None:
    model = EngineModel()
    for activity, running, kv_usage in readings:
        model = model.learned(activity, running, kv_usage)
    state = replace(initial_state(2, NOW), model=model)
    assert decode(json.loads(json.dumps(encode(state))), 99, NOW) == state


def test_a_model_is_written_in_the_names_of_the_api() -> None:
    written = encode(replace(initial_state(2, NOW), model=EngineModel(KNOWN, REQUESTS)))["model"]
    assert written["stepTime"].keys() == {
        "gram", "moment", "factors", "spans", "elapsed", "seconds", "busySeconds", "done",
    }  # fmt: skip
    assert written["requests"] == {"promptTokens": 2048.0, "generationTokens": 200.0}


@pytest.mark.parametrize(
    "edited",
    [
        {"kvUsage": -0.1},
        {"running": "inf"},
        {"requests": {"promptTokens": None}},
        {"requests": {"promptTokens": -1.0, "generationTokens": 1.0}},
        {"requests": {"promptTokens": 1.0, "generationTokens": "nan"}},
        {"stepTime": {"spans": -1}},
        {"stepTime": {"factors": [1.0, 1.0]}},
        {"stepTime": {"factors": [1.0, -1.0, 1.0]}},
        {"stepTime": {"gram": [1.0] * 7}},
        {"stepTime": {"gram": [1.0, 0.0, 0.0, 1.0, 0.0, -1.0]}},
        {"stepTime": {"moment": ["nan", 1.0, 1.0]}},
        {"stepTime": {"busySeconds": "inf"}},
        {"stepTime": "fast"},
        [],
    ],
)
def test_a_model_that_somebody_edited_is_not_believed(edited: Any) -> None:
    data = encode(replace(initial_state(2, NOW), model=EngineModel(KNOWN, REQUESTS)))
    assert decode({**data, "model": _edited(data["model"], edited)}, 5, NOW) == initial_state(5, NOW)


def _edited(old: Any, new: Any) -> Any:
    if not isinstance(new, Mapping):
        return new
    return {**old, **{name: _edited(old[name], value) for name, value in new.items()}}
