"""What a provider has said is left, used up and refilled as it says."""

from .headers import Meter

_MINUTE = 60.0


class Allowance:
    """Requests or tokens that may still be sent, learnt from answers; unlimited until then.

    It is refilled evenly, at the pace at which the provider said that it would be whole again.
    """

    def __init__(self) -> None:
        self._limit: int | None = None
        self._left = 0.0
        self._pace = 1.0
        self._at = 0.0

    @property
    def known(self) -> bool:
        """Whether the provider has said anything."""
        return self._limit is not None

    def hear(self, meter: Meter, now: float, under_way: int) -> None:
        """The provider's word, which need not know yet of what is under way."""
        self._limit, self._at = meter.limit, now
        self._left = meter.remaining - under_way
        used = meter.limit - meter.remaining
        self._pace = used / meter.reset if used and meter.reset else meter.limit / _MINUTE

    def wait(self, now: float, wanted: int) -> float:
        """Seconds until so much is there; more than the limit is taken for the limit."""
        if self._limit is None:
            return 0.0
        self._refill(now, self._limit)
        return max((min(wanted, self._limit) - self._left) / self._pace, 0.0)

    def spend(self, amount: int) -> None:
        """So much is sent."""
        self._left -= amount

    def _refill(self, now: float, limit: int) -> None:
        self._left = min(self._left + self._pace * (now - self._at), float(limit))
        self._at = now
