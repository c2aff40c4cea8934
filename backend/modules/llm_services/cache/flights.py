"""Calls under way that ask the same: one of them leads, the others wait for what it gets."""

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Landed(Generic[T]):
    value: T | None
    error: Exception | None = None


_Flight: TypeAlias = asyncio.Future[_Landed[T] | None]


class Flights(Generic[T]):
    """One leader for each key and event loop.

    What the leader gets is everybody's, and so are errors that ``concerns_all`` names: the same
    request would meet them again. Any other end of the leader, by its own deadline, its caller's
    leaving or a passing fault, is its own: the next in line leads.
    """

    def __init__(self, concerns_all: tuple[type[Exception], ...]) -> None:
        self._concerns_all = concerns_all
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Flight[T]]] = (
            WeakKeyDictionary()
        )

    async def share(
        self, key: str, lead: Callable[[], Awaitable[T]], until: float
    ) -> tuple[T, bool]:
        """What ``lead`` gives, and whether another call's did. Waits for others until a time of
        the monotonic clock, then raises `TimeoutError`.
        """
        flights = self._loops.setdefault(asyncio.get_running_loop(), {})
        while (flight := flights.get(key)) is not None:
            landed = await _wait_for(flight, until)
            if landed is not None:
                return _shared(landed), True
        return await self._lead(flights, key, lead), False

    async def _lead(
        self, flights: dict[str, _Flight[T]], key: str, lead: Callable[[], Awaitable[T]]
    ) -> T:
        flight = flights[key] = asyncio.get_running_loop().create_future()
        landed: _Landed[T] | None = None
        try:
            value = await lead()
        except self._concerns_all as error:
            landed = _Landed(None, error)
            raise
        else:
            landed = _Landed(value)
            return value
        finally:
            del flights[key]
            flight.set_result(landed)


async def _wait_for(flight: _Flight[T], until: float) -> "_Landed[T] | None":
    """How a flight ended. Who goes away meanwhile leaves it to the others."""
    await asyncio.wait((flight,), timeout=max(until - time.monotonic(), 0))
    if not flight.done():
        raise TimeoutError
    return flight.result()


def _shared(landed: "_Landed[T]") -> T:
    """Everybody gets an error of one's own, for it will learn whose it is."""
    if landed.error is not None:
        raise copy.copy(landed.error) from landed.error
    value: T = landed.value  # type: ignore[assignment]  # without an error there is a value
    return value
