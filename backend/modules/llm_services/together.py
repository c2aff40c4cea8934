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
    except ExceptionGroup as errors:  # not `except*`: it wraps what is raised inside it again
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
