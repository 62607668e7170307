"""Whether a child on the API server still says what we want it to say."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmendpoint.reconcile.quantity import amount

# Where the API server rewrites amounts. Elsewhere "1k" is another text than "1000".
_QUANTITY_FIELDS = frozenset({"limits", "requests", "sizeLimit", "divisor"})
# Lists whose entries have a name and that the API server keeps whole all the same, as one writer has them.
_WHOLE_LISTS = frozenset({"parentRefs", "backendRefs"})
# Lists of these keys are merged by the API server: others may add entries, ours must be there as they are.
# A volume may be mounted at several paths, so the path comes before the name.
_MERGE_KEYS = ("mountPath", "devicePath", "uid", "name", "containerPort", "topologyKey")


def agrees(desired: Any, observed: Any, *, amounts: bool = False) -> bool:
    """Whether every field of ``desired`` has the same value in ``observed``.

    Fields that only ``observed`` has are defaults, status or other writers' business.

    Args:
        amounts: the values are quantities, which are equal when their amounts are (``1000m`` is ``1``).
    """
    if isinstance(desired, Mapping):
        if not desired and observed is None:
            return True  # the API server drops empty maps
        return isinstance(observed, Mapping) and all(
            _lists_agree(value, observed.get(key), None)
            if key in _WHOLE_LISTS
            else agrees(value, observed.get(key), amounts=amounts or key in _QUANTITY_FIELDS)
            for key, value in desired.items()
        )
    if isinstance(desired, list):
        return _lists_agree(desired, observed, _merge_key(desired))
    return bool(desired == observed) or (amounts and _same_amount(desired, observed))


def _merge_key(desired: Sequence[Any]) -> str | None:
    return next((key for key in _MERGE_KEYS if desired and all(_has(item, key) for item in desired)), None)


def _lists_agree(desired: Sequence[Any], given: Any, key: str | None) -> bool:
    observed = given if isinstance(given, list) else []
    if key is None:
        return len(desired) == len(observed) and all(map(agrees, desired, observed))
    by_key = {item.get(key): item for item in observed if isinstance(item, Mapping)}
    return all(agrees(item, by_key.get(item[key])) for item in desired)


def _has(item: Any, key: str) -> bool:
    return isinstance(item, Mapping) and key in item


def _same_amount(one: Any, other: Any) -> bool:
    first, second = amount(one), amount(other)
    return first is not None and first == second
