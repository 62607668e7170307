"""What ResourceQuotas leave, and how the endpoints of a namespace share it."""

from collections import Counter
from typing import Any

import pytest

from llmendpoint.api.names import COMPONENT_ENGINE, LABEL_COMPONENT, LABEL_MANAGED_BY, MANAGED_BY
from llmendpoint.cluster.errors import Forbidden
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.quota import promised_to, room_in
from llmendpoint.runtime.memory import Memories
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.runtime.store import Key, Store
from llmendpoint.scaling.decision import Room
from support.builders import NOW, endpoint, pod
from support.ticks import stored, ticker_of

GPU = "nvidia.com/gpu"


def quota(hard: Any, used: Any = 0, resource: str = GPU, name: str = "gpus", **spec: Any) -> dict[str, Any]:
    key = f"requests.{resource}"
    return {
        "metadata": {"name": name},
        "spec": {"hard": {key: hard}, **spec},
        "status": {"hard": {key: hard}, "used": {key: used}},
    }


def template(gpus: int = 2, resource: str = GPU) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "engine", "resources": {"limits": {resource: gpus}}}]}}


def seen(pods: int = 2, draining: int = 0, gpus: int = 2, resource: str = GPU) -> Observation:
    labels = {LABEL_COMPONENT: COMPONENT_ENGINE, LABEL_MANAGED_BY: MANAGED_BY}
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "llama-engine", "labels": labels},
        "spec": {"replicas": pods, "template": template(gpus, resource)},
    }
    made = [pod(f"p{index}", deleting=index < draining) for index in range(pods + draining)]
    return observe(endpoint(scaling={"maxReplicas": 9}), [deployment], made)


@pytest.mark.parametrize(
    ("what", "quotas", "replicas"),
    [
        ("none", [], None),
        ("of something else", [quota("9", resource="amd.com/gpu")], None),
        ("what is free", [quota("8", "4")], 4),
        ("a part of a replica is none", [quota("9", "4")], 4),
        ("used up", [quota("4", "4")], 2),
        ("overdrawn", [quota("2", "4")], 2),
        ("the tighter of two", [quota("8", "4"), quota("6", "4", name="other")], 3),
        ("in thousands", [quota("1k", "4")], 500),
        ("for some pods only", [quota("4", "4", scopes=["BestEffort"])], None),
        ("by priority", [quota("4", "4", scopeSelector={"matchExpressions": []})], None),
        ("not counted yet", [{**quota("8", "4"), "status": {}}], None),
    ],
)
def test_the_tightest_quota_counts(what: str, quotas: list[dict[str, Any]], replicas: int | None) -> None:
    room = room_in(quotas, seen(2), Counter())
    assert (room.replicas if room else None) == replicas


def test_parts_of_gpus_have_quotas_of_their_own() -> None:
    mig = "nvidia.com/mig-1g.10gb"
    quotas = [quota("4", "4"), quota("8", "5", resource=mig, name="parts")]
    assert room_in(quotas, seen(2, resource=mig), Counter()) == Room(
        3, "ResourceQuota parts has 3 of 8 nvidia.com/mig-1g.10gb left, and a replica takes 2"
    )


def test_it_says_what_is_left() -> None:
    assert room_in([quota("8", "5")], seen(2), Counter()) == Room(
        3, "ResourceQuota gpus has 3 of 8 nvidia.com/gpu left, and a replica takes 2"
    )


def test_what_others_were_ordered_is_not_free_any_more() -> None:
    room = room_in([quota("8", "4")], seen(2), Counter({GPU: 3}))
    assert room is not None
    assert room.replicas == 2


def test_a_draining_replica_holds_its_gpus_until_it_is_gone() -> None:
    room = room_in([quota("8", "6")], seen(2, draining=1), Counter())
    assert room is not None
    assert room.replicas == 3


@pytest.mark.parametrize(("wanted", "gpus"), [(5, 6), (2, 0), (1, 0)])
def test_promised_is_what_has_no_pod_yet(wanted: int, gpus: int) -> None:
    assert promised_to(seen(2), wanted)[GPU] == gpus


def test_without_gpus_nothing_is_limited() -> None:
    assert room_in([quota("0")], seen(2, gpus=0), Counter()) is None
    assert room_in([quota("0")], observe(endpoint(), [], []), Counter()) is None


def wanting(*names: str, mode: str = "Active") -> Store:
    """Endpoints of one replica each that want four, as the schedule says."""
    always = {"name": "always", "start": "* * * * *", "durationSeconds": 600, "maxReplicas": 4}
    target = {"type": "ConcurrentRequestsPerReplica", "value": 0.25}
    spec = {
        "maxReplicas": 9, "schedules": [always], "policy": "TargetTracking", "targets": [target],
        "evaluation": "Fast", "mode": mode,
    }  # fmt: skip
    store = stored(**dict.fromkeys(names, spec))
    for name in names:
        ask_for_gpu(store, name, replicas=1)
    return store


def sleeping(*names: str) -> Store:
    """Endpoints without a replica, which need one GPU each to wake."""
    spec = {"minReplicas": 0, "maxReplicas": 4}
    store = stored(**dict.fromkeys(names, spec))
    for name in names:
        ask_for_gpu(store, name, replicas=0)
        (only,) = store.pods(Key("team", name))
        store.drop(only)
    return store


def ask_for_gpu(store: Store, name: str, replicas: int) -> None:
    (deployment,) = store.children(Key("team", name))
    metadata = {**deployment["metadata"], "resourceVersion": "2"}
    store.put({**deployment, "metadata": metadata, "spec": {"replicas": replicas, "template": template(1)}})


class Namespace:
    """Its quotas, and how often they were read."""

    def __init__(self, hard: int, used: int) -> None:
        self.reads = 0
        self.quotas = [quota(str(hard), str(used))]

    async def read(self, namespace: str) -> list[dict[str, Any]]:
        assert namespace == "team"
        self.reads += 1
        return self.quotas


async def decided(store: Store, read: Any, seconds: int = 60) -> tuple[dict[str, int], Memories]:
    memories, now = Memories(), [NOW]
    ticker = ticker_of(store, WorkQueue(), lambda: now[0], memories, read)
    for elapsed in range(0, seconds + 1, 10):
        now[0] = NOW + elapsed
        await ticker.tick()
    return {key.name: memories._by_key[key].state.desired for key in store.keys}, memories


async def test_endpoints_of_a_namespace_share_a_quota_first_come_first_served() -> None:
    namespace = Namespace(hard=7, used=3)
    found, memories = await decided(wanting("a", "b", "c"), namespace.read)
    assert found == {"a": 4, "b": 2, "c": 1}
    decision = memories._by_key[Key("team", "c")].scaling
    assert decision is not None
    assert decision.decision is not None
    assert decision.decision.held_by == "Budget"
    assert "ResourceQuota gpus has 0 of 7 nvidia.com/gpu left, and a replica takes 1" in decision.decision.sentence


async def test_endpoints_that_wake_share_it_as_well() -> None:
    memories = Memories()
    ticker = ticker_of(sleeping("a", "b"), WorkQueue(), lambda: NOW, memories, Namespace(hard=4, used=3).read, held=1)
    for name in ("a", "b"):
        await ticker.wake(Key("team", name))
    assert {key.name: memory.state.desired for key, memory in memories._by_key.items()} == {"a": 1, "b": 0}


async def test_a_dry_run_takes_nothing_from_others() -> None:
    store, live = wanting("dry", mode="DryRun"), wanting("live")
    key = Key("team", "live")
    for body in (live.endpoint(key), *live.children(key), *live.pods(key)):
        assert body is not None
        store.put(body)
    assert (await decided(store, Namespace(hard=5, used=2).read))[0] == {"dry": 4, "live": 4}


async def test_quotas_are_read_only_where_replicas_would_be_ordered_and_once_per_tick() -> None:
    namespace = Namespace(hard=100, used=3)
    await decided(wanting("a", "b", "c"), namespace.read, seconds=20)
    assert namespace.reads == 0  # the alarm needs three points
    await decided(wanting("a", "b", "c"), namespace.read, seconds=600)
    assert namespace.reads == 1


async def test_quotas_that_can_not_be_read_hold_nothing_back() -> None:
    async def forbidden(namespace: str) -> list[dict[str, Any]]:
        raise Forbidden("no")

    assert (await decided(wanting("a", "b"), forbidden))[0] == {"a": 4, "b": 4}


async def test_an_endpoint_that_goes_while_its_quota_is_read_leaves_no_series() -> None:
    store = wanting("a")
    body = store.endpoint(Key("team", "a"))
    assert body is not None

    async def gone(namespace: str) -> list[dict[str, Any]]:
        store.drop(body)
        return []

    now = [NOW]
    ticker = ticker_of(store, WorkQueue(), lambda: now[0], quotas=gone)
    while store.keys:
        ticker._exporter.endpoints.forget(("team", "a"))
        await ticker.tick()
        now[0] += 10
    assert (ticker._exporter.endpoints.decisions, ticker._exporter.endpoints.accounts) == ({}, {})
