"""Heavy-traffic queueing: how many replicas keep waits short."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.scaling.staffing import DISPERSION, deviation, replicas_for

demands = st.floats(0.01, 1e4)
times = st.floats(0.01, 600.0)
shares = st.floats(1e-4, 0.5)


@pytest.mark.parametrize(
    ("demand", "request_seconds", "objective", "late", "replicas"),
    [
        (3.0, 4.0, 3.0, math.exp(-1), 4.0),  # 1.5 + sqrt(2.25 + 24 x 1 / 6)
        (8.0, 9.0, 8.0, math.exp(-1), 9.0),  # 4 + sqrt(16 + 144 x 1 / 16)
        (4.0, 5.0, 8.0, math.exp(-2), 5.0),  # 2 + sqrt(4 + 40 x 2 / 16)
        (0.0, 5.0, 8.0, 0.01, 0.0),
    ],
)
def test_the_closed_form(demand: float, request_seconds: float, objective: float, late: float, replicas: float) -> None:
    assert replicas_for(demand, request_seconds, objective, late) == pytest.approx(replicas)


@given(demands, times, times, shares)
def test_the_share_that_waits_longer_is_the_one_that_was_asked_for(
    demand: float, request_seconds: float, objective: float, late: float
) -> None:
    replicas = replicas_for(demand, request_seconds, objective, late)
    variance = DISPERSION * demand * request_seconds
    exponent = 2.0 * replicas * objective * (replicas - demand) / variance
    assert exponent == pytest.approx(-math.log(late), rel=1e-4)


@pytest.mark.parametrize(("demand", "tolerance"), [(20.0, 0.15), (100.0, 0.05), (1000.0, 0.005)])
def test_it_is_the_queue_of_one_large_server_in_heavy_traffic(demand: float, tolerance: float) -> None:
    """M/M/1 has the dispersion 2; its waits are P(wait > T) = rho exp(-(mu - lambda) T), with N servers' speed."""
    request_seconds, objective, late = 2.0, 2.0, 0.01
    replicas = replicas_for(demand, request_seconds, objective, late)
    rho, excess = demand / replicas, (replicas - demand) / request_seconds
    tail = rho * math.exp(-excess * objective)
    assert math.log(tail) == pytest.approx(math.log(late), rel=tolerance)


@given(demands, times, times, shares)
def test_there_are_more_replicas_than_the_work_keeps_busy(
    demand: float, request_seconds: float, objective: float, late: float
) -> None:
    assert replicas_for(demand, request_seconds, objective, late) >= demand


@given(
    st.tuples(demands, demands).map(sorted), st.tuples(times, times).map(sorted), st.tuples(times, times).map(sorted),
    st.tuples(shares, shares).map(sorted),
)  # fmt: skip
def test_more_work_larger_requests_a_shorter_objective_and_fewer_late_ones_take_more(
    demand: list[float], request_seconds: list[float], objective: list[float], late: list[float]
) -> None:
    least = replicas_for(demand[0], request_seconds[0], objective[1], late[1])
    for more in (
        (demand[1], request_seconds[0], objective[1], late[1]),
        (demand[0], request_seconds[1], objective[1], late[1]),
        (demand[0], request_seconds[0], objective[0], late[1]),
        (demand[0], request_seconds[0], objective[1], late[0]),
    ):
        assert replicas_for(*more) >= least * (1.0 - 1e-12)


@given(demands, times, times, shares)
def test_two_endpoints_in_one_take_no_more_than_apart(
    demand: float, request_seconds: float, objective: float, late: float
) -> None:
    apart = 2.0 * replicas_for(demand, request_seconds, objective, late)
    assert replicas_for(2.0 * demand, request_seconds, objective, late) <= apart * (1.0 + 1e-12)


def test_of_little_work_replicas_are_its_square_root() -> None:
    """The first requests of an endpoint need replicas that stand idle: sqrt(D c ln(1 / late) / T)."""
    assert replicas_for(1e-4, 10.0, 1.0, math.exp(-1)) == pytest.approx(math.sqrt(1e-3), rel=0.01)
    assert replicas_for(4e-4, 10.0, 1.0, math.exp(-1)) == pytest.approx(math.sqrt(4e-3), rel=0.02)


@pytest.mark.parametrize("demand", [1e3, 1e4, 1e5])
def test_of_much_work_the_excess_is_what_clears_a_request_in_time(demand: float) -> None:
    """N - D tends to c ln(1 / late) / T, here 3 x 2 / 2: a large fleet needs next to no headroom."""
    assert replicas_for(demand, 3.0, 2.0, math.exp(-2)) - demand == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize("demand", [1e4, 1e5, 1e6])
def test_where_the_objective_shrinks_with_the_root_of_the_work_the_excess_grows_with_it(demand: float) -> None:
    """Square-root staffing: with T = 2 / sqrt(D) the excess is 3 x 2 / 2 sqrt(D)."""
    excess = replicas_for(demand, 3.0, 2.0 / math.sqrt(demand), math.exp(-2)) - demand
    assert excess / math.sqrt(demand) == pytest.approx(3.0, rel=0.03)


@pytest.mark.parametrize(("seconds", "replicas"), [(1.0, 6.0), (9.0, 2.0), (36.0, 1.0)])
def test_noise_averages_out_over_time(seconds: float, replicas: float) -> None:
    assert deviation(9.0, 2.0, seconds) == pytest.approx(replicas)  # of a variance of 2 x 9 x 2 per second
