"""What has begun and not ended, for whoever must not go before it has."""

from collections.abc import Iterator
from contextlib import contextmanager


class UnderWay:
    """True while something is. Calls of several event loops may share it."""

    def __init__(self) -> None:
        self._marks: set[object] = set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """The body is under way until it has ended, however it does."""
        mark = object()
        self._marks.add(mark)
        try:
            yield
        finally:
            self._marks.discard(mark)

    def __bool__(self) -> bool:
        return bool(self._marks)
