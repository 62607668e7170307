"""``llmendpoint simulate``: what a spec.scaling would have cost and how it would have served, on a trace."""

import json
from typing import Annotated, Literal

import typer

from llmendpoint.cli import comparison_output, report_output, scenario, simulation_output
from llmendpoint.cli.files import File
from llmendpoint.cli.scenario import SEARCH, Question, Setting


def simulate(
    file: File,
    trace: scenario.TraceArgument,
    engine_profile: scenario.EngineProfile,
    cold_start: scenario.ColdStart,
    begin: scenario.From = 0.0,
    until: scenario.Until = None,
    scale: scenario.Scale = 1.0,
    seed: scenario.Seed = 0,
    routing: scenario.Routing = "least-loaded",
    crash: scenario.Crash = None,
    outage: scenario.Outage = None,
    initial_replicas: scenario.InitialReplicas = None,
    slo_ttft: scenario.SloTtft = 2.0,
    slo_attainment: scenario.SloAttainment = 0.99,
    compare: Annotated[
        bool, typer.Option("--compare", help="Beside the autoscalers of the field.", rich_help_panel=SEARCH)
    ] = False,
    compare_tuned: Annotated[
        bool,
        typer.Option(
            "--compare-tuned",
            help="The same, each with its own target tuned: the cheapest of about twelve replays that keeps the "
            "service level.",
            rich_help_panel=SEARCH,
        ),
    ] = False,
    choose_on: scenario.ChooseOn = 0.0,
    jobs: scenario.Jobs = scenario.CPUS,
    output: Annotated[
        Literal["table", "json", "html"],
        typer.Option("--output", "-o", help="table, json, or a page for a browser: --output html > report.html"),
    ] = "table",
) -> None:  # fmt: skip
    """Replay a trace against a model of the engines, scaled by the operator's own decisions."""
    question = Question(
        file, trace, engine_profile, cold_start, slo_ttft, seed, begin, until, scale, routing, crash or [],
        outage or [], initial_replicas,
    )  # fmt: skip
    asked = scenario.setting(question)
    if output == "html":
        report_output.refuse_terminals()
    if compare or compare_tuned:
        _compare(question, asked, slo_attainment, compare_tuned, choose_on, jobs, output)
    else:
        _simulate(question, asked, slo_attainment, output)


def _simulate(question: Question, asked: Setting, slo_attainment: float, output: str) -> None:
    from llmendpoint.simulate.operator_policy import OperatorPolicy
    from llmendpoint.simulate.replay import replay

    scaling = asked.scaling
    within = asked.scenario.warm_within(scaling.min_replicas, scaling.max_replicas)
    result = replay(within, OperatorPolicy(scaling, slots=asked.slots))
    scenario.tell_of_refused(result, question)
    if output == "json":
        typer.echo(json.dumps(simulation_output.figures(result)))
    elif output == "html":
        report_output.print_replay(result, asked, question, slo_attainment)
    else:
        title = f"{asked.endpoint.name}: {scaling.policy} on {question.trace_name}, {question.engine_profile}"
        simulation_output.print_table(title, result)


def _compare(
    question: Question, asked: Setting, slo_attainment: float, tuned: bool, choose_on: float, jobs: int, output: str
) -> None:
    from llmendpoint.simulate.compare import compare

    with scenario.progress() as on_replay:
        found = compare(
            asked.scenario, asked.scaling, slots=asked.slots, trace=question.trace_name,
            slo_attainment=slo_attainment, tuned=tuned, choose_on=choose_on, jobs=jobs, on_replay=on_replay,
        )  # fmt: skip
    scenario.tell_of_refused(next(iter(found.results.values())).result, question)
    if output == "json":
        typer.echo(json.dumps(comparison_output.figures(found)))
    elif output == "html":
        report_output.print_comparison(found, asked)
    else:
        comparison_output.print_table(asked.endpoint.name, found)
