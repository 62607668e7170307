"""The scaler's heartbeat: read all engines, decide for each endpoint, ask for a reconcile where something is new."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import structlog
from opentelemetry import trace
from pydantic import ValidationError

from llmendpoint.api.scaling import Scaling
from llmendpoint.engines import engine_for
from llmendpoint.engines.facts import slots
from llmendpoint.metrics.endpoint_series import Look
from llmendpoint.metrics.exporter import Exporter
from llmendpoint.metrics.source import EndpointReading, EndpointTarget, MetricsSource, PodTarget, host_port
from llmendpoint.reconcile.observation import Observation, observe
from llmendpoint.reconcile.quota import promised_to, room_in
from llmendpoint.reconcile.replicas import live_pods, replicas_of
from llmendpoint.reconcile.usage import counted, is_news
from llmendpoint.runtime.clock import Clock
from llmendpoint.runtime.memory import Memories, Memory
from llmendpoint.runtime.queue import WorkQueue
from llmendpoint.runtime.quotas import QuotaReader, Quotas
from llmendpoint.runtime.store import Key, Store
from llmendpoint.scaling.decision import Decision, Replicas
from llmendpoint.scaling.job_queue import Backlog, JobQueue
from llmendpoint.scaling.record import scaling_status, tells_of_change
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import PodPhase, PodReading, Signals, derive
from llmendpoint.scaling.target_tracking import reads_ttft

log = structlog.get_logger(__name__)
TRACER = trace.get_tracer(__name__)

# An older sample says nothing about now.
STALE_TICKS = 3
# Sources give up sooner by themselves.
LONGEST_READ_SECONDS = 10.0
# Engines are read where nothing decides as well: a hung one is to be told, and a scale-in is to spare the busy ones.
OFF = Scaling(max_replicas=1, mode="Off")


class Ticker:
    """Reads the engines of every endpoint once per period, and decides where the scaler is on."""

    def __init__(
        self,
        *,
        store: Store,
        memories: Memories,
        queue: WorkQueue[Key],
        sources: dict[str, MetricsSource],
        exporter: Exporter,
        quotas: QuotaReader,
        held: Callable[[Key], int] = lambda _: 0,
        backlog: Callable[[Key], Backlog | None] = lambda _: None,
        period: float,
        gpu_hour_price: float | None = None,
        clock: Clock,
    ) -> None:
        self._store = store
        self._memories = memories
        self._queue = queue
        self._sources = sources
        self._exporter = exporter
        self._read_quotas = quotas
        self._held = held
        self._backlog = backlog
        self._period = period
        self._gpu_hour_price = gpu_hour_price
        self._clock = clock
        exporter.tick_period.set(period)

    async def run(self) -> None:
        """Tick for ever. A failed tick is logged: the next one may do better."""
        while True:
            started = time.monotonic()
            try:
                with TRACER.start_as_current_span("tick"):
                    await self.tick()
            except Exception:
                self._exporter.tick_errors.inc()
                log.exception("tick failed")
            took = time.monotonic() - started
            self._exporter.ticked(took, self._period)
            await asyncio.sleep(max(self._period - took, 0.0))

    async def tick(self) -> None:
        """Read and decide once. Reconciles get their turn after each endpoint: a thousand take a second."""
        if moved := self._clock.follow():
            log.warning("the clock of this machine was set", seconds=round(moved, 1))
            self._memories.move(moved)
        quotas = Quotas(self._read_quotas)
        seen: dict[Key, Observation] = {}
        targets: dict[str, list[tuple[Key, EndpointTarget]]] = {}
        for key in self._store.keys:
            with self._alone(key):
                found = self._observe(key)
                target = _target(found) if found else None
                if found and target:
                    seen[key] = found
                    targets.setdefault(target.scaling.metrics.source, []).append((key, target))
                else:
                    self._exporter.endpoints.looks.pop(key, None)
            await asyncio.sleep(0)

        async def read_and_decide(source: str, some: list[tuple[Key, EndpointTarget]]) -> None:
            readings = await self._read(source, [target for _, target in some])
            for (key, target), reading in zip(some, readings, strict=True):
                with self._alone(key):
                    if self._is_as_seen(key, seen[key]):  # or the next tick takes it as it is then
                        await self._take_in(key, seen, target.scaling, reading, quotas)
                await asyncio.sleep(0)

        # Side by side: a Prometheus server that hangs must not hold up those who do not use it.
        await asyncio.gather(*(read_and_decide(source, some) for source, some in targets.items()))

    async def wake(self, key: Key) -> None:
        """Decide at once on an endpoint for which a request or a job waits. One that has a replica waits for it."""
        with self._alone(key):
            seen, now = self._observe(key), self._clock()
            scaling = seen.endpoint.spec.scaling if seen else None
            if seen is None or scaling is None or scaling.mode != "Active":
                return
            memory = self._memories.of(key, seen, now)
            if memory.state.desired > 0:
                return
            signals = memory.signals or Signals(known=0, unknown=0)
            signals = replace(signals, held=self._held(key), jobs=self._jobs(key, seen))
            counts, quotas = replicas_of(seen, now), Quotas(self._read_quotas)
            beside = {
                other: found
                for other in self._store.keys
                if other.namespace == key.namespace and (found := self._observe(other))
            }
            decision = await self._decide(key, beside, scaling, memory, signals, counts, now, quotas)
            if self._store.endpoint(key) is not None and self._note(key, memory, decision, now):
                self._queue.add(key)

    async def _read(self, source: str, targets: list[EndpointTarget]) -> list[EndpointReading]:
        """One reading per target. Sources keep time and never raise; where one does not, nothing is known."""
        limit = max(STALE_TICKS * self._period, LONGEST_READ_SECONDS)
        attributes: dict[str, str | int] = {"llmendpoint.metrics.source": source, "llmendpoint.endpoints": len(targets)}
        try:
            with TRACER.start_as_current_span("read", attributes=attributes):
                async with asyncio.timeout(limit):
                    return await self._sources[source].read(targets)
        except TimeoutError:
            why = f"metrics source {source} did not answer within {limit:g} s"
        except Exception:
            log.exception("metrics source failed", source=source)
            why = f"metrics source {source} failed: the operator's log says why"
        return [EndpointReading(errors={pod.name: why for pod in target.pods}) for target in targets]

    def _observe(self, key: Key) -> Observation | None:
        body = self._store.endpoint(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            return None
        try:
            return observe(self._store.read(body), self._store.children(key), self._store.pods(key), self._store.served)
        except ValidationError:
            return None  # the reconciler reports it

    def _is_as_seen(self, key: Key, seen: Observation) -> bool:
        """Whether an endpoint is there still and asks for the same."""
        body = self._store.endpoint(key)
        return body is not None and body["metadata"].get("generation", 0) == seen.endpoint.generation

    async def _take_in(
        self, key: Key, all_seen: Mapping[Key, Observation], scaling: Scaling, reading: EndpointReading, quotas: Quotas
    ) -> None:
        now, seen = self._clock(), all_seen[key]
        memory = self._memories.of(key, seen, now)
        spec = seen.endpoint.spec
        readings = [PodReading(pod.name, pod.phase, reading.samples.get(pod.name)) for pod in live_pods(seen, now)]
        was_known = _is_read(memory), _knows_jobs(memory)
        memory.window, memory.signals = derive(
            memory.window,
            readings,
            now,
            slots=slots(engine_for(spec.engine.type), spec),
            custom=reading.custom,
            stale_seconds=STALE_TICKS * self._period,
            with_ttft=reads_ttft(scaling),
            held=self._held(key),
            jobs=self._jobs(key, seen),
        )
        memory.load = {pod: sample.in_flight for pod, sample in reading.samples.items()}
        unread = tuple(sorted(reading.errors.items()))
        memory.stall = memory.stall.update(reading.samples)
        stalled = memory.stall.stalled(now)
        news = (unread, reading.unanswered, stalled) != (memory.unread, memory.unanswered, memory.stalled)
        news = news or (_is_read(memory), _knows_jobs(memory)) != was_known
        memory.unread, memory.unanswered, memory.stalled = unread, reading.unanswered, stalled
        _learn_cold_starts(memory, seen)
        memory.state = memory.state.served_by(seen.serving_revision)
        replicas = replicas_of(seen, now)
        self._exporter.endpoints.looks[key] = Look(
            now, replicas, memory.signals, scaling, _oldest_start(seen, now), memory.state.cold_starts
        )
        if scaling.mode != "Off":
            decision = await self._decide(key, all_seen, scaling, memory, memory.signals, replicas, now, quotas)
            if self._store.endpoint(key) is None:
                return  # it was deleted while a quota was read
            news = self._note(key, memory, decision, now) or news
        else:
            self._exporter.endpoints.decisions.pop(key, None)
        memory.account = counted(memory.account, seen, memory.state.desired, now, self._gpu_hour_price)
        self._exporter.endpoints.accounts[key] = memory.account
        news = news or memory.is_moved or is_news(memory.account, seen.endpoint.status.usage)
        if news:
            self._queue.add(key)

    def _jobs(self, key: Key, seen: Observation) -> JobQueue | None:
        """The queue of an endpoint with spec.async."""
        wanted = seen.endpoint.spec.async_
        return JobQueue(wanted.backlog_per_replica, wanted.oldest_seconds, self._backlog(key)) if wanted else None

    async def _decide(
        self, key: Key, all_seen: Mapping[Key, Observation], scaling: Scaling, memory: Memory, signals: Signals,
        replicas: Replicas, now: float, quotas: Quotas,
    ) -> Decision:  # fmt: skip
        """Decide, and once more with what quotas leave where replicas with GPUs would be ordered."""
        state, decision = decide(scaling, memory.state, signals, replicas, now)
        if decision.desired > decision.current and replicas.gpus:
            found = await quotas.of(key.namespace)
            room = room_in(found, all_seen[key], self._promised(key, all_seen, now)) if found else None
            state, decision = decide(scaling, memory.state, signals, replace(replicas, room=room), now)
        memory.state = state
        return decision

    def _promised(self, key: Key, all_seen: Mapping[Key, Observation], now: float) -> Counter[str]:
        """GPUs that the other endpoints of the namespace were ordered, in this tick too, and do not hold yet."""
        promised: Counter[str] = Counter()
        for other, seen in all_seen.items():
            if other.namespace == key.namespace and other != key:
                is_scaled = seen.endpoint.spec.is_scaled
                wanted = self._memories.of(other, seen, now).state.desired if is_scaled else seen.ordered
                promised += promised_to(seen, wanted or 0)
        return promised

    def _note(self, key: Key, memory: Memory, decision: Decision, now: float) -> bool:
        """Whether the decision is worth a reconcile."""
        self._exporter.endpoints.decisions[key] = decision
        status = scaling_status(memory.state, decision, memory.scaling, now)
        is_told = status is not memory.scaling and tells_of_change(status, memory.scaling)
        level = logging.INFO if is_told else logging.DEBUG
        if log.is_enabled_for(level):  # or nobody reads the sentence, and it need not be made
            log.log(
                level, "decided", namespace=key.namespace, endpoint=key.name, mode=memory.state.mode,
                reason=decision.reason, held_by=decision.held_by, sentence=decision.sentence,
                **{"from": decision.current, "to": decision.desired},
            )  # fmt: skip
        return memory.note(status, decision)

    @contextlib.contextmanager
    def _alone(self, key: Key) -> Iterator[None]:
        """What goes wrong with one endpoint is logged and touches no other."""
        try:
            yield
        except Exception:
            self._exporter.tick_errors.inc()
            log.exception("no decision", namespace=key.namespace, endpoint=key.name)


def _is_read(memory: Memory) -> bool:
    """Whether the last tick had ready replicas to read."""
    return memory.signals is not None and memory.signals.ready > 0


def _knows_jobs(memory: Memory) -> bool | None:
    """Whether the last tick knew how many jobs wait; None where there is no queue."""
    jobs = memory.signals.jobs if memory.signals else None
    return None if jobs is None else jobs.backlog is not None


def _oldest_start(seen: Observation, now: float) -> float:
    """Age of the oldest replica that has not served yet, in seconds; 0 where none starts."""
    return max((now - pod.created for pod in seen.engine_pods if pod.phase is PodPhase.STARTING), default=0.0)


def _target(seen: Observation) -> EndpointTarget | None:
    """What has to be read for an endpoint; None while it has no engine."""
    spec = seen.endpoint.spec
    if seen.engine_workload is None:
        return None
    port = engine_for(spec.engine.type).port
    return EndpointTarget(
        namespace=seen.endpoint.namespace,
        name=seen.endpoint.name,
        engine=spec.engine.type,
        scaling=spec.scaling or OFF,
        pods=[
            PodTarget(pod.name, host_port(pod.ip, port))
            for pod in seen.engine_pods
            if pod.phase is PodPhase.READY and pod.ip
        ],
    )


def _learn_cold_starts(memory: Memory, seen: Observation) -> None:
    """Take the start time of pods that became ready since the last tick, each once.

    A pod that serves when the operator starts is not taken: it may have been not ready for a while meanwhile.
    """
    for pod in seen.engine_pods:
        is_new = memory.served is not None and pod.uid not in memory.served
        if is_new and pod.phase is PodPhase.READY and pod.cold_start is not None:
            memory.state = memory.state.learn_cold_start(pod.cold_start)
    serving = {pod.uid for pod in seen.engine_pods if pod.phase in {PodPhase.READY, PodPhase.UNREADY}}
    known = {pod.uid for pod in seen.engine_pods} & (memory.served or frozenset())
    memory.served = frozenset(known | serving)
