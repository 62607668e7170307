"""Replays and comparisons as one HTML file on standard output."""

import sys
from typing import TYPE_CHECKING

import typer

from llmendpoint.cli.files import fail
from llmendpoint.cli.scenario import Question, Setting

if TYPE_CHECKING:
    from llmendpoint.simulate.compare import Comparison
    from llmendpoint.simulate.results import Result


def refuse_terminals() -> None:
    """End with a sentence where the report would be shown as text."""
    if is_terminal():
        fail("the report is a page for a browser: keep it in a file, as in --output html > report.html")


def is_terminal() -> bool:
    """Whether standard output is one."""
    return sys.stdout.isatty()


def print_replay(result: "Result", asked: Setting, question: Question, slo_attainment: float) -> None:
    """Print the report of one replay."""
    from llmendpoint.report.replay import replay_report

    typer.echo(
        replay_report(
            result, asked.scenario, endpoint=asked.endpoint.name, trace=question.trace_name,
            slo_attainment=slo_attainment, gpu_hour_price=asked.scaling.price_per_gpu_hour,
        )
    )  # fmt: skip


def print_comparison(comparison: "Comparison", asked: Setting) -> None:
    """Print the report of a comparison."""
    from llmendpoint.report.comparison import comparison_report

    price = asked.scaling.price_per_gpu_hour
    typer.echo(comparison_report(comparison, endpoint=asked.endpoint.name, gpu_hour_price=price))
