"""Scheduled actions, each of which sets bounds until the next one does, as schedules that last for a time.

The action that lasts longest, the night say, becomes the ordinary bounds; the others become schedules.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice, pairwise
from typing import Any

from cronsim import CronSim, CronSimError

from llmendpoint.api.scaling import CRON
from llmendpoint.cli.sagemaker.documents import Capacity, ScheduledAction

# A whole year, a leap year, so that whatever comes in it is seen.
YEAR = (datetime(2024, 1, 1), datetime(2025, 1, 1))  # noqa: DTZ001 - times on the clock of the actions' zone
STARTS_LOOKED_AT = 10_000
SHORTEST, LONGEST = 60, 604_800
MOST_SCHEDULES = 20
NAME_LENGTH = 63


@dataclass
class Plan:
    """What has become of scheduled actions."""

    base: Capacity | None = None
    """The bounds outside of all schedules, where an action sets them."""
    schedules: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan_of(actions: Sequence[ScheduledAction]) -> Plan:
    """Schedules for the actions of one scalable target."""
    plan = Plan()
    crons: dict[str, str] = {}
    for action in actions:
        if cron := _five_fields(action.schedule):
            crons[action.scheduled_action_name] = cron
        else:
            plan.notes.append(
                f"scheduled action {action.scheduled_action_name} is left out: {action.schedule or 'no schedule'} can "
                "not be said by five fields of cron"
            )
    plan.notes += [
        f"scheduled action {action.scheduled_action_name}: StartTime and EndTime are left out, it holds without an end"
        for action in actions
        if action.scheduled_action_name in crons and (action.start_time or action.end_time)
    ]
    known = [action for action in actions if action.scheduled_action_name in crons]
    if zones := sorted({action.timezone for action in known}):
        if len(zones) > 1:
            plan.notes.append(f"scheduled actions are left out: they are in several time zones, {', '.join(zones)}")
        else:
            _fill(plan, known, crons)
    return plan


def _fill(plan: Plan, actions: Sequence[ScheduledAction], crons: Mapping[str, str]) -> None:
    lasting = _durations(crons)
    if len(actions) == 1 or not all(lasting.values()):
        plan.notes.append(
            "scheduled actions are left out, because no other one ends them: set minReplicas and maxReplicas to what "
            f"{' and '.join(crons)} set"
        )
        return
    longest = max(max(found) for found in lasting.values())
    base = min(
        (action for action in actions if max(lasting[action.scheduled_action_name]) == longest),
        key=lambda action: action.scalable_target_action.min_capacity or 0,
    )
    plan.base = base.scalable_target_action
    plan.notes.append(f"minReplicas and maxReplicas are those of scheduled action {base.scheduled_action_name}")
    for action in actions:
        name, bounds = action.scheduled_action_name, action.scalable_target_action
        if action is base:
            continue
        if len(lasting[name]) > 1 or not SHORTEST <= max(lasting[name]) <= LONGEST:
            plan.notes.append(
                f"scheduled action {name} is left out: it does not always last equally long, or for more than a week"
            )
            continue
        low = None if bounds.min_capacity is None else max(bounds.min_capacity, 1)
        schedule = {
            "name": name[:NAME_LENGTH],
            "start": crons[name],
            "timeZone": "Etc/UTC" if action.timezone == "UTC" else action.timezone,
            "durationSeconds": max(lasting[name]),
            "minReplicas": low,
            "maxReplicas": bounds.max_capacity,
        }
        plan.schedules.append({key: value for key, value in schedule.items() if value is not None})
    if len(plan.schedules) > MOST_SCHEDULES:
        left = ", ".join(schedule["name"] for schedule in plan.schedules[MOST_SCHEDULES:])
        plan.notes.append(f"more than {MOST_SCHEDULES} schedules are not possible, these are left out: {left}")
        del plan.schedules[MOST_SCHEDULES:]


def _durations(crons: Mapping[str, str]) -> dict[str, set[int]]:
    """Seconds on the clock from the starts of each action to the next start of any."""
    first, end = YEAR
    starts: list[tuple[datetime, str]] = []
    for name, cron in crons.items():
        for start in islice(CronSim(cron, first), STARTS_LOOKED_AT):
            if start >= end:
                break
            starts.append((start, name))
    lasting: dict[str, set[int]] = {name: set() for name in crons}
    for (start, name), (following, _) in pairwise(sorted(starts)):
        lasting[name].add(int((following - start).total_seconds()))
    return lasting


def _five_fields(schedule: str) -> str | None:
    """``cron(0 8 ? * MON-FRI *)`` as ``0 8 * * MON-FRI``; None for other expressions.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based
    """
    given = re.fullmatch(r"cron\((.+)\)", schedule.strip())
    fields = given[1].upper().replace("?", "*").split() if given else []
    if len(fields) != 6 or fields.pop() != "*":
        return None
    # AWS counts days from Sunday = 1, cron from Sunday = 0. What follows a slash is a step.
    fields[4] = re.sub(r"(?<![/\d])[1-7](?!\d)", lambda day: str(int(day[0]) - 1), fields[4])
    cron = " ".join(fields)
    if not re.fullmatch(CRON, cron):
        return None
    try:
        CronSim(cron, YEAR[0])
    except CronSimError:
        return None
    return cron
