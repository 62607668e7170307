"""Equal parts of API objects, kept once: the pods of an endpoint differ in little but their names and times."""

import sys
from typing import Any

# Of one kind of object after the other there are not many parts that are still met: the table itself takes memory.
PARTS_KNOWN = 2_000


class Sharing:
    """Makes equal dicts, lists and strings one. What it returns must not be changed in place."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Any] = {}

    def of(self, value: Any) -> Any:
        """The same value, of parts that others have as well where there are such."""
        if isinstance(value, dict):
            made: Any = {sys.intern(key): self.of(part) for key, part in value.items()}
            key = (dict, *made, *map(_identity, made.values()))
        elif isinstance(value, list):
            made = [self.of(part) for part in value]
            key = (list, *map(_identity, made))
        else:
            return sys.intern(value) if isinstance(value, str) else value
        if len(self._known) >= PARTS_KNOWN:
            self._known.clear()
        return self._known.setdefault(key, made)


def _identity(part: Any) -> tuple[type, Any]:
    """What tells a part from others. A container's parts are shared already: it is one with its equals.

    Its address stays its own as long as the table has what it is a part of. 1, 1.0 and True are equal and differ.
    """
    return type(part), id(part) if isinstance(part, dict | list) else part
