"""Where the command ``llm-services`` begins."""

import sys

_OURS = frozenset(("typer", "rich"))


def main() -> None:
    """Run the command line; without its extra, say so in one line."""
    try:
        from .app import app
    except ModuleNotFoundError as error:
        if error.name not in _OURS:
            raise
        sys.exit("llm-services: the command line is an extra: pip install 'llm-services[cli]'")
    app(prog_name="llm-services")
