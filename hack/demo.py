"""``make demo``: a cluster, the product, questions to a RAG service, a spike of them, and what the scaler makes of it.

Everything is as in production but the engine image, which is a simulator that answers by quoting its prompt, and the
scaling settings, which are quick. It takes about five minutes.
"""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from localcluster import cluster as local
from localcluster import images, product, tools
from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError
from localcluster.paths import ROOT
from localcluster.product import LOST, Load
from rag.models import Answer
from rag.page import page

NAME = "llm-twin"
URL = f"http://{NAME}.default.svc.cluster.local"
QUESTION = "How do I keep streams alive when a pod ends?"
OTHERS = ("What did Ada Brandt write about cold starts?", "How does a graph index find neighbours?")
QUESTIONS = ("--questions", QUESTION, *OTHERS)
SPIKE_SECONDS = 60
LONGEST = 420.0
# Below one replica's target, so that each scale-in has streams to spare.
EVERYDAY = ["--rate=0.2", f"--seconds={LONGEST}", "--seed=2", *QUESTIONS]
SPIKE = ["--rate=1.5", f"--seconds={SPIKE_SECONDS}", *QUESTIONS]
# A slow accelerator: answers take some seconds.
SIMULATOR = {"ENGINESIM_QUOTES": "1", "ENGINESIM_ITERATION_SECONDS": "0.06"}
# One question is three requests: for the author, for rephrasings, for the answer.
TARGET = 60
console = Console()


def main() -> int:
    """Run the demo, or remove its cluster with ``down``. Returns the exit status."""
    try:
        if sys.argv[1:] == ["down"]:
            local.down()
            return 0
        return _run()
    except LocalClusterError as error:
        console.print(f"[red]{error}")
        return 1


@dataclass
class Story:
    """What the demo has seen so far."""

    began: float = field(default_factory=time.monotonic)
    highest: int = 1
    status: dict[str, Any] = field(default_factory=dict)
    holds: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    """(rule, replicas) -> the first decision that it held"""

    def see(self, status: dict[str, Any]) -> None:
        """Take another status in."""
        self.status = status
        self.highest = max(self.highest, status.get("readyReplicas", 0))
        decision = status.get("scaling", {}).get("decision", {})
        if decision.get("heldBy") and decision["desired"] == decision["current"]:
            self.holds.setdefault((decision["heldBy"], decision["desired"]), decision)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    @property
    def is_back(self) -> bool:
        """Whether it scaled out and has come back to one replica."""
        return self.highest > 1 and self.status.get("replicas") == 1 == self.status.get("readyReplicas")

    def time_line(self) -> list[tuple[str, str, str]]:
        """(time, replicas, why) of each change and each hold."""
        changes = [
            (change["time"], f"[bold]{change['fromReplicas']} -> {change['toReplicas']}[/]", change["sentence"])
            for change in self.status["scaling"]["history"]
        ]
        held = [
            (decision["time"], f"[cyan]{replicas} held[/]", f"[cyan]{rule}[/]: {decision['sentence']}")
            for (rule, replicas), decision in self.holds.items()
        ]
        return sorted(changes + held)


def _run() -> int:
    with console.status("starting a cluster"):
        cluster = local.up()
    with console.status("building images, installing the operator by Helm"):
        product.install(cluster, tick_seconds=1.0)
        product.load_images(cluster, "rag")
    cluster.kubectl("delete", "llmendpoint", NAME, "--ignore-not-found", "--wait=true")
    cluster.kubectl("delete", "pod", "everyday", "spike", "--ignore-not-found", "--wait=true")
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(_endpoint()))
    with console.status("waiting for the first replica"):
        cluster.kubectl("wait", "--for=condition=Ready", f"llmendpoint/{NAME}", "--timeout=90s")
    console.print(page(QUESTION, _ask(cluster)))
    console.print("[dim]The engine is simulated: it quotes source 1. Search, sources and times are real.")
    loads = {
        name: Load(cluster, "default", name, [URL, *of]) for name, of in (("everyday", EVERYDAY), ("spike", SPIKE))
    }
    story = Story()
    with Live(console=console, refresh_per_second=2) as live:
        for traffic in _watch(cluster, loads, story):
            live.update(_view(story, traffic))
    loads["everyday"].stop()
    with console.status("letting the last streams finish"):
        results = {name: load.result(60) for name, load in loads.items()}
    return _close(cluster, results, story)


def _endpoint() -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "llm-twin.yaml").read_text())
    body["spec"]["business"]["image"] = images.image_name("rag")
    body["spec"]["engine"]["env"] = [{"name": name, "value": value} for name, value in SIMULATOR.items()]
    body["spec"]["scaling"] |= {
        "evaluation": "Fast",
        "targets": [{"type": "RequestsPerReplicaPerMinute", "value": TARGET}],
        "scaleOut": {"cooldownSeconds": 180},
        "scaleIn": {"cooldownSeconds": 20, "maxStep": 2},
    }
    return body


def _ask(cluster: Cluster) -> Answer:
    """Through the endpoint's Service."""
    told = product.ask(cluster, "default", f"deployment/{NAME}-business", URL, QUESTION)
    return Answer.model_validate_json(told)


def _watch(cluster: Cluster, loads: dict[str, Load], story: Story) -> Iterator[dict[str, dict[str, Any]]]:
    """The load's reports, once a second until the endpoint is back at one replica."""
    while story.seconds < LONGEST and not story.is_back:
        body = json.loads(cluster.kubectl("get", "llmendpoint", NAME, "-o", "json").stdout)
        story.see(body.get("status", {}))
        reports = {name: load.lines() for name, load in loads.items()}
        yield {name: lines[-1]["streams"] for name, lines in reports.items() if lines}
        time.sleep(1.0)


def _view(story: Story, traffic: dict[str, dict[str, Any]]) -> Panel:
    scaling = story.status.get("scaling", {})
    decision = scaling.get("decision", {})
    table = Table.grid(padding=(0, 2))
    ready, exist = story.status.get("readyReplicas", 0), story.status.get("replicas", 0)
    bar = "[green]" + "■ " * ready + "[yellow]" + "□ " * max(exist - ready, 0)
    table.add_row("replicas", f"{bar}[/]  {ready} ready, {scaling.get('desiredReplicas', 1)} wanted")
    for name, streams in traffic.items():
        counts = "  ".join(f"{streams[outcome]} {outcome}" for outcome in ("complete", *LOST))
        table.add_row(f"{name} load", f"{streams['inFlight']} in flight  {counts}  TTFT p95 {streams['ttftP95']} s")
    table.add_row("decision", decision.get("sentence", ""))
    if decision.get("heldBy"):
        table.add_row("held by", f"[cyan]{decision['heldBy']}[/] until {decision.get('heldUntil', 'it changes')}")
    return Panel(table, title=f"{NAME} after {story.seconds:.0f} s", title_align="left")


def _close(cluster: Cluster, results: dict[str, dict[str, Any]], story: Story) -> int:
    decisions = Table("time", "replicas", "why", title="decisions")
    for at, replicas, why in story.time_line():
        decisions.add_row(at[11:19], replicas, why)
    console.print(decisions)
    served = Table("load", "streams served", *LOST, "TTFT p50", "TTFT p95", title=f"at most {story.highest} replicas")
    for name, result in results.items():
        numbers = [result["streams"][key] for key in ("complete", *LOST, "ttftP50", "ttftP95")]
        served.add_row(name, *map(str, numbers))
    console.print(served)
    wrong = _what_went_wrong(results, story)
    for note in wrong:
        console.print(f"[red]{note}")
    if not wrong:
        console.print("[green]scaled out and in again, both cooldowns held, and no stream was cut.[/] Next:")
        console.print(f"  export KUBECONFIG={cluster.kubeconfig}", soft_wrap=True)
        if not shutil.which("kubectl"):
            console.print(f"  alias kubectl={tools.program('kubectl')}", soft_wrap=True)
        console.print(f"  kubectl get llme {NAME} -o wide\n  kubectl describe llme {NAME}\n  make demo-down")
    return 1 if wrong else 0


def _what_went_wrong(results: dict[str, dict[str, Any]], story: Story) -> list[str]:
    wrong = [f"{name} load: {note}" for name, result in results.items() for note in result["notes"]]
    for name, result in results.items():
        wrong += [f"{name} load: {result['streams'][lost]} streams {lost}" for lost in LOST if result["streams"][lost]]
    if story.highest < 2:
        wrong.append("it did not scale out")
    if not story.is_back:
        wrong.append("it did not scale in again")
    unseen = {"ScaleOutCooldown", "ScaleInCooldown"} - {rule for rule, _ in story.holds}
    return [*wrong, *(f"{rule} was not seen holding" for rule in sorted(unseen))]


if __name__ == "__main__":
    sys.exit(main())
