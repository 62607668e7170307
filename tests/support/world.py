"""A world for the scaler: replicas that serve a load by conservation of requests, and take time to start."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from llmendpoint.api.scaling import Scaling
from llmendpoint.scaling.cooldown import UNSCHEDULABLE_SECONDS
from llmendpoint.scaling.decision import Decision, Replicas
from llmendpoint.scaling.scaler import decide
from llmendpoint.scaling.signals import EngineSample, PodPhase, PodReading, ReadingWindow, derive
from llmendpoint.scaling.state import ScalerState, initial_state

TICK_SECONDS = 10.0
TOKENS_PER_REQUEST = 200.0
KV_PER_REQUEST = 0.02


@dataclass
class Replica:
    """One engine: requests in flight finish after ``latency`` seconds, at most ``slots`` at once."""

    name: str
    ready_at: float
    in_flight: float = 0.0
    finished: float = 0.0
    late: float = 0.0
    """Requests finished while the queue was longer than the objective's worth."""
    busy_seconds: float = 0.0


@dataclass
class World:
    """A closed loop of load, replicas and scaler; it starts with minReplicas ready.

    Args:
        load: requests per second offered at a time.
        cold_start: seconds from the order of a replica to its being ready.
    """

    scaling: Scaling
    load: Callable[[float], float]
    cold_start: float = 100.0
    slots: int = 16
    latency: float = 4.0
    unschedulable_above: int = 10_000
    now: float = 0.0
    replicas: list[Replica] = field(default_factory=list)
    window: ReadingWindow = field(default_factory=ReadingWindow)
    state: ScalerState = field(default_factory=lambda: initial_state(1, 0.0))
    born: int = 0

    def __post_init__(self) -> None:
        self.state = initial_state(self.scaling.min_replicas, 0.0)
        for _ in range(self.scaling.min_replicas):
            self._order(0.0)

    @property
    def capacity(self) -> float:
        """Requests per second that one replica finishes at most."""
        return self.slots / self.latency

    def run(self, seconds: float) -> Iterator[Decision]:
        """Decide every ten seconds for some time."""
        end = self.now + seconds
        while self.now < end:
            for _ in range(int(TICK_SECONDS)):
                self._serve(1.0)
            yield self.tick()

    def tick(self) -> Decision:
        """One decision, carried out."""
        readings = [self._reading(index, replica) for index, replica in enumerate(self.replicas)]
        self.window, signals = derive(self.window, readings, self.now, slots=self.slots, with_ttft=False)
        ready = sum(reading.phase is PodPhase.READY for reading in readings)
        lost = sum(reading.phase is PodPhase.UNSCHEDULABLE for reading in readings)
        counts = Replicas(
            ready=ready,
            starting=len(readings) - ready - lost,
            unschedulable=lost,
            oldest_unschedulable_age=UNSCHEDULABLE_SECONDS if lost else 0.0,
            ordered=len(readings),
            startup_timeout=max(900.0, 1.5 * self.cold_start) if self.cold_start < 1e6 else 900.0,
        )
        self.state, decision = decide(self.scaling, self.state, signals, counts, self.now)
        while len(self.replicas) < decision.desired:
            self._order(self.cold_start)
        while len(self.replicas) > decision.desired:
            self.replicas.pop()  # it finishes what it has, and is not read any more
        return decision

    def _reading(self, index: int, replica: Replica) -> PodReading:
        if index >= self.unschedulable_above:
            return PodReading(replica.name, PodPhase.UNSCHEDULABLE)
        if replica.ready_at > self.now:
            return PodReading(replica.name, PodPhase.STARTING)
        running = min(replica.in_flight, float(self.slots))
        sample = EngineSample(
            taken_at=self.now,
            running=running,
            waiting=replica.in_flight - running,
            requests_total=replica.finished,
            generation_tokens_total=replica.finished * TOKENS_PER_REQUEST,
            finished_generation_tokens_total=replica.finished * TOKENS_PER_REQUEST,
            # A step takes the same time whatever is in it.
            steps_total=replica.busy_seconds * TOKENS_PER_REQUEST / self.latency,
            kv_usage=KV_PER_REQUEST * running,
            queued_total=replica.finished,
            late_total=replica.late,
        )
        return PodReading(replica.name, PodPhase.READY, sample)

    def _serve(self, seconds: float) -> None:
        self.now += seconds
        serving = [replica for replica in self.replicas[: self.unschedulable_above] if replica.ready_at <= self.now]
        share, pace, slots = self.load(self.now) * seconds / max(len(serving), 1), seconds / self.latency, self.slots
        for replica in serving:
            done = min(replica.in_flight, slots) * pace
            replica.busy_seconds += seconds if replica.in_flight > 0 else 0.0
            is_late = replica.in_flight - slots > self.scaling.demand.ttft_seconds * self.capacity
            replica.late += done if is_late else 0.0
            replica.in_flight += share - done
            replica.finished += done

    def _order(self, cold_start: float) -> None:
        self.born += 1
        self.replicas.append(Replica(f"replica-{self.born}", self.now + cold_start))
