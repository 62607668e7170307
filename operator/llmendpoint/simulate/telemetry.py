"""What can be measured from outside: each engine's /metrics and the proxy's counters, shown to a policy in a View."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from llmendpoint.scaling.signals import EngineSample, PodPhase
from llmendpoint.simulate.batching import TTFT_BOUNDS
from llmendpoint.simulate.engines import Engines
from llmendpoint.simulate.fleet import Fleet, Replica
from llmendpoint.simulate.policy import PodView, ProxySample, View

BOUNDS = (*(float(bound) for bound in TTFT_BOUNDS), float("inf"))


class EngineReading(NamedTuple):
    """One engine's sample, and what a policy may want beside it."""

    sample: EngineSample
    kv_tokens: float
    queued_prompt_tokens: float


@dataclass(frozen=True)
class Reading:
    """One round of all metrics; empty while metrics are out."""

    engines: Mapping[str, EngineReading] = field(default_factory=dict)
    """By replica name, those that were ready."""
    proxy: ProxySample | None = None


def read(engines: Engines, fleet: Fleet, now: float) -> Reading:
    """The metrics of all ready replicas and of the proxy; the engines were run until ``now``."""
    gauges, ttft = engines.gauges, engines.ttft_counts.tolist()
    columns = {
        name: gauges[name].tolist()
        for name in (
            "running", "waiting", "requests_total", "prompt_tokens_total", "generation_tokens_total", "steps_total",
            "finished_prompt_tokens_total", "finished_generation_tokens_total", "blocks", "cached", "waiting_prompt",
        )
    }  # fmt: skip
    blocks = engines.profile.kv_blocks
    found = {}
    for replica in fleet.replicas:
        if replica.phase is not PodPhase.READY:
            continue
        slot = replica.slot
        sample = EngineSample(
            now,
            columns["running"][slot],
            columns["waiting"][slot],
            columns["requests_total"][slot],
            columns["prompt_tokens_total"][slot],
            columns["generation_tokens_total"][slot],
            columns["steps_total"][slot],
            finished_prompt_tokens_total=columns["finished_prompt_tokens_total"][slot],
            finished_generation_tokens_total=columns["finished_generation_tokens_total"][slot],
            kv_usage=columns["blocks"][slot] / blocks,
            ttft_buckets=tuple(zip(BOUNDS, ttft[slot], strict=True)),
        )
        found[replica.name] = EngineReading(sample, columns["cached"][slot], columns["waiting_prompt"][slot])
    return Reading(found, engines.proxy_sample(now))


def view(fleet: Fleet, reading: Reading, now: float) -> View:
    """Phases of now and metrics of a reading, as an autoscaler sees them together."""
    return View(
        now, fleet.counts(now), [_pod(replica, reading.engines.get(replica.name)) for replica in fleet.replicas],
        reading.proxy,
    )  # fmt: skip


def _pod(replica: Replica, read_: EngineReading | None) -> PodView:
    known = read_ if replica.phase is PodPhase.READY else None
    return PodView(
        replica.name, replica.phase, known.sample if known else None, replica.created, replica.ready_since,
        replica.restarts, known.kv_tokens if known else None, known.queued_prompt_tokens if known else None,
    )  # fmt: skip
