"""The queue of one model whose limits are kept by many processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .line import LONGEST_PAUSE, Line, Ticket

if TYPE_CHECKING:
    import asyncio

    from modules.llm_services.setting_types import LimitSettings

    from .shared import SharedLimits


class SharedLine(Line):
    """A line whose first asks Redis for a place; without Redis it keeps its share by itself.

    Those who wait in one process are served in order; among processes the first of each compete.
    """

    def __init__(self, name: str, rule: LimitSettings, queue: int, shared: SharedLimits) -> None:
        super().__init__(name, rule, queue)
        self._rule = rule
        self._shared = shared
        self._alone = False
        self._told_until = 0.0
        self._kept: dict[Ticket, tuple[str, asyncio.Task[None] | None]] = {}

    async def enter(self, tokens: int, seconds: float) -> Ticket:
        """See `Line.enter`."""
        return await self._wait(tokens, seconds)

    async def _try(self, tokens: int) -> Ticket | None:
        if self._held_back(tokens):
            return None
        wanted = min(tokens, self._rule.tpm) if self._rule.tpm else tokens
        said = await self._shared.take(self._name, self._rule, wanted)
        self._alone = said is None
        self._limit_to(self._rule, self._shared.processes if self._alone else 1)
        if said is None:
            return self._take(tokens)
        self._told_until = self._clock() + said.wait
        return self._placed(tokens, said.place) if said.place else None

    def _placed(self, tokens: int, place: str) -> Ticket:
        with self._lock:
            ticket = self._admitted(tokens)
        renewing = self._shared.keep(self._name, place) if self._rule.concurrency else None
        self._kept[ticket] = (place, renewing)
        return ticket

    def _wait_for(self, tokens: int, ahead: int = 0) -> float:
        if self._alone:
            return super()._wait_for(tokens, ahead)
        return max(self._held_back(tokens), self._told_until - self._clock())

    def pause(self, seconds: float) -> None:
        """See `Line.pause`: the other processes are told."""
        super().pause(seconds)
        self._shared.pause(self._name, min(seconds, LONGEST_PAUSE))

    def leave(self, ticket: Ticket, tokens: int | None) -> None:
        """See `Line.leave`."""
        place, renewing = self._kept.pop(ticket, (None, None))
        if renewing is not None:
            renewing.cancel()
        if place is not None:
            self._shared.give_back(self._name, place, tokens)
        super().leave(ticket, tokens)
