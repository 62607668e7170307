"""What simulate and tune are asked about: options, the endpoint's file, the trace, and a scenario of them."""

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.api.scaling import Scaling
from llmendpoint.cli import prometheus_trace
from llmendpoint.cli.files import endpoints, fail
from llmendpoint.cli.replica_gpus import replica_gpus
from llmendpoint.engines import engine_for
from llmendpoint.engines.facts import argument, slots

if TYPE_CHECKING:
    from llmendpoint.simulate.replay import Faults, Scenario
    from llmendpoint.simulate.results import Result
    from llmendpoint.simulate.traces import Trace

LOAD, ENGINES, SERVICE, SEARCH = "Load", "Engines", "Service level", "Comparison and search"
CPUS = os.cpu_count() or 1

TraceArgument = Annotated[
    str,
    typer.Option(
        "--trace",
        help="Requests: a file (t,input_tokens,output_tokens; Azure's, BurstGPT's or Mooncake's form; gzip or not), "
        "a generator such as poisson:rate=2,hours=1 (also gamma-modulated, diurnal, step, spike), or what the endpoint "
        "really was asked: prometheus:http://prometheus:9090?hours=24 (also namespace, name, step in seconds).",
        rich_help_panel=LOAD,
    ),
]
From = Annotated[float, typer.Option("--from", help="Begin the trace here, in seconds.", min=0.0, rich_help_panel=LOAD)]
Until = Annotated[
    float | None, typer.Option("--until", help="End the trace here, in seconds.", min=0.0, rich_help_panel=LOAD)
]
Scale = Annotated[
    float,
    typer.Option(
        help="So many times the users: copies of the trace, each shifted by up to five minutes.",
        min=0.001, max=1000.0, rich_help_panel=LOAD,
    ),
]  # fmt: skip
EngineProfile = Annotated[
    str,
    typer.Option(help="Speed of one replica: a name, such as a10g-llama-8b, or a file.", rich_help_panel=ENGINES),
]
ColdStart = Annotated[float, typer.Option(help="Median seconds from order to ready.", min=0.0, rich_help_panel=ENGINES)]
Routing = Annotated[
    Literal["least-loaded", "round-robin"], typer.Option(help="How requests find a replica.", rich_help_panel=ENGINES)
]
Crash = Annotated[
    list[float] | None,
    typer.Option(
        help="The busiest replica crashes so many seconds after the start. Repeatable.",
        min=0.0,
        rich_help_panel=ENGINES,
    ),
]
Outage = Annotated[
    list[str] | None,
    typer.Option(
        help="No metrics can be read FROM-UNTIL, in seconds after the start. Repeatable.", metavar="FROM-UNTIL",
        rich_help_panel=ENGINES,
    ),
]  # fmt: skip
InitialReplicas = Annotated[
    int | None,
    typer.Option(
        help="Ready replicas at the start; what the first ten minutes need if left out.", min=0, rich_help_panel=ENGINES
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of all that is drawn.", rich_help_panel=LOAD)]
SloTtft = Annotated[
    float,
    typer.Option(
        help="Good time to first token in seconds; 1.5 x the prompt's own prefill is added.", min=0.0,
        rich_help_panel=SERVICE,
    ),
]  # fmt: skip
SloAttainment = Annotated[
    float,
    typer.Option(help="Share of the requests that it has to be good for.", min=0.0, max=1.0, rich_help_panel=SERVICE),
]
ChooseOn = Annotated[
    float,
    typer.Option(
        help="Choose on this share of the trace, from its start, and report the rest; 0: both on the whole.",
        min=0.0, max=0.9, rich_help_panel=SEARCH,
    ),
]  # fmt: skip
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Replays at once.", min=1, rich_help_panel=SEARCH)]


@dataclass(frozen=True)
class Question:
    """The options that make a scenario. Times are in seconds."""

    file: Path
    trace: str
    engine_profile: str
    cold_start: float
    slo_ttft: float
    seed: int
    begin: float = 0.0
    until: float | None = None
    scale: float = 1.0
    routing: Literal["least-loaded", "round-robin"] = "least-loaded"
    crashes: list[float] = field(default_factory=list)
    outages: list[str] = field(default_factory=list)
    initial_replicas: int | None = None

    @property
    def trace_name(self) -> str:
        """The trace without the folders that it is in."""
        return Path(self.trace).name if Path(self.trace).is_file() else self.trace


@dataclass(frozen=True)
class Setting:
    """An endpoint and the scenario that it is put in."""

    endpoint: Endpoint
    scaling: Scaling
    slots: int
    """Requests that one replica works on at once at most."""
    scenario: "Scenario"


def setting(question: Question) -> Setting:
    """Read all that is asked about; end with a sentence where something is wrong."""
    endpoint = _endpoint(question.file)
    scaling = _scaling(endpoint, question.file)
    try:
        from llmendpoint.simulate.profiles import UnknownProfile, load_profile
        from llmendpoint.simulate.replay import Scenario
        from llmendpoint.simulate.trace_files import TraceError
    except ModuleNotFoundError as error:
        fail(f"simulate needs {error.name}: pip install 'llmendpoint-operator[cli,simulate]'")
    facts = engine_for(endpoint.spec.engine.type)
    try:
        engine = load_profile(question.engine_profile)
        _tell_of_gpus(endpoint, engine.gpus, question)
        given = argument(endpoint.spec.engine.args, facts.slots_flag)
        if given and given.isdigit():
            engine = replace(engine, max_num_seqs=int(given))
        scenario = Scenario(
            _trace(question, endpoint), engine, question.cold_start, question.initial_replicas, question.seed,
            question.routing, startup_timeout=float(endpoint.spec.engine.startup_timeout_seconds),
            slo_ttft=question.slo_ttft, faults=_faults(question),
        )  # fmt: skip
    except (UnknownProfile, TraceError) as error:
        fail(str(error))
    return Setting(endpoint, scaling, slots(facts, endpoint.spec), scenario)


def tell_of_refused(result: "Result", question: Question) -> None:
    """Say on stderr where no policy could have served all requests."""
    if result.refused:
        typer.echo(
            f"{result.refused} of {result.requests} requests are refused and count as unfinished: their prompt is "
            f"larger than a replica's KV cache ({question.engine_profile})",
            err=True,
        )


@contextmanager
def progress() -> Iterator[Callable[[], None]]:
    """Shows on a terminal how many replays are done: call it after each one, from any thread."""
    done = itertools.count(1)
    try:
        with Console(stderr=True).status("replaying") as status:
            yield lambda: status.update(f"replaying: {next(done)} replays done")
    except BrokenProcessPool:
        fail("a process with a replay was killed, as happens where memory is short: give fewer --jobs")


def _endpoint(file: Path) -> Endpoint:
    found = endpoints(file)
    if len(found) > 1:
        fail(f"{file} has {len(found)} LLMEndpoints: give a file with one")
    return found[0]


def _scaling(endpoint: Endpoint, file: Path) -> Scaling:
    scaling = endpoint.spec.scaling
    if scaling is None:
        fail(f"{file}: {endpoint.name} has no spec.scaling: there is nothing to simulate")
    if any(target.type == "PromQL" for target in scaling.targets):
        fail(f"{file}: {endpoint.name} has a PromQL target, which only a Prometheus server can evaluate")
    if scaling.mode != "Active":
        typer.echo(f"{endpoint.name}: scaling.mode is {scaling.mode}; simulated as Active", err=True)
    return scaling


def _tell_of_gpus(endpoint: Endpoint, simulated: int, question: Question) -> None:
    """Say on stderr where a replica is another one than the profile's. Of one without GPUs it is not known."""
    taken = replica_gpus(endpoint).total()
    if taken not in {0, simulated}:
        typer.echo(
            f"a replica of {endpoint.name} takes {taken} GPUs, and one of engine profile {question.engine_profile} "
            f"{simulated}: speed, GPU-hours and maxGPUs are those of the profile",
            err=True,
        )


def _trace(question: Question, endpoint: Endpoint) -> "Trace":
    """The part that is asked for, scaled."""
    from llmendpoint.simulate.traces import load_trace

    if prometheus_trace.is_prometheus(question.trace):
        whole = prometheus_trace.read(question.trace, endpoint, question.seed)
    else:
        whole = load_trace(question.trace, question.seed)
    until = question.until if question.until is not None else float("inf")
    part = whole.between(question.begin, until) if question.begin or question.until is not None else whole
    if not len(part.t) and len(whole.t):
        fail(
            f"trace {question.trace_name} has no request between {question.begin:g} and {until:g} s: it lasts "
            f"{whole.duration:.0f} s"
        )
    return part if question.scale == 1.0 else part.scaled(question.scale, question.seed)


def _faults(question: Question) -> "Faults":
    from llmendpoint.simulate.replay import Faults

    return Faults(question.crashes, [_outage(text) for text in question.outages])


def _outage(text: str) -> tuple[float, float]:
    since, _, until = text.partition("-")
    try:
        span = float(since), float(until)
    except ValueError:
        fail(f"--outage {text}: give two times in seconds, as in 600-900")
    if span[0] >= span[1]:
        fail(f"--outage {text}: it has to end after it begins, as in 600-900")
    return span
