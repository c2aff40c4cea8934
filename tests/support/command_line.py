"""The command line as tests call it: in this process, and as a process of its own."""

import json
import os
import subprocess
import sys
from typing import Any

from typer.testing import CliRunner, Result

from modules.llm_services.cli.app import app
from tests.architecture.sources import BACKEND


def run(*words: str, given: str | None = None) -> Result:
    """Call ``llm-services`` in this process; a traceback fails the test."""
    return CliRunner().invoke(app, words, input=given, catch_exceptions=False)


def answer(*words: str, given: str | None = None) -> Any:
    """What a command that goes well answers with ``--json``."""
    result = run(*words, "--json", given=given)
    assert result.exit_code == 0, result.output
    whole = json.loads(result.stdout)
    assert whole["version"] == 1
    return whole["data"]


# A shell lets what it runs in the background ignore Ctrl-C, and its children with it.
_LISTENING = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("modules.llm_services.cli", run_name="__main__")
"""


def start(*words: str) -> "subprocess.Popen[str]":
    """``llm-services`` as a process with pipes, which Ctrl-C reaches."""
    return subprocess.Popen(
        [sys.executable, "-c", _LISTENING, *words],
        env={**os.environ, "PYTHONPATH": str(BACKEND)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
