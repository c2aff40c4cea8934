"""The figures as a table in Markdown, as JSON, and as a chart."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

from .clients import CLIENTS, REFERENCE
from .environments import python_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One client in one row: milliseconds a call, and the process's peak memory in MiB."""

    NAMES: ClassVar[tuple[str, ...]] = (
        *("cpu_ms", "wall_ms", "p50_ms", "p95_ms", "p99_ms"),
        "peak_mib",
    )
    cpu_ms: float
    wall_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    peak_mib: float


Row: TypeAlias = tuple[str, int, int]
Figures: TypeAlias = dict[Row, dict[str, Cell]]


def write(figures: Figures, folder: Path) -> None:
    """Print the table, and keep it with the raw figures and the chart."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = table(figures)
    print(shown)
    (folder / "calls.md").write_text(shown)
    raw = [
        {"mode": mode, "concurrency": at_once, "messages": messages, "client": name, **asdict(cell)}
        for (mode, at_once, messages), cells in figures.items()
        for name, cell in cells.items()
    ]
    (folder / "calls.json").write_text(json.dumps(raw, indent=1) + "\n")
    _chart(folder)


def table(figures: Figures) -> str:
    """Processor time of each client as a multiple of the reference's in the same row."""
    rows = list(figures)
    head = ["client", *(_title(row) for row in rows)]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, title in CLIENTS.items():
        cells = [_shown(figures[row], name) for row in rows]
        if any(cells):
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _title(row: Row) -> str:
    mode, at_once, messages = row
    return f"{mode} ×{at_once}" + (f", {messages} messages" if messages > 2 else "")


def _shown(cells: Mapping[str, Cell], name: str) -> str:
    cell, reference = cells.get(name), cells.get(REFERENCE)
    if cell is None:
        return ""
    ratio = f"**{cell.cpu_ms / reference.cpu_ms:.2f}** " if reference else ""
    return f"{ratio}({cell.cpu_ms:.2f} ms)"


def _chart(folder: Path) -> None:
    """Drawn by a Python of its own: matplotlib is nobody's dependency."""
    subprocess.run([python_of("chart"), "-m", "benchmarks.calls.chart", folder], check=True)
