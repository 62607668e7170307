"""The replay: requests arrive, engines serve, a policy is called, the fleet obeys; in the order of time."""

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from llmendpoint.scaling.decision import Replicas
from llmendpoint.scaling.signals import PodPhase
from llmendpoint.simulate.engines import Engines, Routing
from llmendpoint.simulate.fleet import UNLIMITED, ColdStarts, Fleet, Replica
from llmendpoint.simulate.policy import Order, ScalingPolicy
from llmendpoint.simulate.profiles import EngineProfile
from llmendpoint.simulate.results import SLO_TTFT_SECONDS, Moment, Result, Row, assess, series_of
from llmendpoint.simulate.telemetry import Reading, read, view
from llmendpoint.simulate.traces import Trace

# After the last arrival what is in flight may finish; what does not within this time counts as unfinished.
SETTLE_SECONDS = 600.0
WARM_SECONDS = 600.0
WARM_UTILIZATION = 0.9

SERVING = (PodPhase.READY, PodPhase.DRAINING)


@dataclass(frozen=True)
class Faults:
    """What goes wrong."""

    crashes: Sequence[float] = ()
    """At each of these times the ready replica with the most requests crashes."""
    outages: Sequence[tuple[float, float]] = ()
    """From, until: no metrics can be read."""

    def between(self, start: float, end: float) -> "Faults":
        """Those of [start, end), counted from ``start``."""
        return Faults(
            [at - start for at in self.crashes if start <= at < end],
            [
                (max(since, start) - start, until - start)
                for since, until in self.outages
                if since < end and until > start
            ],
        )


@dataclass(frozen=True)
class Scenario:
    """All that a replay depends on but the policy.

    Args:
        cold_start: median seconds from a replica's placement on a node to ready.
        warm_replicas: ready replicas at the start; None for those that the first ten minutes need.
        schedulable: replicas that the cluster has GPUs for.
        slo_ttft: the objective for the time to first token of a request without a prompt to read, in seconds.
    """

    trace: Trace
    profile: EngineProfile
    cold_start: float
    warm_replicas: int | None = None
    seed: int = 0
    routing: Routing = "least-loaded"
    schedulable: int = UNLIMITED
    startup_timeout: float = 900.0
    slo_ttft: float = SLO_TTFT_SECONDS
    faults: Faults = field(default_factory=Faults)

    def between(self, start: float, end: float) -> "Scenario":
        """The same for a part of the trace, in seconds; faults stay where they are in it."""
        return replace(self, trace=self.trace.between(start, end), faults=self.faults.between(start, end))

    def warm_within(self, least: int, most: int) -> "Scenario":
        """The same with the replicas at the start within bounds; those that were given are left alone."""
        if self.warm_replicas is not None:
            return self
        return replace(self, warm_replicas=min(max(warm_replicas(self), least), most))


def replay(scenario: Scenario, policy: ScalingPolicy) -> Result:
    """Run the whole trace under a policy. The same scenario and a fresh policy give the same result."""
    started = time.perf_counter()
    run = _Run(scenario, policy)
    end = run.until_the_end()
    service = assess(run.engines.requests, scenario.profile, scenario.slo_ttft, end)
    changes = [moment.after - moment.before for moment in run.moments]
    return Result(
        policy=policy.name,
        gpu_hours=run.fleet.paid_seconds(end) * scenario.profile.gpus / 3600.0,
        ttft_attainment=service.attainment,
        ttft_p50=service.ttft[0],
        ttft_p95=service.ttft[1],
        ttft_p99=service.ttft[2],
        tpot_p50=service.tpot[0],
        tpot_p95=service.tpot[1],
        scale_outs=sum(change > 0 for change in changes),
        scale_ins=sum(change < 0 for change in changes),
        requests=len(run.engines.requests),
        unfinished=service.unfinished,
        lost=service.lost,
        refused=service.refused,
        max_replicas_seen=run.most_replicas,
        simulated_seconds=end,
        seed=scenario.seed,
        series=series_of(run.rows, scenario.trace, scenario.profile),
        ttft_band=service.band,
        moments=run.moments,
        wall_seconds=time.perf_counter() - started,
    )


def warm_replicas(scenario: Scenario) -> int:
    """Replicas that serve the mean load of the trace's first ten minutes at 90 % utilisation, at least one."""
    early = scenario.trace.between(0.0, WARM_SECONDS)
    seconds = max(min(WARM_SECONDS, scenario.trace.duration), 1.0)
    work = scenario.profile.replica_seconds(early.input_tokens, early.output_tokens)
    return max(math.ceil(float(work.sum()) / seconds / WARM_UTILIZATION), 1)


class _Run:
    """One replay under way."""

    def __init__(self, scenario: Scenario, policy: ScalingPolicy) -> None:
        self._scenario = scenario
        self._policy = policy
        self.engines = Engines(scenario.trace, scenario.profile, scenario.routing, late_after=scenario.slo_ttft)
        self.fleet = Fleet(
            ColdStarts(scenario.cold_start, seed=scenario.seed),
            scenario.schedulable,
            scenario.startup_timeout,
            scenario.profile.gpus,
        )
        self.moments: list[Moment] = []
        self.most_replicas = 0
        self.rows: list[Row] = []
        self._crashes = deque(sorted(scenario.faults.crashes))
        self._readings: deque[Reading] = deque()
        self._calls = self._reads = 1

    def until_the_end(self) -> float:
        """Go through all events in their order; the time of the last one."""
        scenario, policy = self._scenario, self._policy
        count = scenario.warm_replicas if scenario.warm_replicas is not None else warm_replicas(scenario)
        self.fleet.warm_start(count)
        warm = self.fleet.of(PodPhase.READY)
        for replica in warm:
            self.engines.open(replica.slot, 0.0)
        self.most_replicas = len(warm)
        policy.start(count)
        # Samples of before the start are not there.
        while self._reads * policy.period < policy.metric_delay:
            self._readings.append(Reading())
            self._reads += 1
        while True:
            call = self._calls * policy.period
            reading = self._reads * policy.period - policy.metric_delay
            crash = self._crashes[0] if self._crashes else math.inf
            ready = self.fleet.next_ready
            now = min(call, reading, ready, crash)
            self.engines.run(now)
            self._retire(now)
            if now == ready:
                self._open(now)
            if now == crash:
                self._crash(now)
            if now == reading:
                self._read(now)
            if now == call:
                self._call(now)
                if self._is_over(now):
                    return now

    def _open(self, now: float) -> None:
        for replica in self.fleet.become_ready(now):
            self.engines.open(replica.slot, now)

    def _retire(self, now: float) -> None:
        """Draining replicas without requests are gone."""
        draining = self.fleet.of(PodPhase.DRAINING)
        empty = [(replica, self.engines.idle_since(replica.slot)) for replica in draining if not self._load(replica)]
        if empty:
            self.fleet.drained(empty, now)

    def _crash(self, now: float) -> None:
        self._crashes.popleft()
        ready = self.fleet.of(PodPhase.READY)
        if ready:
            victim = max(ready, key=self._load)
            self.engines.crash(victim.slot, now)
            self.fleet.crash(victim, now)

    def _read(self, now: float) -> None:
        self._reads += 1
        out = any(start <= now < end for start, end in self._scenario.faults.outages)
        self._readings.append(Reading() if out else read(self.engines, self.fleet, now))

    def _call(self, now: float) -> None:
        self._calls += 1
        before = self.fleet.ordered
        shown = view(self.fleet, self._readings.popleft(), now)
        counts, order = shown.replicas, self._policy.order(shown)
        if order.replicas != before:
            self.fleet.order(order.replicas, now, self._load)
            for replica in self.fleet.of(PodPhase.DRAINING):
                self.engines.close(replica.slot, now)
            self._retire(now)
            counts = self.fleet.counts(now)
        self._record(now, before, order, counts)

    def _is_over(self, now: float) -> bool:
        duration = self._scenario.trace.duration
        if now < duration or self.engines.arrivals_left:
            return False
        return not self.engines.in_flight or now >= duration + SETTLE_SECONDS

    def _load(self, replica: Replica) -> int:
        return self.engines.load(replica.slot) if replica.phase in SERVING else 0

    def _record(self, now: float, before: int, order: Order, counts: Replicas) -> None:
        self.most_replicas = max(self.most_replicas, counts.ready + counts.starting)
        self.rows.append(
            Row(
                time=now,
                ordered=order.replicas,
                ready=counts.ready,
                starting=counts.starting,
                draining=counts.draining,
                unschedulable=counts.unschedulable,
                in_flight=self.engines.in_flight,
                waiting=self.engines.waiting,
            )
        )
        if order.replicas != before or _is_news(order, self.moments):
            self.moments.append(Moment(now, before, order.replicas, order.sentence, order.decision))


def _is_news(order: Order, moments: Sequence[Moment]) -> bool:
    """Whether the reason is another than that of the last moment noted."""
    if order.decision is None:
        return False
    last = moments[-1].decision if moments else None
    return last is None or (order.decision.reason, order.decision.held_by) != (last.reason, last.held_by)
