"""The replicas of a replay: ordered, placed on a node, started, ready, draining, gone, and what they cost meanwhile."""

import heapq
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from llmendpoint.scaling.decision import Replicas
from llmendpoint.scaling.signals import PodPhase

# The spread of start times around their median: five starts of one model on one node differ by about a fifth.
COLD_START_CV = 0.2
UNLIMITED = 1_000_000


class ColdStarts:
    """Start times, lognormal and seeded. The n-th start of a replay takes the same time under every policy.

    Args:
        median: seconds from a replica's placement on a node to ready.
        cv: standard deviation by mean.
    """

    def __init__(self, median: float, *, cv: float = COLD_START_CV, seed: int = 0) -> None:
        self._median = median
        self._sigma = math.sqrt(math.log1p(cv * cv))
        self._random = random.Random(seed)  # noqa: S311 - no secret is made of it

    def draw(self) -> float:
        """Seconds of the next start."""
        return self._median * math.exp(self._sigma * self._random.gauss(0.0, 1.0))


@dataclass
class Replica:
    """One replica. Times are seconds from the start of the trace."""

    name: str
    slot: int
    """Its place in the engine model's arrays; used again after it is gone."""
    created: float
    phase: PodPhase
    ready_at: float = math.inf
    """When its start will be over; infinite while no node takes it."""
    ready_since: float | None = None
    restarts: int = 0
    placed_at: float | None = None
    """When a node took it: its GPUs are paid for from then on."""


@dataclass
class Fleet:
    """All replicas of one endpoint, as its Deployment and the cluster's scheduler treat them.

    Args:
        schedulable: replicas that the cluster has GPUs for; more than that wait for a node, unpaid.
        gpus: GPUs of one replica.
    """

    cold_starts: ColdStarts
    schedulable: int = UNLIMITED
    startup_timeout: float = 900.0
    gpus: int = 1
    ordered: int = 0
    replicas: list[Replica] = field(default_factory=list)
    """In the order of creation, draining ones included."""
    _born: int = 0
    _free_slots: list[int] = field(default_factory=list)
    _paid_seconds: float = 0.0
    """Of replicas that are gone."""

    def warm_start(self, count: int) -> None:
        """Begin with so many ready replicas, or as many as the cluster has room for."""
        self.ordered = count
        for _ in range(count):
            self._create(0.0)
        for replica in self.replicas[: self.schedulable]:
            replica.phase, replica.placed_at, replica.ready_at = PodPhase.STARTING, 0.0, 0.0
        self.become_ready(0.0)

    @property
    def slots(self) -> int:
        """Places that the engine model needs: one more than the largest slot in use."""
        return max((replica.slot for replica in self.replicas), default=-1) + 1

    @property
    def next_ready(self) -> float:
        """When the next start is over; infinite if nothing starts."""
        return min((replica.ready_at for replica in self.replicas if replica.ready_since is None), default=math.inf)

    def of(self, *phases: PodPhase) -> list[Replica]:
        """The replicas in some phases, oldest first."""
        return [replica for replica in self.replicas if replica.phase in phases]

    def order(self, count: int, now: float, in_flight: Callable[[Replica], int]) -> None:
        """Set the Deployment's spec.replicas.

        A scale-in takes first what no node took, then what is still starting, then the least loaded, newest first:
        a ReplicaSet's order with the deletion cost that the operator writes.
        """
        self.ordered = count
        wanted = self.of(PodPhase.READY, PodPhase.STARTING, PodPhase.UNSCHEDULABLE)
        for _ in range(count - len(wanted)):
            self._create(now)
        rank = {PodPhase.UNSCHEDULABLE: 0, PodPhase.STARTING: 1, PodPhase.READY: 2}
        newest_first = wanted[::-1]
        newest_first.sort(key=lambda replica: (rank[replica.phase], in_flight(replica)))
        for replica in newest_first[: max(len(wanted) - count, 0)]:
            if replica.phase is PodPhase.READY:
                replica.phase = PodPhase.DRAINING
            else:
                self._remove(replica, now)
        self._place(now)

    def become_ready(self, now: float) -> list[Replica]:
        """Those whose start is over by now."""
        started = [
            replica for replica in self.replicas if replica.phase is PodPhase.STARTING and replica.ready_at <= now
        ]
        for replica in started:
            replica.phase, replica.ready_since = PodPhase.READY, replica.ready_at
        return started

    def crash(self, replica: Replica, now: float) -> None:
        """The engine of a replica dies and is started again in its pod."""
        replica.phase, replica.ready_since = PodPhase.STARTING, None
        replica.ready_at = now + self.cold_starts.draw()
        replica.restarts += 1

    def drained(self, gone: Iterable[tuple[Replica, float]], now: float) -> None:
        """Draining replicas that have finished their last request, each with the time at which it did."""
        for replica, at in gone:
            self._remove(replica, at)
        self._place(now)

    def counts(self, now: float) -> Replicas:
        """The replicas by phase, as the operator counts them."""
        phases = [replica.phase for replica in self.replicas]
        unschedulable = phases.count(PodPhase.UNSCHEDULABLE)
        oldest = self.replicas[phases.index(PodPhase.UNSCHEDULABLE)].created if unschedulable else now
        return Replicas(
            ready=phases.count(PodPhase.READY),
            starting=phases.count(PodPhase.STARTING),
            draining=phases.count(PodPhase.DRAINING),
            unschedulable=unschedulable,
            oldest_unschedulable_age=now - oldest,
            ordered=self.ordered,
            startup_timeout=self.startup_timeout,
            gpus=self.gpus,
        )

    def paid_seconds(self, now: float) -> float:
        """Replica-seconds so far: starting, ready and draining replicas, from placement on a node to their end."""
        running = math.fsum(now - replica.placed_at for replica in self.replicas if replica.placed_at is not None)
        return self._paid_seconds + running

    def _create(self, now: float) -> None:
        slot = heapq.heappop(self._free_slots) if self._free_slots else self.slots
        self.replicas.append(Replica(f"engine-{self._born}", slot, now, PodPhase.UNSCHEDULABLE))
        self._born += 1

    def _place(self, now: float) -> None:
        """Give nodes to those that wait for one, oldest first."""
        room = self.schedulable - sum(replica.placed_at is not None for replica in self.replicas)
        for replica in self.of(PodPhase.UNSCHEDULABLE)[: max(room, 0)]:
            replica.phase, replica.placed_at = PodPhase.STARTING, now
            replica.ready_at = now + self.cold_starts.draw()

    def _remove(self, replica: Replica, at: float) -> None:
        self.replicas.remove(replica)
        heapq.heappush(self._free_slots, replica.slot)
        if replica.placed_at is not None:
            self._paid_seconds += at - replica.placed_at
