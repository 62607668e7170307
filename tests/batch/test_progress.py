"""How fast a shard goes."""

from batchworker.progress import WINDOW_SECONDS, Pace


def test_the_pace_is_that_of_the_last_minute() -> None:
    now = 1000.0
    pace = Pace(lambda: now)
    assert pace.per_second == 0.0
    for _ in range(20):
        pace.count()
    now += 10.0
    assert pace.per_second == 2.0
    now += WINDOW_SECONDS - 5.0
    pace.count()
    assert pace.per_second == 1 / WINDOW_SECONDS


def test_a_pace_of_less_than_a_second_is_not_exaggerated() -> None:
    pace = Pace(lambda: 0.0)
    pace.count()
    assert pace.per_second == 1.0
