"""Which of a role's models is asked first. Each process learns for itself how quick they are."""

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from statistics import median

from modules.llm_services.exceptions import LLMError
from modules.llm_services.pricing import PriceList
from modules.llm_services.types import Call, Candidate, Strategy, Usage

_TYPICAL = Usage(prompt_tokens=3_000, completion_tokens=1_000)
_MEASURED = 20
_FRESH = 300.0  # seconds after which a model that was slow is tried again


class Router:
    """Orders the models of roles. ``chance`` gives numbers from 0 to 1, ``clock`` seconds."""

    def __init__(
        self,
        prices: PriceList,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prices = prices
        self._chance = chance
        self._clock = clock
        self._taken: dict[tuple[str, str], deque[tuple[float, float]]] = {}
        self._orders: Mapping[Strategy, Callable[[Candidate], float]] = {
            "weighted": self._drawn,
            "cheapest": self._price,
            "fastest": self._latency,
        }

    def order(self, strategy: Strategy, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The models in the order in which they are asked; equals stay as they are written."""
        by = self._orders.get(strategy)
        return candidates if by is None else sorted(candidates, key=by)

    def _drawn(self, one: Candidate) -> float:
        """Times of events with rates: the least is each one's with a chance of weight by sum.

        Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006).
        """
        return -math.log(1 - self._chance()) / (one.weight or 1)

    def _price(self, one: Candidate) -> float:
        """USD of a typical request; a price that nobody knows comes last."""
        total = self._prices.price(one.provider, one.model, _TYPICAL, datetime.now(UTC)).total
        return math.inf if total is None else float(total)

    def _latency(self, one: Candidate) -> float:
        """The median of the last answers in seconds. Who has not been asked lately, is."""
        since = self._clock() - _FRESH
        recent = [took for at, took in tuple(self._taken.get(one.key, ())) if at >= since]
        return median(recent) if recent else 0.0

    @contextmanager
    def timed(self, call: Call) -> Iterator[None]:
        """Remember how long a request took; one that fails for the provider's part counts as the
        slowest of all.
        """
        began = self._clock()
        try:
            yield
        except LLMError as error:
            if error.retryable:
                self._note(call, math.inf)
            raise
        self._note(call, self._clock() - began)

    def _note(self, call: Call, took: float) -> None:
        taken = self._taken.setdefault((call.provider, call.model), deque(maxlen=_MEASURED))
        taken.append((self._clock(), took))
