"""What goes to the terminal: tables where somebody looks, lines with tabs where a program reads."""

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Literal, TextIO

from .visible import one_line, visible

_NUMBER = re.compile(r"[-+\d.,%]*")
_DAY_AND_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\dZ)$")  # breaks between the two
NOTHING = "-"


def show_json(kind: str, data: object, **more: object) -> None:
    """One line of JSON."""
    from .as_json import answer

    write(answer(kind, data, **more))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table in a terminal; else a line for each row, tabs between, whole and without colour."""
    cells = [[cell(value) for value in row] for row in rows]
    if is_terminal(sys.stdout):
        _draw(columns, cells)
        return
    for row in ([name.upper() for name in columns], *cells):
        write("\t".join(row))


def cell(value: object) -> str:
    """A value as a table shows it."""
    return NOTHING if value is None else one_line(str(value))


def write(text: str) -> None:
    """A line of the answer. The text is taken as safe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show_text(text: str) -> None:
    """Text of others, line by line."""
    write(visible(text))


def note(text: str) -> None:
    """Something about the answer that is no part of it."""
    sys.stderr.write(f"{visible(text)}\n")
    sys.stderr.flush()


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody looks."""
    return stream.isatty()


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(columns):
        numbers = all(_NUMBER.fullmatch(row[place]) for row in rows)
        side: Literal["left", "right"] = "right" if numbers else "left"
        table.add_column(name, justify=side, overflow="fold", no_wrap=name == "id")  # to be copied
    for row in rows:
        table.add_row(*(Text(_DAY_AND_TIME.sub(r"\1 \2", text)) for text in row))
    Console(file=sys.stdout, markup=False, highlight=False, emoji=False).print(table)
