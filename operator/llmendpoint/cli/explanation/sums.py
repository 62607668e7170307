"""One step of a sum: its formula, the numbers in their places, the result and what the operator recorded of it."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from llmendpoint.api.base import ApiModel

# Records are rounded to three digits behind the point, costs of a request to five.
SHARE, DISTANCE, DIGIT = 0.02, 0.01, 0.001


class Sum(ApiModel):
    """A step of the calculation."""

    name: str
    formula: str
    numbers: str = Field(description="The formula with the numbers in their places.")
    result: float
    unit: str = "replicas"
    recorded: float | None = Field(None, description="What the operator wrote, where it wrote this number.")
    agrees: bool = Field(True, description="Whether both are the same but for rounding.")
    note: str | None = None


class Reading(ApiModel):
    """A number that went in."""

    name: str = Field(description="As in status.scaling.decision.inputs.")
    meaning: str
    value: float | bool | str
    unit: str = ""


def checked(name: str, formula: str, numbers: str, result: float, recorded: float | None = None, **more: Any) -> Sum:
    """A step whose result is compared with what was recorded."""
    agrees = recorded is None or math.isclose(result, recorded, rel_tol=SHARE, abs_tol=DISTANCE)
    return Sum(
        name=name, formula=formula, numbers=numbers, result=round(result, 5), recorded=recorded, agrees=agrees, **more
    )


def taken(name: str, formula: str, recorded: float, **more: Any) -> Sum:
    """A step that can not be redone, because an older operator recorded too little."""
    words = "taken as recorded: the operator that decided wrote too little to redo it"
    return Sum(name=name, formula=formula, numbers=words, result=recorded, recorded=recorded, **more)


def rounded_up(value: float, recorded: int, slack: float = DIGIT) -> tuple[int, bool]:
    """Whole replicas for a number, and whether so many were recorded, where its last digit may have been rounded."""
    least, most = math.ceil(value - slack), math.ceil(value + slack)
    return (recorded, True) if least <= recorded <= most else (math.ceil(value - slack), False)


def number(values: Mapping[str, Any], name: str) -> float | None:
    """A number of a record; None where there is none, or something else."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def said(value: float) -> str:
    """A number with as many digits as a person wants."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
