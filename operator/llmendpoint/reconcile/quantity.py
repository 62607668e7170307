"""Amounts of resources as Kubernetes writes them: 2, "500m", "1Gi"."""

import re
from decimal import Decimal
from typing import Any

_QUANTITY = re.compile(r"^(\d+(?:\.\d+)?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$")
_SCALE: dict[str | None, Decimal] = {
    None: Decimal(1),
    **{unit: Decimal(1000) ** -power for power, unit in enumerate(["m", "u", "n"], 1)},
    **{unit: Decimal(1000) ** power for power, unit in enumerate(["k", "M", "G", "T", "P", "E"], 1)},
    **{unit: Decimal(1024) ** power for power, unit in enumerate(["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"], 1)},
}


def amount(value: Any) -> Decimal | None:
    """The number that a quantity stands for; None where it is none."""
    match = _QUANTITY.match(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    return Decimal(match[1]) * _SCALE[match[2]] if match else None
