"""Readings that come late, twice or not at all."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from llmendpoint.api.conditions import ConditionType, Reason
from llmendpoint.metrics.source import EndpointReading, EndpointTarget
from llmendpoint.reconcile.observation import observe
from llmendpoint.reconcile.status import Outcome, make_status
from llmendpoint.runtime.memory import Memories
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.runtime.store import Key
from llmendpoint.scaling.clamps import Situation, partial_metrics
from llmendpoint.scaling.decision import Replicas
from llmendpoint.scaling.engine_model import EngineModel
from llmendpoint.scaling.job_queue import Backlog
from llmendpoint.scaling.schedules import limits
from llmendpoint.scaling.signals import ReadingWindow, Signals, derive
from llmendpoint.scaling.state import initial_state
from support.builders import NOW, endpoint, pod, reading, sample, scaling
from support.ticks import Fast, stored, ticker_of

KEY = Key("team", "llama")
PROMQL = [{"type": "PromQL", "value": 1, "query": "up"}]
FROM_PROMETHEUS = {"source": "Prometheus", "prometheus": {"url": "http://prometheus:9090"}}


def test_a_sample_that_is_given_twice_repeats_its_rate() -> None:
    window, first = ReadingWindow(), sample(NOW, requests_total=100)
    second = sample(NOW + 15, requests_total=130)
    rates = []
    for at, taken in ((0, first), (10, first), (20, second), (30, second), (40, second)):
        window, signals = derive(window, [reading("a", taken=taken)], NOW + at)
        rates.append(signals.arrival_rate)
    assert rates == [None, None, 2.0, 2.0, 2.0]


def test_streams_that_end_together_are_as_long_as_they_were() -> None:
    window, model = ReadingWindow(), EngineModel()
    for second in range(10):
        made, ended = 400.0 * second, 3200.0 * (second // 8)  # 8 streams of 400 tokens, 50 tokens a second each
        taken = sample(
            NOW + second, running=8, requests_total=ended / 400, generation_tokens_total=made,
            finished_prompt_tokens_total=0.0, finished_generation_tokens_total=ended,
        )  # fmt: skip
        window, signals = derive(window, [reading("a", taken=taken)], NOW + second)
        model = model.learned(signals.activity, 8.0, None) if signals.activity else model
    assert model.requests is not None
    assert model.requests.generation_tokens == 400.0


def test_a_promql_target_without_a_value_never_scales_in() -> None:
    settings = scaling(policy="TargetTracking", targets=PROMQL, metrics=FROM_PROMETHEUS)
    for custom, held in (((None,), True), ((), True), ((0.5,), False)):
        signals = Signals(known=4, unknown=0, custom=custom)
        at = Situation(settings, initial_state(4, NOW), signals, Replicas(4), NOW, limits(settings, NOW))
        effect = partial_metrics(at, 1)
        assert (effect is not None) == held
        assert partial_metrics(at, 5) is None


def test_a_promql_target_without_a_value_is_reported() -> None:
    body = endpoint(
        scaling={"maxReplicas": 3, "policy": "TargetTracking", "targets": PROMQL, "metrics": FROM_PROMETHEUS}
    )
    outcome = Outcome(
        desired=1, signals=Signals(known=1, unknown=0), unanswered_targets=("PromQL target 1: no result",)
    )
    status = make_status(observe(body, [], [pod()]), outcome, now="2025-06-15T15:00:00Z")
    found = next(entry for entry in status.conditions if entry.type == ConditionType.METRICS_AVAILABLE)
    assert (found.status, found.reason) == ("False", Reason.TARGET_UNKNOWN)
    assert "PromQL target 1: no result" in found.message


def metrics_condition(signals: Signals | None, said: dict[str, str] | None = None) -> tuple[str, str]:
    """What is said of the metrics of one ready replica after these signals, where status said so much before."""
    times = {"observedGeneration": 1, "lastTransitionTime": "2025-06-15T15:00:00Z", "message": "as before"}
    before = {"conditions": [{"type": ConditionType.METRICS_AVAILABLE, **times, **said}]} if said else None
    body = endpoint(scaling={"maxReplicas": 3}, status=before)
    status = make_status(observe(body, [], [pod()]), Outcome(desired=1, signals=signals), now="2025-06-15T16:00:00Z")
    found = next(entry for entry in status.conditions if entry.type == ConditionType.METRICS_AVAILABLE)
    return found.status, found.reason


def test_a_replica_that_no_tick_has_read_yet_is_not_called_read() -> None:
    assert metrics_condition(None) == ("Unknown", Reason.NOT_READ_YET)
    assert metrics_condition(Signals(known=0, unknown=0)) == ("Unknown", Reason.NOT_READ_YET)
    assert metrics_condition(Signals(known=1, unknown=0)) == ("True", Reason.METRICS_READ)


def test_an_operator_that_starts_repeats_what_was_said_of_metrics_until_its_first_tick() -> None:
    for said in ({"status": "True", "reason": Reason.METRICS_READ}, {"status": "False", "reason": "MetricsUnknown"}):
        assert metrics_condition(None, said) == tuple(said.values())
    assert metrics_condition(None, {"status": "Unknown", "reason": "NotNeeded"}) == ("Unknown", Reason.NOT_READ_YET)


async def test_the_first_reading_of_an_endpoint_is_reported_although_nothing_is_decided() -> None:
    queue, memories, store = WorkQueue[Key](), Memories(), stored(llama={"maxReplicas": 3})
    await ticker_of(store, WorkQueue(), lambda: NOW, memories).tick()
    memories.of(KEY, observe(endpoint(), [], []), NOW).signals = None  # as after a restart: decided, and nothing read
    for expected in (1, 0):
        await ticker_of(store, queue, lambda: NOW + 1, memories).tick()
        assert len(queue) == expected
        if expected:
            queue.done(await queue.get())


async def test_a_backlog_that_comes_or_goes_is_reported_although_nothing_is_decided() -> None:
    queue, memories = WorkQueue[Key](), Memories()
    store = stored({"async": {}}, llama={"maxReplicas": 1})
    expected = [1, 0, 1, 0]
    for tick, backlog in enumerate([Backlog(0, 0, 0.0), Backlog(0, 2, 0.0), None, None]):
        await ticker_of(store, queue, lambda: NOW + 1, memories, backlog=backlog).tick()
        assert len(queue) == expected[tick]
        if expected[tick]:
            queue.done(await queue.get())


async def test_a_job_wakes_an_endpoint_at_once() -> None:
    memories, queue = Memories(), WorkQueue[Key]()
    store = stored({"async": {}}, llama={"minReplicas": 0, "maxReplicas": 3})
    memories.of(KEY, observe(endpoint("llama"), [], []), NOW)
    ticker = ticker_of(store, queue, lambda: NOW, memories, backlog=Backlog(40, 0, 0.1))
    await ticker.tick()
    memory = memories._by_key[KEY]
    memory.state = replace(memory.state, desired=0)
    await ticker.wake(KEY)
    assert (memory.state.desired, len(queue)) == (2, 1)


class Slow(Fast):
    """A source that answers when it is told to."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.may_answer = asyncio.Event()

    async def read(self, targets: Sequence[EndpointTarget]) -> list[EndpointReading]:
        await self.may_answer.wait()
        return await super().read(targets)


async def test_a_slow_prometheus_does_not_hold_up_endpoints_that_do_not_use_it() -> None:
    queue, slow = WorkQueue[Key](), Slow(lambda: NOW)
    store = stored(slow={"maxReplicas": 3, "metrics": FROM_PROMETHEUS}, fast={"maxReplicas": 3})
    ticking = asyncio.create_task(ticker_of(store, queue, lambda: NOW, Prometheus=slow).tick())
    assert await asyncio.wait_for(queue.get(), 5) == Key("team", "fast")
    assert not ticking.done()
    slow.may_answer.set()
    await ticking
    assert await asyncio.wait_for(queue.get(), 5) == Key("team", "slow")


async def test_a_stall_is_reported_when_its_time_has_come_although_nothing_else_happens() -> None:
    queue, now = WorkQueue[Key](), [NOW]
    ticker = ticker_of(stored(llama={"maxReplicas": 3}), queue, lambda: now[0])
    news = []
    for seconds in (0, 1, 59, 60, 61):
        now[0] = NOW + seconds
        await ticker.tick()
        if len(queue):
            queue.done(await queue.get())
            news.append(seconds)
    assert news == [0, 60]


class Broken(Fast):
    """A source that does not keep its promise."""

    async def read(self, targets: Sequence[EndpointTarget]) -> list[EndpointReading]:
        raise RuntimeError("broken")


async def test_a_source_that_fails_leaves_its_replicas_unread_and_the_others_alone() -> None:
    queue, memories = WorkQueue[Key](), Memories()
    store = stored(broken={"maxReplicas": 3, "metrics": FROM_PROMETHEUS}, fine={"maxReplicas": 3})
    await ticker_of(store, queue, lambda: NOW, memories, Prometheus=Broken(lambda: NOW)).tick()
    unread = {
        name: memories.of(Key("team", name), observe(endpoint(name), [], []), NOW).unread for name in ("broken", "fine")
    }
    assert unread["fine"] == ()
    assert "metrics source Prometheus failed" in unread["broken"][0][1]


async def test_an_endpoint_that_can_not_be_decided_on_does_not_stop_the_others() -> None:
    queue, store = WorkQueue[Key](), stored(broken={"maxReplicas": 3}, fine={"maxReplicas": 3})
    (made,) = store.pods(Key("team", "broken"))
    store.put({**made, "metadata": {**made["metadata"], "creationTimestamp": "soon", "resourceVersion": "2"}})
    await ticker_of(store, queue, lambda: NOW).tick()
    assert len(queue) == 1
    assert await queue.get() == Key("team", "fine")


async def test_engines_are_read_where_nothing_decides_so_that_a_scale_in_spares_the_busy_and_a_stall_is_told() -> None:
    queue, memories, now = WorkQueue[Key](), Memories(), [NOW]
    store = stored(llama={"maxReplicas": 3, "mode": "Off"})
    ticker = ticker_of(store, queue, lambda: now[0], memories)
    for seconds in (0, 60):
        now[0] = NOW + seconds
        await ticker.tick()
    memory = memories.of(Key("team", "llama"), observe(endpoint(), [], []), NOW)
    assert memory.load == {"llama-engine-1": 1.0}
    assert memory.stalled == ("llama-engine-1",)
    assert memory.scaling is None
    assert await queue.get() == Key("team", "llama")


async def test_an_endpoint_that_is_deleted_while_its_engines_are_read_is_not_decided_on() -> None:
    memories, slow = Memories(), Slow(lambda: NOW)
    store = stored(slow={"maxReplicas": 3, "metrics": FROM_PROMETHEUS})
    ticker = ticker_of(store, WorkQueue(), lambda: NOW, memories, Prometheus=slow)
    ticking = asyncio.create_task(ticker.tick())
    await asyncio.sleep(0)
    store.drop(store.endpoint(Key("team", "slow")) or {})
    slow.may_answer.set()
    await ticking
    assert memories.of(Key("team", "slow"), observe(endpoint("slow"), [], []), NOW).signals is None
