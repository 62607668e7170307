"""Request traces from files: the project's own columns, Azure's, BurstGPT's, and Mooncake's JSON lines."""

import gzip
import io
import json
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Columns = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]
"""Seconds from the start, input tokens, output tokens; as long as each other."""

GZIP_MAGIC = b"\x1f\x8b"
# Header names, in lower case: the project's own, Azure's, BurstGPT's.
TIME_NAMES = ("t", "timestamp")
INPUT_NAMES = ("input_tokens", "contexttokens", "request tokens")
OUTPUT_NAMES = ("output_tokens", "generatedtokens", "response tokens")
OWN_TIME = "t"
MOST_TOKENS = 2**31 - 1


class TraceError(ValueError):
    """The trace can not be used; the message says why, with the line where there is one."""


def read_file(path: Path) -> Columns:
    """Read a trace, compressed with gzip or not. Its format is told by its content.

    Files with the column ``t`` count from their own start; of all others the first request is the start.

    Raises:
        TraceError: it can not be read, its format is none of the known ones, or a row is wrong.
    """
    text = _text(path)
    first = text.lstrip("\ufeff \t\r\n").partition("\n")[0]
    if not first:
        raise TraceError(f"trace {path} is empty")
    if first.startswith("{"):
        return _from_start(_read_json_lines(path, text))
    header = [name.strip().strip('"').lower() for name in first.split(",")]
    places = [
        next((header.index(name) for name in names if name in header), -1)
        for names in (TIME_NAMES, INPUT_NAMES, OUTPUT_NAMES)
    ]
    if min(places) < 0:
        raise TraceError(
            f"trace {path} starts with {first[:80]!r}: expected the columns t,input_tokens,output_tokens, those of an "
            "Azure or a BurstGPT trace, or Mooncake's JSON lines"
        )
    if not text.partition("\n")[2].strip():
        raise TraceError(f"trace {path} has a header and no request")
    columns = _read_csv(path, text, places)
    return columns if header[places[0]] == OWN_TIME else _from_start(columns)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TraceError(f"trace {path} can not be read: {error}") from error


def _from_start(columns: Columns) -> Columns:
    t, inputs, outputs = columns
    return t - t.min(), inputs, outputs


def _read_csv(path: Path, text: str, places: Sequence[int]) -> Columns:
    dated = _is_date(text, places[0])
    kinds = [("t", "U40" if dated else "f8"), ("i", "f8"), ("o", "f8")]
    try:
        rows = np.loadtxt(
            io.StringIO(text.lstrip("\ufeff \t\r\n")), delimiter=",", skiprows=1, usecols=places, dtype=kinds,
            comments=None, quotechar='"', ndmin=1,
        )  # fmt: skip
        t = _seconds(rows["t"]) if dated else rows["t"]
    except ValueError as error:
        raise _first_wrong_row(path, text, places, dated) or TraceError(f"trace {path}: {error}") from None
    good = np.isfinite(t) & (t >= 0) & _are_counts(rows["i"]) & _are_counts(rows["o"])
    if not good.all():
        raise _first_wrong_row(path, text, places, dated) or TraceError(f"trace {path} has a row that is wrong")
    return t, rows["i"].astype(np.int64), rows["o"].astype(np.int64)


def _is_date(text: str, place: int) -> bool:
    fields = text.partition("\n")[2].partition("\n")[0].split(",")
    return place < len(fields) and "-" in fields[place].strip().lstrip("-") and ":" in fields[place]


def _seconds(dates: NDArray[np.str_]) -> NDArray[np.float64]:
    """Seconds since the epoch of UTC dates, to the microsecond."""
    plain = np.char.strip(dates)
    for suffix in ("+00:00", "Z"):
        plain = np.char.replace(plain, suffix, "")
    return np.asarray(plain.astype("datetime64[us]").astype(np.int64) / 1e6, dtype=np.float64)


def _are_counts(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((values >= 0) & (values <= MOST_TOKENS) & (values == np.floor(values)))


def _first_wrong_row(path: Path, text: str, places: Sequence[int], dated: bool) -> TraceError | None:
    """Look for the row that numpy did not take, one by one."""
    for number, line in enumerate(text.split("\n")[1:], start=2):
        if not line.strip():
            continue
        fields = [field.strip().strip('"') for field in line.split(",")]
        try:
            t, inputs, outputs = (fields[place] for place in places)
            seconds = datetime.fromisoformat(t).timestamp() if dated else float(t)
            good = math.isfinite(seconds) and seconds >= 0 and all(_is_count(float(x)) for x in (inputs, outputs))
        except (ValueError, IndexError):
            good = False
        if not good:
            return TraceError(
                f"trace {path}, line {number}: {line.strip()[:80]!r} is not a time of 0 or more and two whole numbers "
                "of tokens"
            )
    return None


def _is_count(value: float) -> bool:
    return 0 <= value <= MOST_TOKENS and value == math.floor(value)


def _read_json_lines(path: Path, text: str) -> Columns:
    """Mooncake: {"timestamp": milliseconds, "input_length": n, "output_length": n, ...}."""
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            row = float(entry["timestamp"]), float(entry["input_length"]), float(entry["output_length"])
        except (ValueError, KeyError, TypeError):
            row = (math.nan, 0.0, 0.0)
        if not (math.isfinite(row[0]) and row[0] >= 0 and _is_count(row[1]) and _is_count(row[2])):
            raise TraceError(
                f"trace {path}, line {number}: {line.strip()[:80]!r} is not an object with timestamp (milliseconds), "
                "input_length and output_length"
            )
        rows.append(row)
    t, inputs, outputs = np.array(rows, dtype=np.float64).T
    return t / 1e3, inputs.astype(np.int64), outputs.astype(np.int64)
