"""Several coroutines side by side, of which one failure ends all."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def all_of(answers: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All answers in order; the first error ends the others and comes out as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer) for answer in answers]
    except BaseExceptionGroup as errors:  # not `except*`: it wraps what is raised inside it again
        raise _gravest(errors) from None
    return [task.result() for task in tasks]


def _gravest(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error, unless one is no ``Exception``: such a one is not to be handled."""
    fatal = (error for error in errors.exceptions if not isinstance(error, Exception))
    return next(fatal, errors.exceptions[0])
