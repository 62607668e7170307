"""``llmendpoint simulate``: what a spec.scaling would have cost and how it would have served, on a trace."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.scaling import Scaling
from llmendpoint.cli.files import File, endpoints, fail
from llmendpoint.engines import engine_for
from llmendpoint.engines.facts import argument, slots

if TYPE_CHECKING:
    from llmendpoint.simulate.results import Moment, Result, Series

SHOWN_CHANGES = 8
CHART_COLUMNS = 56
BARS = " ▁▂▃▄▅▆▇█"


def simulate(
    file: File,
    trace: Annotated[
        str,
        typer.Option(
            help="Requests: a file (t,input_tokens,output_tokens; Azure's, BurstGPT's or Mooncake's form; gzip or "
            "not) or a generator such as poisson:rate=2,hours=1 (also gamma-modulated, diurnal, step, spike)."
        ),
    ],
    engine_profile: Annotated[
        str, typer.Option(help="Speed of one replica: a name, such as a10g-llama-8b, or a file.")
    ],
    cold_start: Annotated[float, typer.Option(help="Median seconds from order to ready.", min=0.0)],
    slo_ttft: Annotated[
        float,
        typer.Option(help="Good time to first token in seconds; 1.5 x the prompt's own prefill is added.", min=0.0),
    ] = 2.0,
    seed: Annotated[int, typer.Option(help="Seed of start times and generators.")] = 0,
    initial_replicas: Annotated[
        int | None,
        typer.Option(help="Ready replicas at the start; what the first ten minutes need if left out.", min=0),
    ] = None,
    output: Annotated[Literal["table", "json"], typer.Option("--output", "-o", help="table or json.")] = "table",
) -> None:
    """Replay a trace against a model of the engines, scaled by the operator's own decisions."""
    endpoint = _endpoint(file)
    scaling = _scaling(endpoint, str(file))
    result = _replay(endpoint, scaling, trace, engine_profile, cold_start, slo_ttft, seed, initial_replicas)
    if result.refused:
        typer.echo(
            f"{result.refused} of {result.requests} requests are refused and count as unfinished: their prompt is "
            f"larger than a replica's KV cache ({engine_profile})",
            err=True,
        )
    if output == "json":
        typer.echo(json.dumps(figures(result)))
    else:
        _print_table(result, endpoint, scaling, trace, engine_profile)


def figures(result: "Result") -> dict[str, Any]:
    """The result without its course over time."""
    return {name: value for name, value in vars(result).items() if name not in {"series", "moments"}}


def _endpoint(file: Any) -> Endpoint:
    found = endpoints(file)
    if len(found) > 1:
        fail(f"{file} has {len(found)} LLMEndpoints: give a file with one")
    return found[0]


def _scaling(endpoint: Endpoint, file: str) -> Scaling:
    scaling = endpoint.spec.scaling
    if scaling is None:
        fail(f"{file}: {endpoint.name} has no spec.scaling: there is nothing to simulate")
    if any(target.type == "PromQL" for target in scaling.targets):
        fail(f"{file}: {endpoint.name} has a PromQL target, which only a Prometheus server can evaluate")
    if scaling.mode != "Active":
        typer.echo(f"{endpoint.name}: scaling.mode is {scaling.mode}; simulated as Active", err=True)
    return scaling


def _replay(
    endpoint: Endpoint, scaling: Scaling, trace: str, profile: str, cold_start: float, slo_ttft: float, seed: int,
    initial: int | None,
) -> "Result":  # fmt: skip
    try:
        from llmendpoint.simulate.operator_policy import OperatorPolicy
        from llmendpoint.simulate.profiles import UnknownProfile, load_profile
        from llmendpoint.simulate.replay import Scenario, replay, warm_replicas
        from llmendpoint.simulate.trace_files import TraceError
        from llmendpoint.simulate.traces import load_trace
    except ModuleNotFoundError as error:
        fail(f"simulate needs {error.name}: pip install 'llmendpoint-operator[cli,simulate]'")
    facts = engine_for(endpoint.spec.engine.type)
    try:
        engine = load_profile(profile)
        given = argument(endpoint.spec.engine.args, facts.slots_flag)
        if given and given.isdigit():
            engine = replace(engine, max_num_seqs=int(given))
        scenario = Scenario(
            load_trace(trace, seed), engine, cold_start, warm_replicas=initial, seed=seed, slo_ttft=slo_ttft,
            startup_timeout=float(endpoint.spec.engine.startup_timeout_seconds),
        )  # fmt: skip
    except (UnknownProfile, TraceError) as error:
        fail(str(error))
    if initial is None:
        within = min(max(warm_replicas(scenario), scaling.min_replicas), scaling.max_replicas)
        scenario = replace(scenario, warm_replicas=within)
    return replay(scenario, OperatorPolicy(scaling, slots=slots(facts, endpoint.spec), gpus=engine.gpus))


def _print_table(result: "Result", endpoint: Endpoint, scaling: Scaling, trace: str, profile: str) -> None:
    console = Console()
    table = Table(
        title=f"{endpoint.name}: {scaling.policy} on {trace.rpartition('/')[2]}, {profile}",
        title_justify="left",
        show_header=False,
    )
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for row in _rows(result):
        table.add_row(*row)
    console.print(table)
    console.print(_chart(result.series), highlight=False)
    for line in _changes([moment for moment in result.moments if moment.after != moment.before]):
        console.print(line, highlight=False)


def _rows(result: "Result") -> Iterator[tuple[str, str, str]]:
    yield "GPU-hours", f"{result.gpu_hours:.1f}", f"over {result.simulated_seconds / 3600:.1f} h"
    yield "TTFT attainment", f"{result.ttft_attainment:.2%}", "finished, and first token in time"
    yield (
        "TTFT p50, p95, p99",
        " ".join(f"{value:.2f} s" for value in (result.ttft_p50, result.ttft_p95, result.ttft_p99)),
        "time to first token",
    )
    yield (
        "TPOT p50, p95",
        " ".join(f"{1000 * value:.1f} ms" for value in (result.tpot_p50, result.tpot_p95)),
        "time per token after it",
    )
    lost = f", {result.lost} lost" if result.lost else ""
    refused = f", {result.refused} refused" if result.refused else ""
    yield "Requests", f"{result.requests:,}", f"{result.unfinished} unfinished{lost}{refused}"
    yield "Scale-outs, scale-ins", f"{result.scale_outs}, {result.scale_ins}", ""
    yield "Most replicas", f"{result.max_replicas_seen}", "ready or starting"
    yield "Seed", f"{result.seed}", f"replayed in {result.wall_seconds:.1f} s"


def _chart(series: "Series") -> str:
    """Means over equal spans of time, one character each, on a scale common to demand and replicas."""
    lines = {"demand": series.demand, "ready": series.ready, "queue": series.waiting}
    spans = min(CHART_COLUMNS, len(series.time))
    means = {
        name: [float(values[at * len(values) // spans : (at + 1) * len(values) // spans].mean()) for at in range(spans)]
        for name, values in lines.items()
    }
    replicas = max(*means["demand"], *means["ready"], 1.0)
    tops = {"demand": replicas, "ready": replicas, "queue": max(*means["queue"], 1.0)}
    return "\n".join(
        f"{name:>6} {''.join(_bar(value / tops[name]) for value in values)} up to {max(values):.1f}"
        for name, values in means.items()
    )


def _bar(share: float) -> str:
    return BARS[min(round(share * (len(BARS) - 1)), len(BARS) - 1)]


def _changes(changes: Sequence["Moment"]) -> Iterator[str]:
    if not changes:
        yield "No scale change."
        return
    yield f"The last {min(SHOWN_CHANGES, len(changes))} of {len(changes)} scale changes:"
    for moment in changes[-SHOWN_CHANGES:]:
        hours, seconds = divmod(round(moment.time), 3600)
        yield f"{hours:4d}:{seconds // 60:02d}:{seconds % 60:02d}  {moment.sentence}"
