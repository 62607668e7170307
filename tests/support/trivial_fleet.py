"""A fluid fleet for policies of the simulator: requests are a liquid, replicas are pumps, starts take a fixed time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmendpoint.scaling.decision import Replicas
from llmendpoint.scaling.signals import EngineSample, PodPhase
from llmendpoint.simulate.policy import PodView, ProxySample, ScalingPolicy, View

KV_TOKENS = 10_000
PROMPT_TOKENS, OUTPUT_TOKENS = 100.0, 100.0


@dataclass
class TrivialPod:
    """One replica."""

    name: str
    created: float
    ready_at: float


@dataclass(frozen=True)
class State:
    """The service at one moment."""

    time: float
    arrived: float
    finished: float
    in_flight: float
    in_flight_seconds: float


@dataclass
class TrivialFleet:
    """A service whose replicas finish ``slots / service`` requests per second at most.

    A request takes ``service`` seconds while there is a slot for it. Draining takes no time.

    Args:
        load: requests per second at a time.
    """

    policy: ScalingPolicy
    load: Callable[[float], float]
    ready: int = 2
    service: float = 10.0
    slots: int = 10
    cold_start: float = 120.0
    metrics_are_out: Callable[[float], bool] = lambda _: False
    orders: list[tuple[float, int]] = field(default_factory=list)
    """(time, replicas ordered), one per call of the policy."""

    def __post_init__(self) -> None:
        self._pods = [TrivialPod(f"pod-{i}", 0.0, 0.0) for i in range(self.ready)]
        self._born = self.ready
        self._history = [State(0.0, 0.0, 0.0, 0.0, 0.0)]
        self._ordered = self.ready
        self._next_call = 0.0
        self.policy.start(self.ready)

    def run(self, seconds: float) -> "TrivialFleet":
        """Go on for so long, in steps of one second."""
        end = self._history[-1].time + seconds
        while (now := self._history[-1].time) < end:
            if now >= self._next_call:
                self._order(self.policy.order(self.view()).replicas, now)
                self._next_call = now + self.policy.period
            self._history.append(self._step(self._history[-1]))
        return self

    def ordered_at(self, time: float) -> int:
        """Replicas that were ordered at a time."""
        return next(replicas for at, replicas in reversed(self.orders) if at <= time)

    @property
    def sizes(self) -> list[int]:
        """Replicas that were ordered, call by call."""
        return [replicas for _, replicas in self.orders]

    def view(self) -> View:
        """What the policy is shown now: samples are as old as it says."""
        now = self._history[-1].time
        then = self._history[max(len(self._history) - 1 - round(self.policy.metric_delay), 0)]
        out = self.metrics_are_out(now)
        ready = sum(pod.ready_at <= now for pod in self._pods)
        proxy = ProxySample(
            taken_at=then.time,
            requests_total=round(then.arrived),
            prompt_tokens_total=then.arrived * PROMPT_TOKENS,
            finished_total=round(then.finished),
            generation_tokens_total=then.finished * OUTPUT_TOKENS,
            in_flight=round(then.in_flight),
            held=0 if ready else round(then.in_flight),
            in_flight_seconds_total=then.in_flight_seconds,
        )
        return View(
            now=now,
            replicas=Replicas(ready=ready, starting=len(self._pods) - ready, ordered=self._ordered),
            pods=self._views(now, then, out=out),
            proxy=None if out else proxy,
        )

    def _views(self, now: float, then: State, *, out: bool) -> Sequence[PodView]:
        served_then = [pod for pod in self._pods if pod.ready_at <= then.time]
        share = then.in_flight / max(len(served_then), 1)
        running = min(share, self.slots)
        usage = running / self.slots
        waiting = share - running
        sample = EngineSample(then.time, running=running, waiting=waiting, kv_usage=usage)
        return [
            PodView(
                pod.name,
                PodPhase.READY if pod.ready_at <= now else PodPhase.STARTING,
                sample,
                created=pod.created,
                kv_tokens=usage * KV_TOKENS,
                queued_prompt_tokens=waiting * PROMPT_TOKENS,
            )
            if pod in served_then and not out
            else PodView(pod.name, PodPhase.READY if pod.ready_at <= now else PodPhase.STARTING, created=pod.created)
            for pod in self._pods
        ]

    def _order(self, replicas: int, now: float) -> None:
        self.orders.append((now, replicas))
        self._ordered = replicas
        while len(self._pods) < replicas:
            self._pods.append(TrivialPod(f"pod-{self._born}", now, now + self.cold_start))
            self._born += 1
        # What starts goes first, newest first.
        del self._pods[replicas:]

    def _step(self, state: State) -> State:
        ready = sum(pod.ready_at <= state.time for pod in self._pods)
        arrived = self.load(state.time)
        finished = min(state.in_flight, ready * self.slots) / self.service
        if arrived == 0 and state.in_flight < 0.5 and ready:
            finished = state.in_flight  # the last drop
        return State(
            state.time + 1.0,
            state.arrived + arrived,
            state.finished + finished,
            state.in_flight + arrived - finished,
            state.in_flight_seconds + state.in_flight,
        )
