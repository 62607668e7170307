"""How things look at a terminal: the console, marks and colours, and times as people say them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from llmendpoint.scaling.record import epoch

Tone = Literal["good", "busy", "bad", "plain"]

STYLE: dict[Tone, str] = {"good": "green", "busy": "yellow", "bad": "bold red", "plain": "dim"}
MARK: dict[Tone, str] = {"good": "✓", "busy": "…", "bad": "✗", "plain": "-"}
READABLE_COLUMNS = 100
MINUTE, HOUR, DAY = 60, 3600, 86400
# All of C0 but tab and newline, and C1.
CONTROLS = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)))


class _Terminal(Console):
    """Prints no control character that it is given: an engine's last words, for example, may have some to steer it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(segment.text.translate(CONTROLS), segment.style)


def console(width: int | None = None) -> Console:
    """Standard output, with colours on a terminal only. What operators and users wrote is no markup.

    Args:
        width: columns in place of the terminal's.
    """
    return _Terminal(markup=False, highlight=False, emoji=False, width=width)


def page() -> Console:
    """Standard output for reading: no line is longer than eyes can follow."""
    return console(min(console().width, READABLE_COLUMNS))


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    whole = max(round(seconds), 0)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        minutes, rest = divmod(whole, MINUTE)
        return f"{minutes} min" if minutes >= 10 or not rest else f"{minutes} min {rest} s"
    if whole < DAY:
        hours, rest = divmod(whole, HOUR)
        return f"{hours} h {rest // MINUTE} min" if rest >= MINUTE else f"{hours} h"
    days, rest = divmod(whole, DAY)
    return f"{days} d {rest // HOUR} h" if rest >= HOUR and days < 10 else f"{days} d"


def relative(timestamp: str, now: float) -> str:
    """An RFC 3339 time seen from now."""
    away = epoch(timestamp) - now
    return f"in {span(away)}" if away > 0 else f"{span(-away)} ago"


def absolute(timestamp: str, now: float) -> str:
    """An RFC 3339 time in UTC, the date only where it is another day's."""
    at, today = datetime.fromtimestamp(epoch(timestamp), UTC), datetime.fromtimestamp(now, UTC)
    return f"{at:%H:%M:%S}" if at.date() == today.date() else f"{at:%Y-%m-%d %H:%M:%S}"


def both(timestamp: str, now: float) -> str:
    """An RFC 3339 time in both ways."""
    return f"{absolute(timestamp, now)} UTC, {relative(timestamp, now)}"
