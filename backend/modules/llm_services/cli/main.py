"""Where the command ``llm-services`` begins."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_OURS = frozenset(("typer", "rich"))
_SAID_ANYWAY = (
    "modules.llm_services.recording.lease",  # that the database does not answer
    "modules.llm_services.pricing.prices",  # that a price is not known
)


def main() -> None:
    """Run the command line; without its extra, say so in one line."""
    try:
        from .app import app
    except ModuleNotFoundError as error:
        if error.name not in _OURS:
            raise
        sys.exit("llm-services: the command line is an extra: pip install 'llm-services[cli]'")
    with _quiet():
        app(prog_name="llm-services")


@contextmanager
def _quiet() -> Iterator[None]:
    """Commands say these things themselves, where they belong."""
    loggers = [logging.getLogger(name) for name in _SAID_ANYWAY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
