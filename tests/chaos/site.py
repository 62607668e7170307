"""A cluster with an audit log, fake nodes whose pods can be scraped, and an operator that comes and goes."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from chaos.audit import Record, writes
from chaos.components import Component
from chaos.engines import BUSY, SLOTS, Fleet, running_fleet
from chaos.invariants import Direction, Span, told, violations
from chaos.state import CHILDREN, end_state
from localcluster import auditlog
from localcluster import cluster as local
from localcluster.accounts import administrators, kubeconfig_of
from localcluster.cluster import Cluster
from localcluster.fakes import fake_node
from localcluster.paths import ROOT
from support.endpoints import NAME, apply, ready
from support.kube import eventually, get
from support.operators import OperatorProcess, started_operator

CLOCK = Path(__file__).with_name("clock")
AUDIT_POLICY = Path(__file__).with_name("audit-policy.yaml")
NAMESPACE = "chaos"
SYSTEM = "chaos-system"
OPERATOR = f"system:serviceaccount:{SYSTEM}:operator"
NODES = 3
ADDRESSES = 64
"""Of a node."""
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller")
LONGEST = 120.0
LEAST, MOST = 1, 4
SCALING = {"minReplicas": LEAST, "maxReplicas": MOST, "scaleOut": {"maxStep": 1}}
COOLDOWN_SECONDS = 4
SCALE_IN = {"maxStep": 1, "cooldownSeconds": COOLDOWN_SECONDS}


class Site:
    """Where chaos is made. One operator and one endpoint at a time.

    Attributes:
        fleet: the engines of all pods.
        kills: how often an operator was killed.
    """

    def __init__(self, cluster: Cluster, fleet: Fleet, kubeconfig: Path, logs: Path) -> None:
        self.cluster = cluster
        self.fleet = fleet
        self.kills = 0
        self._kubeconfig = kubeconfig
        self._logs = logs
        self._clock = logs / "clock"
        self._running = ExitStack()
        self._starts = 0
        self._operator: OperatorProcess | None = None
        self._began = datetime.now(UTC)
        self._spans: list[Span] = []
        self._loaded: tuple[int, datetime] = (0, datetime.now(UTC))

    @classmethod
    @contextmanager
    def opened(cls, directory: Path) -> Iterator["Site"]:
        """A cluster of its own, removed at the end."""
        name = f"chaos-{os.getpid()}"
        networks = [f"127.{64 + os.getpid() % 128}.{index}" for index in range(NODES)]
        cluster = local.up(name, node=False, audit_policy=AUDIT_POLICY)
        try:
            cluster.install_crd()
            # All of 127.0.0.0/8 is this machine.
            nodes = [fake_node(index, pod_range=f"{network}.0/26") for index, network in enumerate(networks)]
            # The operator is a user of its own, so that the audit log tells its writes from the test's.
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            cluster.control_plane.apply([*nodes, namespace, *administrators(SYSTEM, ["operator"])])
            kubeconfig = directory / "operator.yaml"
            kubeconfig.write_text(yaml.safe_dump(kubeconfig_of(cluster, SYSTEM, "operator")))
            addresses = [f"{network}.{last}" for network in networks for last in range(ADDRESSES)]
            with running_fleet(addresses) as fleet:
                site = cls(cluster, fleet, kubeconfig, directory)
                try:
                    yield site
                finally:
                    site.stop_operator()
        finally:
            components = [Component(cluster.control_plane, name) for name in COMPONENTS]
            cluster.down()
            eventually(lambda: not any(component.runs for component in components))

    @property
    def operator(self) -> OperatorProcess:
        """The one that runs."""
        assert self._operator, "no operator runs"
        return self._operator

    def start_operator(self) -> None:
        """Start one; it need not be ready yet."""
        self._starts += 1
        log = self._logs / f"operator-{self._starts}.log"
        self._operator = self._running.enter_context(
            started_operator(
                self._kubeconfig,
                log,
                SCRAPE_TIMEOUT_SECONDS="1",
                CLOCK_FILE=str(self._clock),
                PYTHONPATH=os.pathsep.join(map(str, (ROOT / "operator", CLOCK))),
            )
        )

    def kill_operator(self) -> None:
        """End it where it stands."""
        self.operator.signal(signal.SIGKILL)
        self.operator.process.wait(10)
        self.kills += 1
        self.stop_operator()

    def stop_operator(self) -> None:
        """Tell it to end, if it runs. It has written no traceback."""
        self._running.close()
        self._operator = None

    def enter(self) -> None:
        """Begin a scenario: an endpoint that serves, and an operator."""
        self._began, self._spans = datetime.now(UTC), []
        self.fleet.answers, self.fleet.silent = "well", frozenset()
        self.set_clock(0)
        self.load(0)
        self.start_operator()
        self.apply()
        self.await_replicas(LEAST)

    def leave(self) -> None:
        """Delete the endpoint and wait until nothing of it is left."""
        try:
            self.cluster.kubectl("delete", "llmendpoint", NAME, "-n", NAMESPACE)
            eventually(lambda: not get(self.cluster, f"{CHILDREN},pods", "-n", NAMESPACE).get("items"), LONGEST)
        finally:
            self.stop_operator()  # two of them would fight

    def apply(self, *arguments: str, hold_seconds: int = 0, **engine: Any) -> None:
        """The endpoint, with such arguments and settings of its engine.

        Args:
            hold_seconds: the hold window. Where pods are lost it has to bridge the time until others serve.
        """
        apply(
            self.cluster,
            NAMESPACE,
            engine={"args": [f"--max-num-seqs={SLOTS}", *arguments], **engine},
            business={"image": "example.test/rag:1", "replicas": {"min": 1, "max": 2}},
            scaling={**SCALING, "scaleIn": {**SCALE_IN, "holdSeconds": hold_seconds}},
        )

    def load(self, requests: int = BUSY) -> None:
        """Give each engine so many requests. Nothing scales in while it is busy, and nothing out while it is idle."""
        was_loaded, since = self._loaded
        self._loaded = (requests, datetime.now(UTC))
        self.fleet.load(requests)
        self._span("in" if was_loaded else "out", since, f"each engine had {was_loaded} requests")

    def set_clock(self, seconds: int) -> None:
        """Let the operators' clock be so far ahead of the machine's."""
        aside = self._clock.with_suffix(".new")
        aside.write_text(str(seconds))
        aside.rename(self._clock)

    def component(self, name: str) -> Component:
        """A process of the control plane."""
        return Component(self.cluster.control_plane, name)

    @contextmanager
    def without(self, component: str) -> Iterator[None]:
        """The control plane has lost one of its processes; at the end that is back, and the API server answers."""
        with self.component(component).killed():
            yield
        self.cluster.await_crd()  # it is ready a moment before it knows the CRD
        if component == "kube-apiserver":
            self._start_controllers_again()

    def _start_controllers_again(self) -> None:
        """They look for a lost API server less and less often, up to a minute; the operator is what is to be seen."""
        for name in ("kube-controller-manager", "kube-scheduler"):
            with self.component(name).killed():
                pass
        with self.component("kwok-controller").killed():
            # It would wait until those of the one before have run out, 200 s.
            self.cluster.kubectl("delete", "leases", "--all", "-n", "kube-node-lease")

    def await_replicas(self, count: int) -> None:
        """Wait until so many serve, of the spec as it is."""
        eventually(lambda: ready(self.cluster, NAMESPACE, count), LONGEST)

    def pods(self, component: str) -> list[dict[str, Any]]:
        """The pods of one component that are not going."""
        found = get(self.cluster, "pods", "-n", NAMESPACE, "-l", f"llmendpoint.dev/component={component}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    @contextmanager
    def forbidden(self, direction: Direction, why: str) -> Iterator[None]:
        """A while in which nothing may scale that way."""
        since = datetime.now(UTC)
        yield
        self._span(direction, since, why)

    def end_state(self) -> dict[str, Any]:
        """What there is."""
        return end_state(self.cluster, NAMESPACE)

    def violations(self) -> tuple[int, list[str]]:
        """How many writes were looked at, and what is wrong with them."""
        self.load(self._loaded[0])
        found = self._records()
        return len(found), violations(found, self._spans, operator=OPERATOR)

    def scale_ins(self) -> list[datetime]:
        """When each was told to the API server."""
        return [change.record.at for change in told(self._records(), OPERATOR) if change.direction == "in"]

    def _records(self) -> list[Record]:
        """The writes of this scenario."""
        events, _ = auditlog.read(self.cluster.control_plane.audit_log)
        return [record for record in writes(events) if record.namespace == NAMESPACE and record.at >= self._began]

    def _span(self, direction: Direction, since: datetime, why: str) -> None:
        self._spans.append(Span(NAMESPACE, since, datetime.now(UTC), direction, why))
