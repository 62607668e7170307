"""The Prometheus text format, reduced to the few families that the scaler reads.

An engine answers 600 lines of which some 30 matter: lines of other families are skipped without being parsed.
Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Sample:
    """One line: labels and value."""

    labels: Mapping[str, str]
    value: float


Samples = dict[str, list[Sample]]


def parse(text: str, wanted: Container[str]) -> Samples:
    """The samples of the wanted sample names (``x_bucket`` and ``x_sum`` are names of their own).

    A line that can not be read is left out: one broken family must not hide the others.
    """
    found: Samples = {}
    for line in text.split("\n"):
        end = _name_end(line)
        name = line[:end]
        if name not in wanted:
            continue
        labels: dict[str, str] = {}
        rest = line[end:]
        if rest.startswith("{"):
            closing = rest.rfind("}")
            labels = {key: _unescape(value) for key, value in _LABEL.findall(rest[1:closing])}
            rest = rest[closing + 1 :]
        try:
            value = float(rest.split()[0])
        except (ValueError, IndexError):
            continue
        found.setdefault(name, []).append(Sample(labels, value))
    return found


def _name_end(line: str) -> int:
    brace, space = line.find("{"), line.find(" ")
    if brace == -1:
        return space if space != -1 else len(line)
    return brace if space == -1 or brace < space else space


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], value)
