"""``llmendpoint tune``: cheaper settings of spec.scaling that keep the service level, found on a trace."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from llmendpoint.api import plain_yaml
from llmendpoint.cli import scenario, simulation_output
from llmendpoint.cli.files import File, fail
from llmendpoint.cli.scenario import SEARCH, Question, Setting

if TYPE_CHECKING:
    from llmendpoint.simulate.tune import Trial, Tuning


def tune(
    file: File,
    trace: scenario.TraceArgument,
    engine_profile: scenario.EngineProfile,
    cold_start: scenario.ColdStart,
    begin: scenario.From = 0.0,
    until: scenario.Until = None,
    scale: scenario.Scale = 1.0,
    seed: scenario.Seed = 0,
    routing: scenario.Routing = "least-loaded",
    slo_ttft: scenario.SloTtft = 2.0,
    slo_attainment: scenario.SloAttainment = 0.99,
    trials: Annotated[int, typer.Option(help="Settings to try.", min=1, rich_help_panel=SEARCH)] = 40,
    choose_on: scenario.ChooseOn = 0.5,
    jobs: scenario.Jobs = scenario.CPUS,
    output: Annotated[
        Literal["table", "json", "yaml"], typer.Option("--output", "-o", help="table, json, or yaml to paste.")
    ] = "table",
) -> None:  # fmt: skip
    """Search the cheapest settings of spec.scaling that keep the service level, and print them to paste."""
    question = Question(
        file, trace, engine_profile, cold_start, slo_ttft, seed, begin, until, scale, routing,
    )  # fmt: skip
    asked = scenario.setting(question)
    tuning = _search(asked, slo_attainment, trials, choose_on, jobs)
    match output:
        case "json":
            typer.echo(json.dumps(_figures(tuning, asked)))
        case "yaml":
            typer.echo(_yaml(tuning, asked), nl=False)
            typer.echo(_verdict(tuning), err=True)
        case _:
            _print_table(tuning, asked, question, choose_on)
            typer.echo(f"\n{_verdict(tuning)}\n")
            typer.echo(_yaml(tuning, asked), nl=False)


def _search(asked: Setting, slo_attainment: float, trials: int, choose_on: float, jobs: int) -> "Tuning":
    try:
        from llmendpoint.simulate.knobs import knobs_of
        from llmendpoint.simulate.tune import Tuning, tune
    except ModuleNotFoundError as error:
        fail(f"tune needs {error.name}: pip install 'llmendpoint-operator[cli,simulate]'")
    tuning = Tuning(knobs_of(asked.scaling), slo_attainment)
    try:
        with scenario.progress() as on_replay:
            tune(
                tuning, asked.scenario, asked.scaling, slots=asked.slots, trials=trials, choose_on=choose_on,
                jobs=jobs, on_replay=on_replay,
            )  # fmt: skip
    except KeyboardInterrupt:
        if not tuning.trials:
            fail("interrupted before the first replay was over")
        typer.echo(f"interrupted after {len(tuning.trials) - 1} of {trials} trials", err=True)
    return tuning


def _figures(tuning: "Tuning", asked: Setting) -> dict[str, Any]:
    return {
        "current": _trial(tuning.trials[0]),
        "best": _trial(tuning.best),
        "frontier": [_trial(trial) for trial in tuning.frontier],
        "trials": len(tuning.trials) - 1,
        "slo_attainment": tuning.slo_attainment,
        "seed": asked.scenario.seed,
        "scaling": _written(tuning, asked),
    }


def _trial(trial: "Trial") -> dict[str, Any]:
    scored = None if trial.scored is None else simulation_output.figures(trial.scored)
    return {**vars(trial), "scored": scored}


def _written(tuning: "Tuning", asked: Setting) -> dict[str, Any]:
    from llmendpoint.simulate.knobs import written

    return written(asked.scaling, tuning.best.values)


def _yaml(tuning: "Tuning", asked: Setting) -> str:
    return plain_yaml.dump({"spec": {"scaling": _written(tuning, asked)}})


def _print_table(tuning: "Tuning", asked: Setting, question: Question, choose_on: float) -> None:
    split = (
        f"chosen on the first {100 * choose_on:g} %, reported on the rest" if choose_on else "chosen on the whole of it"
    )
    table = Table(
        title=f"{asked.endpoint.name}: {asked.scaling.policy} on {question.trace_name}, {question.engine_profile}\n"
        f"frontier of {len(tuning.trials) - 1} trials, {split}",
        title_justify="left", title_style="", box=box.SIMPLE_HEAD, show_edge=False, padding=0,
    )  # fmt: skip
    table.add_column("", no_wrap=True)
    for knob in tuning.knobs:
        table.add_column(_heading(knob.path), justify="right")
    for heading in ("GPU-h", "in time", *(("GPU-h,\nrest", "in time,\nrest") if choose_on else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    current, best = tuning.trials[0], tuning.best
    for trial in (current, *(trial for trial in tuning.frontier if trial is not current)):
        values = [
            _value(knob.read(asked.scaling) if trial is current else trial.values[knob.path]) for knob in tuning.knobs
        ]
        name = " ".join(text for text, is_it in (("as it is", trial is current), ("best", trial is best)) if is_it)
        scores = _scores(trial, tuning.slo_attainment) if choose_on else []
        table.add_row(
            name, *values, f"{trial.gpu_hours:.1f}", _share(trial.attainment, tuning.slo_attainment), *scores,
            style="bold" if trial is best else "",
        )  # fmt: skip
    Console().print(table, highlight=False)


def _heading(path: str) -> str:
    """The path in lines short enough for a column."""
    return path.replace(".", ".\n").replace("Seconds", "\nSeconds")


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _share(attainment: float, slo_attainment: float) -> str:
    text = f"{attainment:.2%}"
    return text if attainment >= slo_attainment else f"[red]{text}[/red]"


def _scores(trial: "Trial", slo_attainment: float) -> list[str]:
    if trial.scored is None:
        return ["-", "-"]
    return [f"{trial.scored.gpu_hours:.1f}", _share(trial.scored.ttft_attainment, slo_attainment)]


def _verdict(tuning: "Tuning") -> str:
    """What to make of it, in a sentence."""
    best, current, wanted = tuning.best, tuning.trials[0], f"{100 * tuning.slo_attainment:g} %"
    if best.attainment < tuning.slo_attainment:
        return f"No settings reach {wanted}: these come nearest, with {best.attainment:.2%}. More replicas may help."
    if best is current:
        return "The settings as they are are the best that was found."
    if best.scored is None or current.scored is None:
        return f"{best.gpu_hours:.1f} instead of {current.gpu_hours:.1f} GPU-hours where they were chosen."
    said = (
        f"{best.scored.gpu_hours:.1f} instead of {current.scored.gpu_hours:.1f} GPU-hours, "
        f"{best.scored.ttft_attainment:.2%} instead of {current.scored.ttft_attainment:.2%} in time."
    )
    short = best.scored.ttft_attainment < tuning.slo_attainment
    return f"{said} That is below {wanted}: choose a row with more room, or a longer trace." if short else said
