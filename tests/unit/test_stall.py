"""When an engine that answers /health is said to hang."""

import pytest

from enginesim.options import parse as options_of
from enginesim.tgi_metrics import TgiMetrics
from llmendpoint.engines import engine_for
from llmendpoint.metrics.extract import sample_of
from llmendpoint.metrics.parser import parse
from llmendpoint.reconcile.stall import StallWatch
from llmendpoint.scaling.signals import EngineSample
from support.builders import NOW, sample


def watched(*samples: EngineSample | None) -> StallWatch:
    watch = StallWatch()
    for taken in samples:
        watch = watch.update({"a": taken} if taken else {})
    return watch


@pytest.mark.parametrize(
    ("what", "running", "steps", "stalled"),
    [
        ("makes no step", 3, [50, 50, 50], True),
        ("makes steps", 3, [50, 51, 52], False),
        ("was restarted", 3, [50, 0, 0], False),
        ("has nothing to do", 0, [50, 50, 50], False),
        ("shows no steps", 3, [None, None, None], False),
    ],
)
def test_an_engine_hangs_when_it_makes_no_step_for_a_minute(
    what: str, running: int, steps: list[float | None], stalled: bool
) -> None:
    times = (0, 30, 61)
    watch = watched(
        *(sample(NOW + at, running=running, steps_total=count) for at, count in zip(times, steps, strict=True))
    )
    assert watch.stalled(NOW + 61) == (("a",) if stalled else ())


def test_an_engine_that_is_not_read_any_more_is_not_said_to_hang() -> None:
    hung = [sample(NOW + at, running=3, steps_total=50) for at in (0, 60)]
    assert watched(*hung).stalled(NOW + 60) == ("a",)
    assert watched(*hung).stalled(NOW + 120) == ()
    assert watched(*hung, None).stalled(NOW + 70) == ()


def tgi(metrics: TgiMetrics) -> EngineSample:
    names = engine_for("TGI").metrics
    text = metrics.text(running=1, waiting=0, kv_usage=0.1).decode()
    found = sample_of(parse(text, names.wanted), names, taken_at=NOW, own_metrics=True)
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
