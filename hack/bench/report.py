"""What was measured, as a table for people and JSON for machines."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.options import Options


@dataclass(frozen=True)
class Part:
    """One measurement at one size."""

    name: str
    endpoints: int
    load: float
    """Mean number of processes that ran in the last minute, the measured ones among them."""
    figures: Sequence[Figure] = ()
    skipped: str = ""


@dataclass
class Report:
    """Figures and what was left out, by measurement and size."""

    options: Options
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    parts: list[Part] = field(default_factory=list)

    def add(self, name: str, endpoints: int, figures: Sequence[Figure]) -> None:
        """A measurement was made."""
        self.parts.append(Part(name, endpoints, os.getloadavg()[0], figures))

    def skip(self, name: str, endpoints: int, reason: str, figures: Sequence[Figure] = ()) -> None:
        """A measurement could not be made, or only as far as these figures."""
        self.parts.append(Part(name, endpoints, os.getloadavg()[0], figures, skipped=reason))

    def table(self) -> Table:
        """Each figure beside its bar."""
        table = Table("", "figure", "bar", "", "lowest - highest", title=_machine_line(self.started))
        for part in self.parts:
            table.add_row(f"[bold]{part.name}[/], {part.endpoints} endpoints, load {part.load:.1f}")
            if part.skipped:
                table.add_row(f"[yellow]skipped: {part.skipped}")
            for figure in part.figures:
                low, high = figure.raw.get("min"), figure.raw.get("max")
                table.add_row(
                    f"{figure.name}\n[dim]{figure.note}" if figure.note else figure.name,
                    _value(figure),
                    "" if figure.bar is None else f"{figure.bar:g}",
                    {True: "[green]passes", False: "[red]falls short", None: ""}[figure.passes],
                    "" if low is None or high is None else f"{low:.3g} - {high:.3g}",
                )
            table.add_section()
        return table

    def growth(self) -> Table:
        """Each figure at each size."""
        table = Table("", *map(str, self.options.sizes), title="by number of endpoints")
        rows: dict[tuple[str, str], dict[int, str]] = {}
        for part in self.parts:
            for figure in part.figures:
                rows.setdefault((part.name, figure.name), {})[part.endpoints] = _value(figure)
        for (name, figure_name), values in rows.items():
            if len(values) > 1:
                table.add_row(f"{name}: {figure_name}", *(values.get(size, "") for size in self.options.sizes))
        return table

    def show(self) -> None:
        """Print the tables."""
        Console().print(self.table())
        if len(self.options.sizes) > 1:
            Console().print(self.growth())

    def write(self) -> None:
        """Write the JSON."""
        figures = [
            {
                "measurement": part.name,
                "endpoints": part.endpoints,
                "load": part.load,
                **asdict(figure),
                "passes": figure.passes,
            }
            for part in self.parts
            for figure in part.figures
        ]
        skipped = [asdict(part) for part in self.parts if part.skipped]
        text = json.dumps(
            {
                "started": self.started,
                "machine": machine(),
                "options": asdict(self.options) | {"output": str(self.options.output)},
                "figures": figures,
                "skipped": skipped,
            },
            indent=1,
        )
        self.options.output.write_text(text + "\n")


def _value(figure: Figure) -> str:
    return f"{figure.value:.3g} {figure.unit}".strip()


def machine() -> dict[str, Any]:
    """What the figures were made on. Others may have used it at the same time: the load says how much."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def _machine_line(started: str) -> str:
    found = machine()
    return f"{started}, {found['cores']} x {found['processor']}, Python {found['python']}, load {found['load'][0]}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
