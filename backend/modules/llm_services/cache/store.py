"""What keeps entries."""

import logging
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from .entry import Labels, Selection

logger = logging.getLogger(__name__)


class CacheStore(Protocol):
    """Keeps bytes by key. A store that fails has nothing: it never raises, and warns once."""

    async def get(self, key: str) -> bytes | None:
        """What is kept under a key."""
        ...

    def at_hand(self, key: str, /) -> bytes | None:
        """The same where nothing has to be waited for: in this process's memory."""
        ...

    def turn(self, key: str) -> AbstractAsyncContextManager[bytes | None]:
        """The same, and when there is nothing: alone, among all processes that share the store,
        with the right to find out. Waits while another process does.
        """
        ...

    async def put(self, key: str, packed: bytes, labels: Labels, seconds: float) -> None:
        """Keep bytes for some seconds, in place of what was there."""
        ...

    async def clear(self, selection: Selection) -> int:
        """Forget entries; how many there were. This one raises `OSError` when it cannot."""
        ...

    async def aclose(self) -> None:
        """Let go of what belongs to the running loop."""
        ...

    def close(self) -> None:
        """Let go of everything else."""
        ...


class Trouble:
    """One warning for as long as something does not work, and a word when it does again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told = False

    def tell(self, error: BaseException) -> None:
        """It does not work."""
        if not self._told:
            logger.warning(
                "the cache %s cannot be used (%s): calls go on without it",
                self._what,
                type(error).__name__,
            )
        self._told = True

    def over(self) -> None:
        """It works."""
        if self._told:
            logger.info("the cache %s can be used again", self._what)
        self._told = False
