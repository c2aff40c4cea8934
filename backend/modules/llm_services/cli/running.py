"""Runs what a command does, and turns errors of ours into a line and an exit code.

0: it went well. 1: it did not. 2: it was asked for in a way that makes no sense. 130: Ctrl-C.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import typer

from .output import note, show_json

T = TypeVar("T")
FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def run(
    work: Callable[[], Coroutine[Any, Any, T]],
    *,
    as_json: bool = False,
    interrupted: int = INTERRUPTED,
) -> T:
    """What the coroutine gives. Ctrl-C cancels it, so that its rows are settled first."""
    from sqlalchemy.exc import SQLAlchemyError

    from modules.llm_services.public import LLMError

    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        raise typer.Exit(interrupted) from None
    except LLMError as error:
        _end(error, as_json=as_json)
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        from .schema_check import explained

        _end(explained(error), as_json=as_json)
    except OSError as error:
        if error.filename is None:  # whoever read our stdout has gone: typer's to end
            raise
        _end(LLMError(f"{error.filename}: {error.strerror}"), as_json=as_json)


def misuse(message: str) -> typer.BadParameter:
    """An error of whoever typed the command, to be raised."""
    return typer.BadParameter(message)


def _end(error: Any, *, as_json: bool) -> NoReturn:
    from modules.llm_services.public import LLMConfigurationError, LLMInputError

    if as_json:
        show_json("error", error)
    row = f" (row {error.request_id})" if error.request_id else ""
    again = "; trying again may help" if error.retryable else ""
    note(f"llm-services: {error.message}{row}{again}")
    wrong = isinstance(error, LLMInputError | LLMConfigurationError)
    raise typer.Exit(MISUSED if wrong else FAILED) from None
