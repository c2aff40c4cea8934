"""How far long work is: a bar on stderr where somebody looks, else nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from .output import is_terminal

Tell: TypeAlias = Callable[[int, int], None]
"""Says how much is done, of how much in all."""


@contextmanager
def progress(what: str) -> Iterator[Tell]:
    """A bar for as long as the block lasts; it is gone after it."""
    if not is_terminal(sys.stderr):
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    words = TextColumn("{task.description}", markup=False)
    columns = (words, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
