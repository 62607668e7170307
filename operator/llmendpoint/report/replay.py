"""The report of one replay."""

import plotly.graph_objects as go

from llmendpoint.report import panels
from llmendpoint.report.axes import stacked
from llmendpoint.report.holds import holds
from llmendpoint.report.page import page
from llmendpoint.simulate.replay import Scenario
from llmendpoint.simulate.results import Result


def replay_report(
    result: Result,
    scenario: Scenario,
    *,
    endpoint: str,
    trace: str,
    slo_attainment: float,
    gpu_hour_price: float | None = None,
) -> str:
    """The HTML text.

    Args:
        endpoint, trace: what they are called.
        slo_attainment: share of requests that ought to meet their objective.
    """
    return page(
        "replay.html",
        {"timeline": timeline(result, scenario, slo_attainment, gpu_hour_price)},
        result=result,
        scenario=scenario,
        endpoint=endpoint,
        trace=trace,
        slo_attainment=slo_attainment,
        gpu_hour_price=gpu_hour_price,
        changes=[moment for moment in result.moments if moment.after != moment.before],
    )


def timeline(result: Result, scenario: Scenario, slo_attainment: float, gpu_hour_price: float | None) -> go.Figure:
    """All that went on, on one axis of time."""
    end = result.simulated_seconds
    series = result.series
    return stacked(
        [
            panels.replicas(series),
            panels.requests(series),
            panels.ttft(result.ttft_band, slo_attainment),
            panels.decisions(result.moments, holds(result.moments, end), scenario.faults.crashes, series),
            panels.cost(series, scenario.profile.gpus, gpu_hour_price),
        ],
        end,
    )
