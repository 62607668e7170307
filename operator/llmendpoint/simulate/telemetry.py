"""What can be measured from outside: each engine's /metrics and the proxy's counters, shown to a policy in a View."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from llmendpoint.scaling.signals import READY, EngineSample
from llmendpoint.simulate.arrays import Array
from llmendpoint.simulate.batching import TTFT_BOUNDS
from llmendpoint.simulate.engines import Engines
from llmendpoint.simulate.fleet import Fleet, Replica
from llmendpoint.simulate.policy import PodView, ProxySample, View

BOUNDS = (*(float(bound) for bound in TTFT_BOUNDS), float("inf"))
# The fields of ENGINE that can be seen from outside.
SHOWN = [
    "shown_running", "shown_waiting", "shown_waiting_prompt", "shown_cached", "shown_blocks", "requests_total",
    "prompt_tokens_total", "generation_tokens_total", "steps_total", "finished_prompt_tokens_total",
    "finished_generation_tokens_total", "late_total",
]  # fmt: skip


class EngineReading(NamedTuple):
    """One engine's sample, and what a policy may want beside it."""

    sample: EngineSample
    kv_tokens: float
    queued_prompt_tokens: float
    ttft_counts: Array


@dataclass(frozen=True)
class Reading:
    """One round of all metrics; empty while metrics are out."""

    engines: Mapping[str, EngineReading] = field(default_factory=dict)
    """By replica name, those that were ready."""
    proxy: ProxySample | None = None


def read(engines: Engines, fleet: Fleet, now: float) -> Reading:
    """The metrics of all ready replicas and of the proxy; the engines were run until ``now``."""
    gauges, ttft, kv_blocks = engines.gauges[SHOWN], engines.ttft_counts, engines.profile.kv_blocks
    found = {}
    for replica in fleet.of(READY):
        running, waiting, queued, cached, blocks, *counters = gauges.item(replica.slot)
        requests, prompt, generation, steps, finished_prompt, finished_generation, late = counters
        sample = EngineSample(
            taken_at=now,
            running=running,
            waiting=waiting,
            requests_total=requests,
            prompt_tokens_total=prompt,
            generation_tokens_total=generation,
            steps_total=steps,
            kv_usage=blocks / kv_blocks,
            finished_prompt_tokens_total=finished_prompt,
            finished_generation_tokens_total=finished_generation,
            queued_total=requests,
            late_total=late,
        )
        found[replica.name] = EngineReading(sample, cached, queued, ttft[replica.slot].copy())
    return Reading(found, engines.proxy_sample(now))


def view(fleet: Fleet, reading: Reading, now: float) -> View:
    """Phases of now and metrics of a reading, as an autoscaler sees them together."""
    return View(
        now, fleet.counts(now), [_pod(replica, reading.engines.get(replica.name)) for replica in fleet.replicas],
        reading.proxy,
    )  # fmt: skip


def _pod(replica: Replica, read_: EngineReading | None) -> PodView:
    known = read_ if replica.phase is READY else None
    sample, *beside = known or (None, None, None, None)
    return PodView(replica.name, replica.phase, sample, replica.created, replica.ready_since, replica.restarts, *beside)


def with_histogram(pod: PodView) -> PodView:
    """The same with the histogram of the time to first token in its sample."""
    if pod.sample is None or pod.ttft_counts is None:
        return pod
    buckets = tuple(zip(BOUNDS, pod.ttft_counts.tolist(), strict=True))
    return replace(pod, sample=pod.sample._replace(ttft_buckets=buckets))
