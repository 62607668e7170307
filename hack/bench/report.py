"""What was measured, as a table for people and JSON for machines."""

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.options import Options


@dataclass
class Report:
    """Figures and what was left out, by measurement."""

    options: Options
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def table(self) -> Table:
        """Each figure beside its bar."""
        table = Table("", "figure", "bar", "", "lowest - highest", title=_machine_line(self.started))
        for name, figures in self.figures.items():
            table.add_row(f"[bold]{name}")
            for figure in figures:
                low, high = figure.raw.get("min"), figure.raw.get("max")
                table.add_row(
                    f"{figure.name}\n[dim]{figure.note}" if figure.note else figure.name,
                    f"{figure.value:.3g} {figure.unit}".strip(),
                    "" if figure.bar is None else f"{figure.bar:g}",
                    {True: "[green]passes", False: "[red]falls short", None: ""}[figure.passes],
                    "" if low is None or high is None else f"{low:.3g} - {high:.3g}",
                )
            table.add_section()
        for name, reason in self.skipped.items():
            table.add_row(f"[bold]{name}[/]\n[yellow]skipped: {reason}")
        return table

    def show(self) -> None:
        """Print the table."""
        Console().print(self.table())

    def write(self) -> None:
        """Write the JSON."""
        figures = [
            {"measurement": name, **asdict(figure), "passes": figure.passes}
            for name, some in self.figures.items()
            for figure in some
        ]
        text = json.dumps(
            {
                "started": self.started,
                "machine": machine(),
                "options": asdict(self.options) | {"output": str(self.options.output)},
                "figures": figures,
                "skipped": self.skipped,
            },
            indent=1,
        )
        self.options.output.write_text(text + "\n")


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
