"""Two replicas of the operator on a real API server: one works, the other takes over, and they never both write."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from localcluster.cluster import Cluster
from support.clusters import running_apiserver
from support.endpoints import apply, is_unread, reason, replicas, status
from support.kube import eventually, get
from support.operators import OperatorProcess, started_operator
from support.prometheus import running_prometheus, running_simulator
from support.relay import Asked, Mode, Relay, running_relay

pytestmark = pytest.mark.apiserver
DURATION, DEADLINE = 10.0, 8.0  # as shipped
LEASE = "llmendpoint-operator"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One of its own: the operator of the other tests would work on the same objects."""
    with running_apiserver("ha", fake_nodes=2) as made:
        yield made


@pytest.fixture
def namespace(cluster: Cluster, pair: list["Replica"]) -> Iterator[str]:
    """An empty one, which the pair looks after; nothing of it is left to write about for the next test."""
    name = f"test-{time.time_ns()}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "llmendpoints", "--all", "-n", name)


@dataclass(frozen=True)
class Replica:
    """An operator, and what it asked the API server for."""

    operator: OperatorProcess
    relay: Relay

    @property
    def leads(self) -> bool:
        return self.operator.leads

    def writes(self, since: float = 0.0) -> list[Asked]:
        """Its writes but those of the lease."""
        return [asked for asked in self.relay.since(since) if asked.is_write and not asked.is_of_lease]


@contextmanager
def started_replica(cluster: Cluster, directory: Path) -> Iterator[Replica]:
    with (
        running_relay(cluster.kubeconfig, directory) as relay,
        started_operator(
            relay.kubeconfig,
            directory / "operator.log",
            LEADER_ELECTION="true",
            TZ="Asia/Tokyo",  # no time in the cluster may depend on it
        ) as operator,
    ):
        yield Replica(operator, relay)


@pytest.fixture(scope="module")
def survivors() -> Iterator[tuple[list[Replica], ExitStack]]:
    """What the tests have left running."""
    with ExitStack() as running:
        yield [], running


@pytest.fixture
def pair(
    cluster: Cluster, survivors: tuple[list[Replica], ExitStack], tmp_path_factory: pytest.TempPathFactory
) -> list[Replica]:
    """The leader and the standby."""
    replicas, running = survivors
    replicas[:] = [replica for replica in replicas if replica.operator.process.poll() is None]
    while len(replicas) < 2:
        replicas.append(running.enter_context(started_replica(cluster, tmp_path_factory.mktemp("replica"))))
        replicas[-1].operator.await_ready()  # two that start at once may both try to create the lease
    eventually(lambda: any(replica.leads for replica in replicas))
    return sorted(replicas, key=lambda replica: not replica.leads)


def seconds_until(check: Callable[[], Any], longest: float) -> float:
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < longest, f"not within {longest} s"
        time.sleep(0.02)
    return time.monotonic() - began


def lease(cluster: Cluster) -> dict[str, Any]:
    spec: dict[str, Any] = get(cluster, "lease", LEASE, "-n", "default")["spec"]
    return spec


def scaled(count: int) -> dict[str, Any]:
    return {"minReplicas": count, "maxReplicas": 6}


def test_a_standby_reads_the_lease_and_nothing_else_and_an_idle_leader_writes_nothing_else(
    cluster: Cluster, namespace: str, pair: list[Replica]
) -> None:
    leader, standby = pair
    apply(cluster, namespace, scaling=scaled(1))
    eventually(lambda: reason(cluster, namespace) == "AllReplicasReady")
    eventually(lambda: is_unread(cluster, namespace))
    time.sleep(4)
    began = time.monotonic()
    time.sleep(6)
    assert standby.operator.answers("/healthz")
    assert standby.operator.answers("/readyz")
    assert (leader.leads, standby.leads) == (True, False)
    assert {(asked.method, asked.is_of_lease, asked.is_watch) for asked in standby.relay.asked} == {
        ("GET", True, False)
    }
    renewals = [asked for asked in leader.relay.since(began) if asked.is_write]
    assert {(asked.method, asked.is_of_lease) for asked in renewals} == {("PUT", True)}
    assert 2 <= len(renewals) <= 5
    at = datetime.fromisoformat(lease(cluster)["renewTime"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 10


def test_a_leader_that_is_told_to_stop_hands_over_within_three_seconds(
    cluster: Cluster, namespace: str, pair: list[Replica]
) -> None:
    leader, standby = pair
    apply(cluster, namespace, scaling=scaled(1))
    eventually(lambda: replicas(cluster, namespace) == 1)
    before = lease(cluster)["leaseTransitions"]
    leader.operator.signal(signal.SIGTERM)
    told = time.monotonic()
    apply(cluster, namespace, scaling=scaled(3))
    eventually(lambda: replicas(cluster, namespace) == 3)
    # When it was asked for, and not when a look that takes its time has found it.
    took = next(asked.at for asked in standby.writes(told) if asked.path.endswith("/deployments/llama-engine")) - told
    print(f"SIGTERM -> the other one's first scale: {took:.2f} s")
    assert took <= 3.0
    assert leader.operator.process.wait(20) == 0
    assert lease(cluster)["leaseTransitions"] == before + 1


def test_a_leader_that_is_killed_is_replaced_within_fifteen_seconds_and_cooldowns_go_on(
    cluster: Cluster, namespace: str, pair: list[Replica], tmp_path: Path
) -> None:
    leader, standby = pair
    with (
        running_prometheus(tmp_path) as prometheus,
        running_simulator(tmp_path, "vllm", "serve", "m") as engine,
    ):
        scaling = {
            "maxReplicas": 6,
            "metrics": {"source": "Prometheus", "prometheus": {"url": prometheus.url}},
            "scaleOut": {"cooldownSeconds": 900},
            "scaleIn": {"cooldownSeconds": 0, "holdSeconds": 0},
        }

        def is_held() -> bool:
            decision = status(cluster, namespace)["scaling"]["decision"]
            assert decision["heldBy"] == "ScaleOutCooldown", decision["sentence"]
            return True

        apply(cluster, namespace, scaling=scaling)
        eventually(lambda: reason(cluster, namespace) == "AllReplicasReady")
        apply(cluster, namespace, scaling={**scaling, "minReplicas": 3})
        pods = eventually(lambda: len(found := get(cluster, "pods", "-n", namespace)["items"]) == 3 and found)
        prometheus.scrape({(namespace, pod["metadata"]["name"]): engine.address for pod in pods})
        apply(cluster, namespace, scaling=scaling)  # nothing needs three replicas any more
        eventually(is_held)
        before = status(cluster, namespace)["scaling"]
        leader.operator.signal(signal.SIGKILL)
        took = seconds_until(lambda: standby.leads and standby.operator.answers("/readyz"), 30)
        print(f"SIGKILL -> the other one leads and knows the cluster: {took:.2f} s")
        assert took <= 15.0
        time.sleep(10)  # ticks enough for another decision
        eventually(is_held)
    after = status(cluster, namespace)["scaling"]
    assert after["lastScaleOutTime"] == before["lastScaleOutTime"]
    assert after["history"] == before["history"]
    assert replicas(cluster, namespace) == 3
    assert [asked for asked in standby.writes() if asked.path.endswith(f"/{namespace}/deployments/llama-engine")] == []


def test_a_leader_that_was_stopped_past_its_lease_writes_nothing_when_it_goes_on(
    cluster: Cluster, namespace: str, pair: list[Replica]
) -> None:
    leader, standby = pair
    apply(cluster, namespace, scaling=scaled(1))
    eventually(lambda: is_unread(cluster, namespace))
    # A write that has passed the fence when the process stops arrives when it goes on.
    eventually(lambda: not leader.writes(time.monotonic() - 1.0))
    leader.operator.signal(signal.SIGSTOP)
    apply(cluster, namespace, scaling=scaled(2))  # its watch has that when it goes on
    took = seconds_until(lambda: standby.leads, 20)
    print(f"SIGSTOP -> the other one leads: {took:.2f} s")
    eventually(lambda: replicas(cluster, namespace) == 2)
    apply(cluster, namespace, scaling=scaled(3))
    eventually(lambda: replicas(cluster, namespace) == 3)
    goes_on = time.monotonic()
    leader.operator.signal(signal.SIGCONT)
    assert leader.operator.process.wait(20) == 1
    assert [asked for asked in leader.relay.since(goes_on) if asked.is_write] == []
    assert "lease lost" in leader.operator.log.read_text()
    assert replicas(cluster, namespace) == 3


@pytest.mark.parametrize("mode", ["swallow", "refuse"])
def test_a_leader_that_does_not_reach_the_api_server_stops_before_the_other_begins(
    cluster: Cluster, pair: list[Replica], mode: Mode
) -> None:
    leader, standby = pair
    leader.relay.mode = mode
    began = time.monotonic()
    assert leader.operator.process.wait(DURATION) == 1
    stopped = time.monotonic() - began
    assert not standby.leads
    took = stopped + seconds_until(lambda: standby.leads, 10)
    print(f"{mode}: stops after {stopped:.2f} s, the other one leads after {took:.2f} s")
    assert "not renewed for 8 s" in leader.operator.log.read_text()


@pytest.mark.parametrize("mode", ["swallow", "refuse"])
def test_an_api_server_that_is_away_for_less_than_the_deadline_changes_nothing(
    cluster: Cluster, pair: list[Replica], mode: Mode
) -> None:
    leader, standby = pair
    before = lease(cluster)
    for replica in pair:
        replica.relay.mode = mode
    time.sleep(DEADLINE / 2)
    for replica in pair:
        replica.relay.mode = "open"
    time.sleep(DURATION)
    assert (leader.leads, standby.leads) == (True, False)
    after = lease(cluster)
    assert after["holderIdentity"] == before["holderIdentity"]
    assert after["renewTime"] > before["renewTime"]


def test_a_lease_that_is_deleted_comes_back_with_its_holder(cluster: Cluster, pair: list[Replica]) -> None:
    leader, standby = pair
    holder = lease(cluster)["holderIdentity"]
    for _ in range(3):
        cluster.kubectl("delete", "lease", LEASE, "-n", "default")
        eventually(lambda: lease(cluster)["holderIdentity"] == holder)
    assert (leader.leads, standby.leads) == (True, False)


def test_a_leader_that_finds_the_lease_in_other_hands_ends(cluster: Cluster, pair: list[Replica]) -> None:
    leader, _ = pair
    patch = {"spec": {"holderIdentity": "somebody-else"}}
    cluster.kubectl("patch", "lease", LEASE, "-n", "default", "--type=merge", "-p", json.dumps(patch))
    assert leader.operator.process.wait(20) == 1
    assert "held by somebody-else now" in leader.operator.log.read_text()
