"""Parsed samples of an engine become one EngineSample, by the engine's own metric names."""

import math
from collections.abc import Mapping, Sequence

from llmendpoint.engines.facts import MetricNames
from llmendpoint.metrics.parser import Sample, Samples
from llmendpoint.scaling.histogram import Buckets, above
from llmendpoint.scaling.signals import EngineSample

# More than any engine counts in its life.
LARGEST = 1e18


def sample_of(
    samples: Samples, names: MetricNames, *, taken_at: float, own_metrics: bool, objective: float
) -> EngineSample | str:
    """The engine's numbers, or why they are not known.

    Args:
        samples: the wanted samples of one scrape.
        taken_at: when it was taken, seconds since the epoch.
        objective: seconds in the queue after which a request is late.
        own_metrics: whether the text had any metric of this engine. A gauge that is absent is 0 then.
    """
    if not own_metrics and not names.appear_on_use:
        return (
            f"/metrics answers without any {names.prefix} metric: another program listens on this port, "
            "or the engine runs with its statistics disabled"
        )
    samples = {**samples, **{name: _counting(samples, name, labels) for name, labels in names.counting.items()}}
    broken = next((name for name, found in samples.items() if any(abs(one.value) > LARGEST for one in found)), None)
    if broken:
        return f"/metrics answers with an impossible value of {broken}: look at what the engine writes there"
    queue = _buckets(samples, names.queue_bucket)
    if len(queue) < 2:
        queue = ()  # the last bucket alone says nothing of how long they waited
    kv_usage = next((_mean(samples, name) for name in names.kv_usage if samples.get(name)), None)
    prompt, generation = _sum(samples, names.prompt_tokens), _sum(samples, names.generation_tokens)
    finished_prompt = _sum_if_any(samples, names.finished_prompt_tokens)
    finished_generation = _sum_if_any(samples, names.finished_generation_tokens)
    return EngineSample(
        taken_at=taken_at,
        running=_sum(samples, names.running),
        waiting=_sum(samples, names.waiting),
        requests_total=_sum(samples, names.requests),
        prompt_tokens_total=prompt,
        generation_tokens_total=generation,
        # An engine that does not count them apart counts no others.
        finished_prompt_tokens_total=prompt if finished_prompt is None else finished_prompt,
        finished_generation_tokens_total=generation if finished_generation is None else finished_generation,
        steps_total=_sum(samples, names.steps) if any(samples.get(name) for name in names.steps) else None,
        kv_usage=kv_usage,
        ttft_buckets=_buckets(samples, names.ttft_bucket),
        queued_total=queue[-1][1] if queue else 0.0,
        late_total=above(objective, queue),
    )


def _counting(samples: Samples, name: str, labels: Mapping[str, str]) -> list[Sample]:
    return [
        sample
        for sample in samples.get(name, ())
        if all(sample.labels.get(label, value) == value for label, value in labels.items())
    ]


def _sum(samples: Samples, names: Sequence[str]) -> float:
    """Over names and series: an engine with several data-parallel ranks shows one series each. NaN counts 0."""
    values = (sample.value for name in names for sample in samples.get(name, ()))
    return math.fsum(value for value in values if not math.isnan(value))


def _sum_if_any(samples: Samples, names: Sequence[str]) -> float | None:
    return _sum(samples, names) if any(samples.get(name) for name in names) else None


def _mean(samples: Samples, name: str) -> float:
    values = [sample.value for sample in samples[name] if not math.isnan(sample.value)]
    return math.fsum(values) / len(values) if values else 0.0


def _buckets(samples: Samples, name: str | None) -> Buckets:
    """Over series, as _sum. A bucket without a readable bound or count is left out."""
    counts: dict[float, float] = {}
    for sample in samples.get(name, ()) if name else ():
        bound = bound_of(sample.labels.get("le", ""))
        if not math.isnan(bound) and not math.isnan(sample.value):
            counts[bound] = counts.get(bound, 0.0) + sample.value
    return tuple(sorted(counts.items()))


def bound_of(label: str) -> float:
    """The number in an ``le`` label, NaN where it is none."""
    try:
        return float(label)
    except ValueError:
        return math.nan
