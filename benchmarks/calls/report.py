"""The figures as a table in Markdown, as JSON, and as a chart where matplotlib is at hand."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

from .clients import CLIENTS, REFERENCE


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
    _chart(figures, folder / "calls.png")


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


def _chart(figures: Figures, path: Path) -> None:
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = list(figures)
    names = [name for name in CLIENTS if any(name in cells for cells in figures.values())]
    figure, axes = plt.subplots(figsize=(12, 5))
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        heights = [_ratio(figures[row], name) for row in rows]
        places = [place + index * width for place in range(len(rows))]
        axes.bar(places, heights, width, label=CLIENTS[name])
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(
        [place + 0.4 for place in range(len(rows))],
        [_title(row) for row in rows],
        rotation=30,
        ha="right",
    )
    axes.set_ylabel("processor time per call, bare SDK = 1")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def _ratio(cells: Mapping[str, Cell], name: str) -> float:
    cell, reference = cells.get(name), cells.get(REFERENCE)
    return cell.cpu_ms / reference.cpu_ms if cell and reference else 0.0
