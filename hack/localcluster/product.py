"""Our product on a cluster: images loaded, chart installed, engines simulated unless they are real."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localcluster import images, tools
from localcluster.cluster import Cluster
from localcluster.commands import run
from localcluster.errors import LocalClusterError
from localcluster.paths import ROOT

RELEASE = "llmendpoint-operator"
NAMESPACE = "llmendpoint-system"
LOST = ("cut", "refused", "failed")
"""What else than complete a load's requests may be."""
# For a second after a Service has its first pod, nodes still refuse connections to it.
ASK = """
import json, sys, time, urllib.request
url, question = sys.argv[1:]
headers = {"Content-Type": "application/json"}
request = urllib.request.Request(f"{url}/rag", json.dumps({"query": question}).encode(), headers)
for attempt in range(10):
    try:
        print(urllib.request.urlopen(request).read().decode())
        break
    except urllib.error.URLError as error:
        if attempt == 9 or not isinstance(error.reason, ConnectionError):
            raise
        time.sleep(1)
"""
CHART = ROOT / "charts" / "llmendpoint-operator"


def install(
    cluster: Cluster,
    *,
    tick_seconds: float,
    watch_namespaces: Sequence[str] = (),
    simulated: bool = True,
    chart: Path = CHART,
) -> None:
    """Build and load the images, and install the chart.

    Args:
        tick_seconds: time between two readings of the engines.
        watch_namespaces: where endpoints are looked after; everywhere when empty.
        simulated: put the engine simulator in the engines' place, whatever image an endpoint names. A real engine
            comes from a folder of the node, which is a privilege.
        chart: a folder, or what ``helm package`` makes of one.
    """
    tools.ensure(tools.HELM)
    load_images(cluster, *images.PRODUCT)
    simulator = images.image_name("enginesim")
    simulation = {
        "engineImages": {"vLLM": simulator, "TGI": simulator, "SGLang": simulator},
        "engineImageOverride": True,
    }
    values = {
        "image": {"repository": images.image_name("operator").rpartition(":")[0], "tag": images.tag("operator")},
        "queueImage": images.image_name("queue"),
        "redisImage": images.image_name("redis"),
        "batchImage": images.image_name("batch"),
        "fetchImage": images.image_name("modelfetch"),
        "tickSeconds": tick_seconds,
        "watchNamespaces": list(watch_namespaces),
        **(simulation if simulated else {"allowPrivilegedPodTemplates": True}),
    }
    helm(
        cluster, "upgrade", "--install", RELEASE, str(chart), "-n", NAMESPACE, "--create-namespace", "--wait",
        "--timeout=120s", "--values=-", stdin=json.dumps(values),
    )  # fmt: skip


def load_images(cluster: Cluster, *wanted: str) -> None:
    """Build images of ours and make the cluster know them."""
    for archive in images.build(wanted):
        cluster.load_image(archive)


def helm(cluster: Cluster, *args: str, stdin: str | None = None) -> str:
    """Run helm against a cluster; its output.

    Raises:
        LocalClusterError: it failed.
    """
    environment = {"KUBECONFIG": str(cluster.kubeconfig)}
    return run([tools.program("helm"), *args], environment=environment, stdin=stdin).stdout


def ask(cluster: Cluster, namespace: str, workload: str, url: str, question: str) -> str:
    """What a RAG service answers, as JSON, to a client in the cluster.

    Args:
        workload: whose business container is the client.
        url: of the service.
    """
    inside = ("exec", workload, "-n", namespace, "-c", "business", "--", "python3", "-c", ASK, url, question)
    return cluster.kubectl(*inside).stdout


class Client:
    """A pod of the engine simulator's image, where clients would be, that prints JSON and ends with one that is done.

    Args:
        command: what it runs.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str, command: Sequence[str]) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "restartPolicy": "Never",
                "containers": [
                    {
                        "name": "client",
                        "image": images.image_name("enginesim"),
                        "imagePullPolicy": "IfNotPresent",
                        "command": list(command),
                    }
                ],
            },
        }
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(pod))

    def lines(self) -> list[dict[str, Any]]:
        """What it has printed so far."""
        text = self._cluster.kubectl("logs", self._name, "-n", self._namespace, check=False).stdout
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def result(self, timeout: float) -> dict[str, Any]:
        """Its closing report.

        Raises:
            LocalClusterError: there is none in time.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            done = [line for line in self.lines() if line.get("done")]
            if done:
                return done[-1]
            time.sleep(1.0)
        raise LocalClusterError(f"{self._name} gave no result within {timeout:.0f} s")


class Load(Client):
    """A load generator, which reports each second.

    Args:
        arguments: those of ``enginesim load``.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str, arguments: Sequence[str]) -> None:
        super().__init__(cluster, namespace, name, ["/app/bin/python", "-m", "enginesim", "load", *arguments])

    def stop(self) -> None:
        """Begin no more requests. Its result comes when the last one is done."""
        inside = ("exec", self._name, "-n", self._namespace, "--", "sh", "-c", "kill -TERM 1")
        # One that has nothing in flight ends at once, and may take the shell with it.
        self._cluster.kubectl(*inside, check=False)
