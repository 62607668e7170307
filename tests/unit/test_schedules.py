"""The bounds that schedules set, as a function of time."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from llmendpoint.scaling.decision import Replicas
from llmendpoint.scaling.scaler import decide, warnings
from llmendpoint.scaling.schedules import limits, schedule_problems
from llmendpoint.scaling.signals import Signals
from llmendpoint.scaling.state import initial_state
from support.builders import NOW, scaling

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
HOUR = 3600


def schedule(start: str = "0 8 * * MON-FRI", hours: float = 10, zone: str = BERLIN, **bounds: Any) -> dict[str, Any]:
    named = {"name": bounds.pop("name", "office"), **(bounds or {"minReplicas": 4})}
    return {"start": start, "durationSeconds": int(hours * HOUR), "timeZone": zone, **named}


def at(text: str, zone: str = BERLIN) -> float:
    """The time on a clock; the second one where it is repeated and marked so by a trailing *."""
    when = datetime.fromisoformat(text.rstrip("*")).replace(tzinfo=ZoneInfo(zone), fold=int(text.endswith("*")))
    return when.timestamp()


def bounds(now: float, *schedules: dict[str, Any]) -> tuple[int, int]:
    found = limits(scaling(minReplicas=2, maxReplicas=10, schedules=list(schedules)), now)
    return found.low.replicas, found.high.replicas


@pytest.mark.parametrize(
    ("now", "low"),
    [
        ("2026-06-01 07:59:59", 2),  # a Monday
        ("2026-06-01 08:00:00", 4),
        ("2026-06-01 17:59:59", 4),
        ("2026-06-01 18:00:00", 2),
        ("2026-06-06 12:00:00", 2),  # a Saturday
        ("2026-06-08 08:00:30", 4),
    ],
)
def test_a_schedule_holds_from_its_start_for_its_duration(now: str, low: int) -> None:
    assert bounds(at(now), schedule()) == (low, 10)


def test_the_time_is_that_of_the_zone() -> None:
    eight = at("2026-06-01 08:00", NEW_YORK)
    assert bounds(eight - 1, schedule(zone=NEW_YORK)) == (2, 10)
    assert bounds(eight, schedule(zone=NEW_YORK)) == (4, 10)
    assert bounds(at("2026-06-01 08:00", "UTC"), schedule(zone="Etc/UTC")) == (4, 10)


@pytest.mark.parametrize(
    ("start", "hours", "now", "holds"),
    [
        # 2026-03-29 has no 02:00 to 03:00; 2026-10-25 has it twice.
        ("30 2 * * *", 1, "2026-03-29 01:59:59", False),
        ("30 2 * * *", 1, "2026-03-29 03:00:00", True),
        ("30 2 * * *", 1, "2026-03-29 04:00:00", False),
        ("0 1 * * *", 3, "2026-03-29 04:59:59", True),  # three hours pass, whatever the clock says
        ("0 1 * * *", 3, "2026-03-29 05:00:00", False),
        ("30 2 * * *", 0.5, "2026-10-25 02:29:59", False),
        ("30 2 * * *", 0.5, "2026-10-25 02:30:00", True),
        ("30 2 * * *", 0.5, "2026-10-25 02:00:00*", False),
        ("30 2 * * *", 0.5, "2026-10-25 02:30:00*", False),  # once
        ("30 2 * * *", 1, "2026-10-25 02:00:00*", True),  # still the first one
        ("30 2 * * *", 1, "2026-10-25 02:30:00*", False),
        ("0 1 * * *", 3, "2026-10-25 02:59:59*", True),
        ("0 1 * * *", 3, "2026-10-25 03:00:00", False),
        ("0 8 * * *", 10, "2026-03-29 08:00:00", True),
        ("0 8 * * *", 10, "2026-10-25 17:59:59", True),
        ("*/30 * * * *", 0.25, "2026-10-25 02:30:00*", True),  # each half hour that passes
    ],
)
def test_a_change_of_the_clock_is_met_as_cron_does(start: str, hours: float, now: str, holds: bool) -> None:
    assert bounds(at(now), schedule(start, hours)) == (4 if holds else 2, 10)


@pytest.mark.parametrize("date", ["2026-03-28 12:00", "2026-10-24 12:00"])
def test_over_a_change_of_the_clock_a_daily_schedule_holds_once_a_day(date: str) -> None:
    first = at(date)
    for start in ("15 2 * * *", "0 3 * * *", "30 1 * * *"):
        held = [bounds(first + 60 * minute, schedule(start, 0.5))[0] == 4 for minute in range(48 * 60)]
        edges = [minute for minute in range(1, len(held)) if held[minute] and not held[minute - 1]]
        assert (len(edges), sum(held)) == (2, 60), start


def test_a_schedule_may_last_longer_than_until_its_next_start() -> None:
    assert bounds(NOW, schedule("0 * * * *", 30)) == (4, 10)
    assert bounds(at("2026-12-31 00:00"), schedule("0 0 25 12 *", 7 * 24)) == (4, 10)
    assert bounds(at("2027-01-01 00:00"), schedule("0 0 25 12 *", 7 * 24)) == (2, 10)


NOON = at("2026-06-01 12:00")


@pytest.mark.parametrize(
    ("what", "schedules", "expected"),
    [
        ("both bounds", [schedule(minReplicas=3, maxReplicas=20)], (3, 20)),
        ("the one that started last", [schedule("0 10 * * *", minReplicas=3), schedule(minReplicas=6)], (3, 10)),
        (
            "for each bound that it sets",
            [schedule(minReplicas=6, maxReplicas=30), schedule("0 10 * * *", maxReplicas=12)],
            (6, 12),
        ),
        ("the later in the list of two at once", [schedule(minReplicas=6), schedule(minReplicas=3)], (3, 10)),
        (
            "a later most is above an earlier least",
            [schedule(minReplicas=6), schedule("0 10 * * *", maxReplicas=5)],
            (5, 5),
        ),
        (
            "a later least is above an earlier most",
            [schedule(maxReplicas=3), schedule("0 10 * * *", minReplicas=7)],
            (7, 7),
        ),
        ("none that is over", [schedule("0 10 * * *", 1, minReplicas=6), schedule(minReplicas=3)], (3, 10)),
    ],
)
def test_of_several_the_one_that_started_last_holds(
    what: str, schedules: list[dict[str, Any]], expected: tuple[int, int]
) -> None:
    named = [{**one, "name": f"s{index}"} for index, one in enumerate(schedules)]
    assert bounds(NOON, *named) == expected


def test_a_schedule_that_ends_on_another_day_says_the_date() -> None:
    low = limits(scaling(maxReplicas=9, schedules=[schedule("0 22 * * *", 8)]), at("2026-06-01 23:00")).low
    assert low.by is not None
    assert low.by.holds("minReplicas 4") == 'schedule "office" holds minReplicas 4 until 2026-06-02 06:00'
    assert low.by.until == at("2026-06-02 06:00")


@pytest.mark.parametrize(
    ("start", "zone", "sentence"),
    [
        ("0 8 * * *", BERLIN, None),
        ("0 8 * * *", "Mars/Phobos", "timeZone Mars/Phobos is not known: use a name such as Europe/Berlin"),
        ("0 8 * * *", "Europe", "timeZone Europe is not known: use a name such as Europe/Berlin"),
        ("0 8 30 2 *", BERLIN, 'start "0 8 30 2 *" never comes: bad day-of-month'),
        ("0 8 * * FRI-MON", BERLIN, 'start "0 8 * * FRI-MON" never comes: bad day-of-week'),
    ],
)
def test_what_can_not_be_is_told_and_changes_nothing(start: str, zone: str, sentence: str | None) -> None:
    spec = scaling(maxReplicas=9, schedules=[schedule(start, 24 * 7, zone)])
    assert schedule_problems(spec) == ([f'scaling.schedules "office": {sentence}'] if sentence else [])
    assert limits(spec, NOON).low.replicas == (1 if sentence else 4)


def test_a_decision_names_the_schedule_that_holds_it() -> None:
    spec = scaling(schedules=[schedule("* * * * *", 1 / 60, minReplicas=3)])
    state, decision = decide(spec, initial_state(3, NOW), Signals(3, 0), Replicas(3, ordered=3), NOW)
    assert (decision.desired, decision.held_by) == (3, "Bounds")
    assert 'schedule "office" holds minReplicas 3 until' in decision.sentence
    assert decision.held_until == NOW - NOW % 60 + 60
    assert decide(spec, state, Signals(3, 0), Replicas(3, ordered=3), NOW + 10)[1].clamps[0].name == "Bounds"


def test_equal_bounds_are_no_warning_where_a_schedule_changes_them() -> None:
    fixed = {"minReplicas": 2, "maxReplicas": 2}
    assert warnings(scaling(**fixed), initial_state(2, NOW), None)
    assert not warnings(scaling(**fixed, schedules=[schedule(maxReplicas=4)]), initial_state(2, NOW), None)
