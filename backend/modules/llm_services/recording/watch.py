"""Tells the living from the gone by what changes, measured by one monotonic clock: our own."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from modules.llm_services.repo import Owner


@dataclass(frozen=True, slots=True)
class _Sign:
    """What was seen of an owner, and since when it has looked like that."""

    beat: int | None
    has_rows: bool
    since: float


class Watch:
    """Observes owners by looking again and again. One that shows no change for ``lease`` seconds
    is gone.

    Nobody's clock is compared with anybody else's. Who was not looking saw no beat: after a pause
    of ours of half a lease, and after `start_over`, everybody has a full lease again.
    """

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._signs: dict[UUID, _Sign] = {}
        self._last_look = 0.0

    def gone(self, owners: Iterable[Owner], now: float) -> list[Owner]:
        """Take note of a look at ``now`` (monotonic seconds), and say who of ``owners`` is gone."""
        if now - self._last_look > self._lease / 2:
            self.start_over()
        self._last_look = now
        seen = {owner.id: (owner, self._sign(owner, now)) for owner in owners}
        self._signs = {id_: sign for id_, (_, sign) in seen.items()}
        return [owner for owner, sign in seen.values() if now - sign.since >= self._lease]

    def start_over(self) -> None:
        """Forget what was seen: the database was away, and nobody could beat."""
        self._signs.clear()

    def _sign(self, owner: Owner, now: float) -> _Sign:
        """A process that was idle has not beaten for long: its time begins with its rows."""
        known = self._signs.get(owner.id)
        if known and (known.beat, known.has_rows) == (owner.beat, owner.has_rows):
            return known
        return _Sign(owner.beat, owner.has_rows, now)
