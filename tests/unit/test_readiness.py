"""A replica that has served and is not ready just now is neither new nor gone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from llmendpoint.reconcile.observation import observe, view_of
from llmendpoint.runtime.memory import Memories, Memory
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.runtime.store import Key, Store
from llmendpoint.scaling.decision import Decision, Replicas
from llmendpoint.scaling.record import epoch
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import PodPhase, ReadingWindow, derive
from llmendpoint.scaling.state import initial_state
from support.builders import NOW, endpoint, model_of, pod, reading, sample, scaling
from support.ticks import stored, ticker_of

# The Ready condition of the builder's pods changed at 15:01:30.
BEFORE, AFTER = "2025-06-15T15:00:05Z", "2025-06-15T15:01:35Z"
KEY = Key("team", "llama")
LATER = epoch("2025-06-15T20:00:00Z")


def engine(**state: Any) -> dict[str, Any]:
    return {"name": "engine", "image": "i", "ready": False, "started": True, "restartCount": 0, "state": state}


@pytest.mark.parametrize(
    ("what", "body", "phase"),
    [
        ("loads its model", pod(ready=False, containers=[engine(running={"startedAt": AFTER})]), PodPhase.STARTING),
        ("has failed its readiness probe", pod(ready=False, containers=[engine(running={"startedAt": BEFORE})]),
         PodPhase.UNREADY),
        ("serves", pod(containers=[engine(running={"startedAt": BEFORE})]), PodPhase.READY),
        ("has crashed", pod(ready=False, containers=[engine(terminated={"exitCode": 1})]), PodPhase.STARTING),
        ("is to be restarted", pod(ready=False, containers=[engine(waiting={"reason": "CrashLoopBackOff"})]),
         PodPhase.STARTING),
        ("drains", pod(ready=False, deleting=True, containers=[engine(running={"startedAt": BEFORE})]),
         PodPhase.DRAINING),
        ("is being created", pod(ready=False, containers=[]), PodPhase.STARTING),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)  # fmt: skip
def test_a_pod_says_whether_its_engine_has_served(what: str, body: dict[str, Any], phase: PodPhase) -> None:
    assert view_of(body).phase is phase


def decisions(*phases: PodPhase, per_second: float = 4.0) -> list[Decision]:
    """What is decided every 10 s for two replicas, of which the second is in these phases."""
    state = replace(initial_state(2, NOW - 1000), model=model_of(0.1025))
    window, found = ReadingWindow(), []
    for tick, phase in enumerate(phases):
        now, done = NOW + 10.0 * tick, 100_000 + 10.0 * tick * per_second / 2
        taken = sample(now, running=5, requests_total=done, generation_tokens_total=200 * done, kv_usage=0.05)
        second = reading("b", phase, taken if phase is PodPhase.READY else None)
        window, signals = derive(window, [reading("a", taken=taken), second], now)
        phases_now = (PodPhase.READY, phase)
        counts = Replicas(ready=phases_now.count(PodPhase.READY), unready=phases_now.count(PodPhase.UNREADY), ordered=2)
        state, decision = decide(
            scaling(maxReplicas=20, scaleIn={"holdSeconds": 0, "cooldownSeconds": 0}), state, signals, counts, now
        )
        found.append(decision)
        state = replace(state, desired=2, model=model_of(0.1025))
    return found


def test_the_counters_of_a_replica_that_is_ready_again_are_no_arrivals() -> None:
    ready, unready = PodPhase.READY, PodPhase.UNREADY
    rates = [decision.inputs.get("arrivalRate") for decision in decisions(ready, ready, unready, ready, ready)]
    assert rates == [None, 4.0, 2.0, 4.0, 4.0]  # the one that was not ready got no new requests


def test_nothing_is_scaled_in_while_a_replica_that_served_is_not_ready() -> None:
    ready, unready = PodPhase.READY, PodPhase.UNREADY
    found = decisions(ready, unready, unready, ready, per_second=0.1)
    assert [decision.desired for decision in found] == [1, 2, 2, 1]
    assert found[1].held_by == "PartialMetrics"
    assert "have 1 + 0 starting + 1 not ready just now" in found[1].sentence


def with_pod(store: Store, *, name: str = "llama-engine-1", ready: str | None = None, unready: str | None = None,
             started: str | None = None) -> None:  # fmt: skip
    """Put a pod into the store whose Ready condition changed, and whose engine started, at these times."""
    running = {"running": {"startedAt": started}} if started else {}
    body = pod(name, ready=ready is not None, containers=[{**engine(**running), "ready": ready is not None}])
    body["status"]["conditions"][0]["lastTransitionTime"] = ready or unready or BEFORE
    old = next((known for known in store.pods(KEY) if known["metadata"]["name"] == name), None)
    labels: Mapping[str, str] = store.pods(KEY)[0]["metadata"]["labels"]
    version = str(int(old["metadata"]["resourceVersion"]) + 1 if old else 1)
    store.put({**body, "metadata": {**body["metadata"], "labels": labels, "resourceVersion": version}})


async def ticked(store: Store, memories: Memories, now: float = LATER) -> Memory:
    await ticker_of(store, WorkQueue(), lambda: now, memories).tick()
    return memories.of(KEY, observe(endpoint(), [], []), now)


async def test_a_cold_start_is_learned_once_from_the_first_time_that_a_pod_is_ready() -> None:
    store, memories = stored(llama={"maxReplicas": 3}), Memories()
    with_pod(store)
    assert (await ticked(store, memories)).state.cold_starts == ()
    with_pod(store, ready="2025-06-15T15:01:30Z", started=BEFORE)
    assert (await ticked(store, memories)).state.cold_starts == (90.0,)
    with_pod(store, unready="2025-06-15T19:59:00Z", started=BEFORE)
    await ticked(store, memories)
    with_pod(store, ready="2025-06-15T20:00:00Z", started=BEFORE)
    assert (await ticked(store, memories)).state.cold_starts == (90.0,)


@pytest.mark.parametrize("flap", ["before", "during"])
async def test_an_operator_that_starts_takes_no_old_pod_for_a_cold_start(flap: str) -> None:
    store, memories = stored(llama={"maxReplicas": 3}), Memories()
    if flap == "before":
        with_pod(store, ready="2025-06-15T20:00:00Z", started=BEFORE)
    else:
        with_pod(store, unready="2025-06-15T19:59:00Z", started=BEFORE)
        await ticked(store, memories)
        with_pod(store, ready="2025-06-15T20:00:00Z", started=BEFORE)
    assert (await ticked(store, memories)).state.cold_starts == ()


async def test_a_replica_that_is_never_ready_again_does_not_block_scale_in_for_ever() -> None:
    store, memories = stored(llama={"maxReplicas": 3}), Memories()
    with_pod(store, name="llama-engine-2", unready="2025-06-15T19:59:00Z", started=BEFORE)
    for now, unknown in ((LATER, 1), (LATER + 3600, 0)):
        signals = (await ticked(store, memories, now)).signals
        assert signals is not None
        assert (signals.known, signals.unknown) == (1, unknown)
