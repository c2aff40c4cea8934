"""The chart of `report`: processor time of each client, the bare SDK being 1.

``python -m benchmarks.calls.chart FOLDER``
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

from .clients import CLIENTS, REFERENCE

mpl.use("Agg")
from matplotlib import pyplot as plt


def draw(folder: Path) -> None:
    """Write ``calls.png`` beside ``calls.json``."""
    figures = json.loads((folder / "calls.json").read_text())
    cpu = {(_row(one), one["client"]): one["cpu_ms"] for one in figures}
    rows = [row for row, client in cpu if client == REFERENCE]  # a cache has nothing beside it
    if not rows:
        return
    names = [name for name in CLIENTS if any((row, name) in cpu for row in rows)]
    figure, axes = plt.subplots(figsize=(12, 5))
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        heights = [cpu.get((row, name), 0) / cpu[row, REFERENCE] for row in rows]
        places = [place + index * width for place in range(len(rows))]
        axes.bar(places, heights, width, label=CLIENTS[name])
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks([place + 0.4 for place in range(len(rows))], rows, rotation=20, ha="right")
    axes.set_ylabel("processor time per call, bare SDK = 1")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / "calls.png", dpi=110)


def _row(one: dict[str, Any]) -> str:
    said = f"{one['mode']} ×{one['concurrency']}"
    return said if one["messages"] == 2 else f"{said}, {one['messages']} messages"


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
