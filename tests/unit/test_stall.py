"""A replica hangs when it works on requests and makes no step, for a while."""

import pytest

from enginesim.options import parse as options_of
from enginesim.tgi_metrics import TgiMetrics
from llmendpoint.engines import engine_for
from llmendpoint.metrics.extract import sample_of
from llmendpoint.metrics.parser import parse
from llmendpoint.reconcile.stall import STALL_SECONDS, StallWatch
from llmendpoint.scaling.signals import EngineSample
from support.builders import NOW

Reading = tuple[float, float | None] | None
"""(requests running, steps made so far); None is a replica that could not be read."""


def watched(*readings: Reading, every: float = 20.0) -> tuple[str, ...]:
    """Stalled pods after these readings of pod a, at the time of the last one."""
    watch, now = StallWatch(), NOW
    for index, found in enumerate(readings):
        now = NOW + every * index
        sample = EngineSample(now, running=found[0], steps_total=found[1]) if found else None
        watch = watch.update({"a": sample} if sample else {})
    return watch.stalled(now)


@pytest.mark.parametrize(
    ("what", "readings", "hangs"),
    [
        ("tokens come", [(3, 100), (3, 200), (3, 300), (3, 400)], False),
        ("no token for a minute", [(3, 100), (3, 100), (3, 100), (3, 100)], True),
        ("no token for less than a minute", [(3, 100), (3, 100), (3, 100)], False),
        ("a token came in between", [(3, 100), (3, 100), (3, 101), (3, 101), (3, 101)], False),
        ("it is idle", [(0, 100), (0, 100), (0, 100), (0, 100)], False),
        ("it was idle at first", [(0, 100), (3, 100), (3, 100), (3, 100)], False),
        ("it was idle in between", [(3, 100), (3, 100), (0, 100), (3, 100), (3, 100)], False),
        ("it was restarted", [(3, 100), (3, 100), (3, 0), (3, 0)], False),
        ("it could not be read in between", [(3, 100), (3, 100), None, (3, 100), (3, 100)], False),
        ("it could not be read at last", [(3, 100), (3, 100), (3, 100), (3, 100), None], False),
        ("it shows no steps", [(3, None), (3, None), (3, None), (3, None)], False),
        ("it has not made its first token", [(3, 0), (3, 0), (3, 0), (3, 0)], True),
    ],
)
def test_a_stall_is_work_without_tokens(what: str, readings: list[Reading], hangs: bool) -> None:
    assert watched(*readings) == (("a",) if hangs else ())


def test_replicas_are_watched_one_by_one_and_named_in_order() -> None:
    watch = StallWatch()
    for at in (NOW, NOW + STALL_SECONDS):
        samples = {
            pod: EngineSample(at, running=1, steps_total=at if makes_tokens else 7.0)
            for pod, makes_tokens in (("c", False), ("b", True), ("a", False))
        }
        watch = watch.update(samples)
    assert watch.stalled(NOW + STALL_SECONDS) == ("a", "c")


def tgi(metrics: TgiMetrics) -> EngineSample:
    names = engine_for("TGI").metrics
    text = metrics.text(running=1, waiting=0, kv_usage=0.1).decode()
    found = sample_of(parse(text, names.wanted), names, taken_at=NOW, own_metrics=True, objective=2.0)
    assert isinstance(found, EngineSample)
    return found


def test_a_long_answer_of_tgi_is_no_stall_although_its_tokens_are_counted_at_the_end() -> None:
    metrics = TgiMetrics(options_of(["tgi", "--model-id=m"], {}))
    assert tgi(metrics).steps_total is None
    metrics.step(1, 1)
    before = tgi(metrics)
    metrics.step(1, 1)
    after = tgi(metrics)
    assert (before.steps_total, after.steps_total) == (1.0, 2.0)
    assert before.generation_tokens_total == after.generation_tokens_total == 0
