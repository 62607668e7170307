"""The bounds that hold at a time: minReplicas and maxReplicas, and what schedules make of them for a while.

As with the scheduled actions of AWS Application Auto Scaling, what was set last holds: of several active schedules the
one that started last, for each bound that it sets. When it ends, the one before holds again.
https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-scheduled-scaling.html

Times follow cron's rules at a change of the clock: a start in the hour that is left out happens right after it, a start
in the hour that is repeated happens once. A duration is time that passes, whatever clocks say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from llmendpoint.api.scaling import Scaling, Schedule

MINUTE = 60.0
# How far the clock is set back at most (Antarctica/Troll): a start may be earlier than its time on the clock.
LONGEST_REPEAT = 7200.0
STARTS_KEPT = 4096


@dataclass(frozen=True)
class Active:
    """A schedule that holds."""

    schedule: Schedule
    start: float
    until: float

    def holds(self, bound: str) -> str:
        """What it does, in words."""
        end = datetime.fromtimestamp(self.until, ZoneInfo(self.schedule.time_zone))
        same_day = end.date() == datetime.fromtimestamp(self.start, end.tzinfo).date()
        return f'schedule "{self.schedule.name}" holds {bound} until {end:{"%H:%M" if same_day else "%Y-%m-%d %H:%M"}}'


class Bound(NamedTuple):
    """A bound of the replica count and the schedule that sets it, if one does."""

    replicas: int
    by: Active | None = None


class Limits(NamedTuple):
    """Fewest and most replicas."""

    low: Bound
    high: Bound

    def within(self, replicas: int) -> int:
        """The nearest count that the bounds allow."""
        return min(max(replicas, self.low.replicas), self.high.replicas)


def limits(scaling: Scaling, now: float) -> Limits:
    """The bounds at a time, in seconds since the epoch."""
    low, high = Bound(scaling.min_replicas), Bound(scaling.max_replicas)
    if not scaling.schedules:
        return Limits(low, high)
    for active in sorted(_active(scaling, now), key=lambda found: found.start):
        schedule = active.schedule
        if schedule.max_replicas is not None:
            high = Bound(schedule.max_replicas, active)
            low = low if low.replicas <= high.replicas else high
        if schedule.min_replicas is not None:
            low = Bound(schedule.min_replicas, active)
            high = high if high.replicas >= low.replicas else low
    return Limits(low, high)


def schedule_problems(scaling: Scaling) -> list[str]:
    """What is wrong with schedules that the API server can not see, each with what to do."""
    found = []
    for schedule in scaling.schedules:
        where = f'scaling.schedules "{schedule.name}"'
        try:
            zone = ZoneInfo(schedule.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            found.append(f"{where}: timeZone {schedule.time_zone} is not known: use a name such as Europe/Berlin")
            continue
        try:
            CronSim(schedule.start, datetime(2000, 1, 1, tzinfo=zone))
        except CronSimError as error:
            found.append(f'{where}: start "{schedule.start}" never comes: {str(error).lower()}')
    return found


def _active(scaling: Scaling, now: float) -> Iterator[Active]:
    for schedule in scaling.schedules:
        start = _last_start(schedule.start, schedule.time_zone, now // MINUTE)
        if start is not None and now < start + schedule.duration_seconds:
            yield Active(schedule, start, start + schedule.duration_seconds)


@lru_cache(STARTS_KEPT)
def _last_start(cron: str, time_zone: str, minute: float) -> float | None:
    """The last start of a cron schedule up to a minute since the epoch; None where there is none."""
    latest = minute * MINUTE
    try:
        clock = datetime.fromtimestamp(latest + LONGEST_REPEAT + 1, ZoneInfo(time_zone))
        # Backwards, from so far ahead that no more than the repeated time is skipped.
        starts = (start.timestamp() for start in CronSim(cron, clock, reverse=True))
        return next((start for start in islice(starts, int(LONGEST_REPEAT)) if start <= latest), None)
    except (CronSimError, ZoneInfoNotFoundError, ValueError, OSError):
        return None  # schedule_problems() says so
