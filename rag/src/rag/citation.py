"""Which sources an answer names."""

import re
from collections.abc import Sequence

from rag.models import Source

_BRACKETS = re.compile(r"\[(\d{1,9}(?:\s*[,;]\s*\d{1,9})*)\]")


def cited(answer: str) -> list[int]:
    """Numbers in brackets, in the order of their first mention: ``[2]``, ``[1, 3]``."""
    numbers = (int(number) for group in _BRACKETS.findall(answer) for number in re.findall(r"\d+", group))
    return list(dict.fromkeys(numbers))


def arranged(sources: Sequence[Source], answer: str) -> list[Source]:
    """Those that the answer names first, as it names them; then the others. Numbers stay."""
    order = {number: place for place, number in enumerate(cited(answer))}
    return sorted(sources, key=lambda source: order.get(source.id, len(order) + source.id))


def unknown(sources: Sequence[Source], answer: str) -> list[int]:
    """Numbers that no source has."""
    known = {source.id for source in sources}
    return [number for number in cited(answer) if number not in known]
