"""The RAG service of the examples in one placement, on a real node: how it is asked, changed and looked at."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from localcluster import images
from localcluster.cluster import Cluster
from localcluster.errors import LocalClusterError
from localcluster.paths import ROOT
from localcluster.product import Load

Placement = Literal["Separate", "Sidecar"]
EXAMPLES: dict[Placement, str] = {"Separate": "llm-twin.yaml", "Sidecar": "monolith.yaml"}
NAME = "llm-twin"
QUESTIONS = (
    "How do I keep streams alive when a pod ends?",
    "What did Ada Brandt write about cold starts?",
    "How does a graph index find neighbours?",
)
"""What the load asks in turn."""
COMPONENT = "llmendpoint.dev/component"
# Short answers of a fast engine: what lies before it is what is looked at.
ENGINE = {"ENGINESIM_STARTUP_SECONDS": "3", "ENGINESIM_ITERATION_SECONDS": "0.01", "ENGINESIM_QUOTES": "1"}
BUSINESS = {"RAG_MAX_TOKENS": "32"}


@dataclass(frozen=True)
class Used:
    """What the containers of a kind have taken, over all pods that are there."""

    cpu_seconds: float
    memory_mib: float


class Placed:
    """The endpoint of an example, in a namespace of its own."""

    def __init__(self, cluster: Cluster, placement: Placement, longest: float) -> None:
        self.placement = placement
        self.namespace = placement.lower()
        self._cluster = cluster
        self._longest = longest

    def create(self) -> float:
        """Apply the example with the images of this working tree; seconds until it serves."""
        body: dict[str, Any] = yaml.safe_load((ROOT / "examples" / EXAMPLES[self.placement]).read_text())
        spec = body["spec"]
        spec["business"]["image"] = images.image_name("rag")
        spec["engine"]["env"], spec["business"]["env"] = _variables(ENGINE), _variables(BUSINESS)
        spec["scaling"] = {"mode": "Off", "maxReplicas": 3}
        self._cluster.kubectl("create", "namespace", self.namespace)
        self._kubectl("apply", "-f", "-", stdin=json.dumps(body))
        return self._until(lambda: self._serves(1))

    def load(self, name: str, seconds: float, concurrency: int) -> Load:
        """Ask questions, so many at a time, from a pod in the cluster."""
        url = f"http://{NAME}.{self.namespace}.svc.cluster.local"
        arguments = [url, f"--seconds={seconds}", f"--concurrency={concurrency}", "--questions", *QUESTIONS]
        return Load(self._cluster, self.namespace, name, arguments)

    def scale(self, replicas: int) -> float:
        """Change the number of units, which the engine gives; seconds until so many serve and no other pod is left."""
        self._kubectl("scale", "llmendpoint", NAME, f"--replicas={replicas}")
        return self._until(lambda: self._serves(replicas) and self._is_settled())

    def roll_out_business(self) -> tuple[float, int]:
        """Give the business service another variable, which stands for another image.

        Returns seconds until nothing of the old one is left, and the GPUs that pods held at most meanwhile.
        """
        generation = self._endpoint()["metadata"]["generation"]
        patch = {"spec": {"business": {"env": _variables({**BUSINESS, "RELEASE": "next"})}}}
        self._kubectl("patch", "llmendpoint", NAME, "--type=merge", "-p", json.dumps(patch))
        held: list[int] = []

        def done() -> bool:
            held.append(self.gpus())
            return self._endpoint()["status"]["observedGeneration"] > generation and self._is_settled()

        return self._until(done), max(held)

    def gpus(self) -> int:
        """GPUs that pods hold."""
        containers = [
            entry
            for pod in self.pods("engine").values()
            for entry in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
        ]
        return sum(int(entry["resources"].get("limits", {}).get("nvidia.com/gpu", 0)) for entry in containers)

    def pods(self, component: str) -> dict[str, dict[str, Any]]:
        """Pods of a component by name."""
        found = self._kubectl("get", "pods", "-l", f"{COMPONENT}={component}", "-o", "json")
        return {pod["metadata"]["name"]: pod for pod in json.loads(found)["items"]}

    def used(self, container: str) -> Used:
        """What the kubelet says of the containers of a name."""
        (node,) = json.loads(self._cluster.kubectl("get", "nodes", "-o", "json").stdout)["items"]
        path = f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary?only_cpu_and_memory=true"
        told = json.loads(self._cluster.kubectl("get", "--raw", path).stdout)
        mine = [
            entry
            for pod in told["pods"]
            if pod["podRef"]["namespace"] == self.namespace
            for entry in pod.get("containers", ())
            if entry["name"] == container
        ]
        return Used(
            sum(entry["cpu"]["usageCoreNanoSeconds"] for entry in mine) / 1e9,
            sum(entry["memory"]["workingSetBytes"] for entry in mine) / 2**20,
        )

    def _is_settled(self) -> bool:
        """Whether the current revision serves alone: of one that goes no pod is left."""
        deployments = json.loads(self._kubectl("get", "deployments", "-o", "json"))["items"]
        pods = len(self.pods("engine")) + len(self.pods("business"))
        return self._serves(None) and pods == sum(entry["spec"]["replicas"] for entry in deployments)

    def _serves(self, replicas: int | None) -> bool:
        status = self._endpoint().get("status", {})
        ready = any((entry["type"], entry["status"]) == ("Ready", "True") for entry in status.get("conditions", ()))
        return ready and replicas in {None, status.get("readyReplicas")}

    def _endpoint(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self._kubectl("get", "llmendpoint", NAME, "-o", "json"))
        return body

    def _kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self._cluster.kubectl(*args, "-n", self.namespace, stdin=stdin).stdout

    def _until(self, holds: Callable[[], bool]) -> float:
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > self._longest:
                raise LocalClusterError(f"{self.placement}: not done after {self._longest:.0f} s")
            time.sleep(0.2)
        return time.monotonic() - began


def _variables(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]
