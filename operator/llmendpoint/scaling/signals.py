"""What the engines' numbers say about load: readings of pods become the Signals of one tick."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import add, sub
from typing import NamedTuple

from llmendpoint.scaling.activity import Activity
from llmendpoint.scaling.histogram import Buckets, quantile
from llmendpoint.scaling.job_queue import JobQueue

# Three ticks of 10 s: an older sample says nothing about now.
STALE_SECONDS = 30.0
TTFT_WINDOW_SECONDS = 60.0
# More than any counter reaches.
MOST_COUNTED = 1e15


class PodPhase(StrEnum):
    """Where a replica is in its life."""

    READY = "ready"
    STARTING = "starting"
    """Its engine has not served yet."""
    UNREADY = "unready"
    """Its engine has served and is not ready just now: it holds requests, and gets no new ones."""
    UNSCHEDULABLE = "unschedulable"
    DRAINING = "draining"


# A member of an enumeration is looked up slowly, and these are asked for with each pod and tick.
READY, STARTING, UNREADY = PodPhase.READY, PodPhase.STARTING, PodPhase.UNREADY
SERVING = (READY, UNREADY)


class EngineSample(NamedTuple):
    """One reading of one engine. Counters are since the engine's start."""

    taken_at: float
    """Seconds since the epoch."""
    running: float = 0.0
    waiting: float = 0.0
    requests_total: float = 0.0
    """Requests finished."""
    prompt_tokens_total: float = 0.0
    generation_tokens_total: float = 0.0
    finished_prompt_tokens_total: float = 0.0
    """Of finished requests only, like the next one."""
    finished_generation_tokens_total: float = 0.0
    queued_total: float = 0.0
    """Finished requests whose time in the queue is known."""
    late_total: float = 0.0
    """Those of them that waited longer than the objective."""
    steps_total: float | None = None
    """A counter that moves with every step of the batch; None where the engine shows none."""
    kv_usage: float | None = None
    """Share of the KV cache in use, 0 to 1; None where the engine does not say."""
    ttft_buckets: Buckets = ()

    @property
    def in_flight(self) -> float:
        """Requests that the engine has not finished."""
        return self.running + self.waiting

    @property
    def counters(self) -> tuple[float, ...]:
        """The counters that every engine shows, from requests_total to late_total."""
        return self[3:10]


@dataclass(frozen=True)
class PodReading:
    """A replica, and its sample where there is one."""

    pod: str
    phase: PodPhase
    sample: EngineSample | None = None


class Queue(NamedTuple):
    """A replica that has requests waiting."""

    finished_per_second: float
    waiting: float


@dataclass(frozen=True)
class Signals:
    """Load on the serving replicas of one endpoint. Totals cover all of them: unread ones are put at the mean."""

    known: int
    """Ready replicas that were read."""
    unknown: int
    """Ready replicas that were not, and those that have served and are not ready just now."""
    running: float = 0.0
    waiting: float = 0.0
    kv_usage: float | None = None
    """Sum over replicas of the share of KV cache in use: 2.0 is two full caches."""
    occupancy: float = 0.0
    """Sum over replicas of the larger of KV use and used batch slots."""
    slots: int = 0
    """Requests that one replica works on at once at most."""
    arrival_rate: float | None = None
    """Requests per second offered, by conservation: finished + change of those in flight. None in the first tick."""
    activity: Activity | None = None
    """What the read replicas did since the tick before; None in the first one."""
    queues: tuple[Queue, ...] = ()
    """Of the read replicas that had a queue at the tick before and have one now."""
    ttft_p95: float | None = None
    """95th percentile of the time to first token over the last minute, in seconds."""
    age: float | None = None
    """Seconds since the oldest of the samples was taken; None when there is none."""
    custom: tuple[float | None, ...] = ()
    """Values of the PromQL targets, per replica, in the order of scaling.targets."""
    held: int = 0
    """Requests that wait at the activator until a replica is ready."""
    jobs: JobQueue | None = None
    """The queue of spec.async; None where there is none."""

    @property
    def ready(self) -> int:
        """Replicas that serve, read or not."""
        return self.known + self.unknown

    def custom_value(self, index: int) -> float | None:
        """Value of the PromQL target at a place in scaling.targets; None when it is not known."""
        return self.custom[index] if index < len(self.custom) else None


Pair = tuple[EngineSample, EngineSample]
History = tuple[tuple[float, Mapping[str, Buckets]], ...]


@dataclass(frozen=True)
class ReadingWindow:
    """The earlier samples that rates need. Lost at a restart, when rates are unknown for one tick."""

    last: Mapping[str, EngineSample] = field(default_factory=dict)
    """The last sample of each ready replica."""
    earlier: Mapping[str, EngineSample] = field(default_factory=dict)
    """The one before it: a source that is filled more seldom than every tick gives some samples twice."""
    ttft: History = ()


def finite(value: float | None, *, most: float = 1e9) -> float:
    """A number that can be calculated with: NaN (a rate over nothing) and negatives are 0, infinity is ``most``."""
    if value is None or not value > 0.0:
        return 0.0
    return min(value, most)


def derive(
    window: ReadingWindow,
    readings: Iterable[PodReading],
    now: float,
    *,
    slots: int = 256,
    custom: Sequence[float | None] = (),
    stale_seconds: float = STALE_SECONDS,
    with_ttft: bool = True,
    held: int = 0,
    jobs: JobQueue | None = None,
) -> tuple[ReadingWindow, Signals]:
    """Signals of this tick and the window for the next one.

    Only replicas that serve count: starting ones carry no load, draining ones are left out on both sides.

    Args:
        slots: requests that one replica works on at once at most.
        custom: values of PromQL targets.
        stale_seconds: a sample older than this counts as none.
        with_ttft: False where no target reads it. A minute of histograms is most of what there is to remember.
        held: requests that wait at the activator.
        jobs: the queue of spec.async.
    """
    ready = unready = 0
    fresh: dict[str, EngineSample] = {}
    last: dict[str, EngineSample] = {}
    earlier: dict[str, EngineSample] = {}
    for reading in readings:
        pod, phase, sample = reading.pod, reading.phase, reading.sample
        ready += phase is READY
        unready += phase is UNREADY
        if phase is STARTING:
            # An engine that comes up has served nothing: its counters begin now.
            last[pod] = EngineSample(now)
        elif phase is READY and sample is not None and now - sample.taken_at <= stale_seconds:
            fresh[pod] = last[pod] = sample
            before = _before(window, pod, sample)
            if before is not None:
                earlier[pod] = before
        elif phase in SERVING and pod in window.last:
            last[pod] = window.last[pod]
    pairs = [(before, fresh[pod]) for pod, before in earlier.items()]
    history: History = ()
    if with_ttft:
        history = (*window.ttft, (now, {pod: sample.ttft_buckets for pod, sample in fresh.items()}))
        history = tuple(entry for entry in history if now - entry[0] <= TTFT_WINDOW_SECONDS)
    signals = _signals(list(fresh.values()), pairs, ready, unready, slots, history, custom, now)
    return ReadingWindow(last, earlier, history), replace(signals, held=held, jobs=jobs) if held or jobs else signals


def _before(window: ReadingWindow, pod: str, sample: EngineSample) -> EngineSample | None:
    """The sample that a rate is taken from: the last one that is older, so that a repeated sample repeats its rate."""
    for known in (window.last, window.earlier):
        before = known.get(pod)
        if before is not None and before.taken_at < sample.taken_at:
            return before
    return None


def _signals(
    fresh: Sequence[EngineSample],
    pairs: Sequence[Pair],
    ready: int,
    unready: int,
    slots: int,
    history: History,
    custom: Sequence[float | None],
    now: float,
) -> Signals:
    known, serving = len(fresh), ready + unready
    if not known:
        return Signals(known=0, unknown=serving, slots=slots, custom=tuple(custom))
    share = serving / known  # puts the unread replicas at the mean of the read ones
    running = waiting = kv_usage = occupancy = 0.0
    kv_known = 0
    for sample in fresh:
        batch, kv = finite(sample.running), sample.kv_usage
        running += batch
        waiting += finite(sample.waiting)
        used = min(batch / max(slots, 1), 1.0)
        if kv is not None:
            kv = finite(kv, most=1.0)
            kv_known += 1
            kv_usage += kv
            used = max(used, kv)
        occupancy += used
    arrival_rate, activity, queues = _flow(pairs) if pairs else (None, None, ())
    if arrival_rate is not None:
        arrival_rate *= ready / len(pairs)  # all ready replicas get new requests, and they alone
    return Signals(
        known=known,
        unknown=serving - known,
        running=running * share,
        waiting=waiting * share,
        kv_usage=kv_usage * serving / kv_known if kv_known else None,
        occupancy=occupancy * share,
        slots=slots,
        arrival_rate=arrival_rate,
        activity=activity,
        queues=queues,
        ttft_p95=_ttft_p95(history) if history else None,
        age=now - min([sample.taken_at for sample in fresh]),
        custom=tuple(custom),
    )


def _flow(pairs: Sequence[Pair]) -> tuple[float, Activity, tuple[Queue, ...]]:
    """Arrivals per second at the replicas that were read twice, what these did, and the queues that stayed."""
    arrival_rate, queues = 0.0, []
    elapsed = busy = steps = 0.0
    totals = [0.0] * len(pairs[0][1].counters)
    for old, new in pairs:
        seconds = new.taken_at - old.taken_at
        grown = _growths(old.counters, new.counters)
        done = grown[0]
        # An engine that restarted has lost its requests: its counters begin again, so nothing is subtracted.
        before = 0.0 if new.requests_total < old.requests_total else finite(old.in_flight)
        arrival_rate += max(done + finite(new.in_flight) - before, 0.0) / seconds
        if old.waiting > 0 and new.waiting > 0:
            queues.append(Queue(done / seconds, finite(new.waiting)))
        elapsed += seconds
        # Half of the time by each gauge: the mean over many readings is right, whatever happened between two.
        busy += seconds * ((old.running > 0) + (new.running > 0)) / 2.0
        steps += _growth(old.steps_total or 0.0, new.steps_total or 0.0)
        totals = list(map(add, totals, grown))
    finished, prompt, generation, finished_prompt, finished_generation, queued, late = totals
    activity = Activity(
        elapsed / len(pairs), elapsed, busy, steps, prompt, generation, finished, finished_prompt,
        finished_generation, queued, late,
    )  # fmt: skip
    return arrival_rate, activity, tuple(queues)


def _growths(old: Sequence[float], new: Sequence[float]) -> Sequence[float]:
    """How far counters went. The usual case first, where none was restarted and none is NaN, which no sum survives."""
    grown = list(map(sub, new, old))
    if min(grown) >= 0.0 and sum(grown) < MOST_COUNTED:
        return grown
    return list(map(_growth, old, new))


def _growth(old: float, new: float) -> float:
    """How far a counter went; one that fell was restarted from 0."""
    old, new = finite(old, most=MOST_COUNTED), finite(new, most=MOST_COUNTED)
    return new - old if new >= old else new


def _ttft_p95(history: History) -> float | None:
    since: dict[str, Buckets] = {}
    before: dict[str, Buckets] = {}
    for _, by_pod in history:
        for pod, buckets in by_pod.items():
            has_restarted = pod in before and _observations(buckets) < _observations(before[pod])
            since[pod] = () if has_restarted else since.get(pod, buckets)
            before[pod] = buckets
    total: dict[float, float] = {}
    for pod, buckets in history[-1][1].items():
        earlier = dict(since[pod])
        for bound, count in buckets:
            total[bound] = total.get(bound, 0.0) + max(count - earlier.get(bound, 0.0), 0.0)
    return quantile(0.95, sorted(total.items()))


def _observations(buckets: Buckets) -> float:
    return buckets[-1][1] if buckets else 0.0
