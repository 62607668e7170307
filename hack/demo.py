"""``make demo``: a cluster, the product, a load spike, and what the scaler makes of it, in about five minutes.

Everything is as in production but the engine image, which is the simulator, and the cooldowns, which are short.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import yaml
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from localcluster import cluster as local
from localcluster import images, product
from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError
from localcluster.paths import ROOT
from localcluster.product import Load

NAME = "llm-twin"
LOAD_SECONDS = 90
LONGEST = 420.0
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


def _run() -> int:
    with console.status("starting a cluster"):
        cluster = local.up()
    with console.status("building images, installing the operator by Helm"):
        product.install(cluster, tick_seconds=1.0)
    cluster.kubectl("delete", "llmendpoint", NAME, "--ignore-not-found", "--wait=true")
    cluster.kubectl("delete", "pod", "load", "--ignore-not-found", "--wait=true")
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(_endpoint()))
    with console.status("waiting for the first replica"):
        cluster.kubectl("wait", "--for=condition=Ready", f"llmendpoint/{NAME}", "--timeout=90s")
    arguments = ["--rate=1", f"--seconds={LOAD_SECONDS}", "--max-tokens=120"]
    load = Load(cluster, "default", "load", [f"http://{NAME}.default.svc.cluster.local", *arguments])
    began = time.monotonic()
    highest, back = 1, False
    with Live(console=console, refresh_per_second=2) as live:
        for status, traffic in _watch(cluster, load, began):
            live.update(_view(status, traffic, time.monotonic() - began))
            highest = max(highest, status.get("readyReplicas", 0))
            back = highest > 1 and status.get("replicas") == 1 and bool(traffic.get("done"))
            if back:
                break
    result = load.result(30)
    return _close(cluster, result, highest=highest, back=back)


def _endpoint() -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "llm-twin.yaml").read_text())
    body["spec"]["business"]["image"] = images.image_name("rag")
    body["spec"]["scaling"] |= {
        "evaluation": "Fast",
        "targets": [{"type": "RequestsPerReplicaPerMinute", "value": 20}],
        "scaleOut": {"cooldownSeconds": 20},
        "scaleIn": {"cooldownSeconds": 20, "maxStep": 1},
    }
    return body


def _status(cluster: Cluster) -> dict[str, Any]:
    body = json.loads(cluster.kubectl("get", "llmendpoint", NAME, "-o", "json").stdout)
    status: dict[str, Any] = body.get("status", {})
    return status


def _watch(cluster: Cluster, load: Load, began: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    while time.monotonic() - began < LONGEST:
        lines = load.lines()
        yield _status(cluster), lines[-1] if lines else {}
        time.sleep(1.0)


def _view(status: dict[str, Any], traffic: dict[str, Any], seconds: float) -> Panel:
    streams = traffic.get("streams", {})
    scaling = status.get("scaling", {})
    decision = scaling.get("decision", {})
    table = Table.grid(padding=(0, 2))
    ready, exist = status.get("readyReplicas", 0), status.get("replicas", 0)
    bar = "[green]" + "■ " * ready + "[yellow]" + "□ " * max(exist - ready, 0)
    table.add_row("replicas", f"{bar}[/]  {ready} ready, {scaling.get('desiredReplicas', 1)} wanted")
    counts = "  ".join(f"{streams.get(name, 0)} {name}" for name in ("complete", "cut", "refused", "failed"))
    table.add_row("streams", f"{streams.get('inFlight', 0)} in flight  {counts}  TTFT p95 {streams.get('ttftP95')} s")
    table.add_row("decision", decision.get("sentence", ""))
    if decision.get("heldBy"):
        table.add_row("held by", f"[cyan]{decision['heldBy']}[/] until {decision.get('heldUntil', 'it changes')}")
    return Panel(table, title=f"{NAME} after {seconds:.0f} s", title_align="left")


def _close(cluster: Cluster, result: dict[str, Any], *, highest: int, back: bool) -> int:
    table = Table("time", "replicas", "why", title="decisions")
    for change in reversed(_status(cluster)["scaling"]["history"]):
        table.add_row(change["time"][11:19], f"{change['fromReplicas']} -> {change['toReplicas']}", change["sentence"])
    console.print(table)
    streams = result["streams"]
    summary = Table("streams served", "cut", "refused", "failed", "TTFT p50", "TTFT p95", "replicas at most")
    numbers = [streams[name] for name in ("complete", "cut", "refused", "failed", "ttftP50", "ttftP95")]
    summary.add_row(*map(str, numbers), str(highest))
    console.print(summary)
    wrong = [note for note in result["notes"] if note]
    if highest < 2:
        wrong.append("it did not scale out")
    if not back:
        wrong.append("it did not scale in again")
    for note in wrong:
        console.print(f"[red]{note}")
    if not wrong:
        console.print("[green]scaled out and in again, and no stream was cut.[/] Next:")
        console.print(f"  export KUBECONFIG={cluster.kubeconfig}", soft_wrap=True)
        console.print(f"  kubectl get llme {NAME} -o wide\n  kubectl describe llme {NAME}\n  make demo-down")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
