"""One process's lease on its open rows in one database, and its part in ending those of others."""

import logging
import os
import socket
import time
from uuid import UUID, uuid4

from sqlalchemy import Engine

from modules.llm_services import repo
from modules.llm_services.repo import Owner

from .forking import transaction
from .watch import Watch

logger = logging.getLogger(__name__)

_GROUP = 1_000  # rows a transaction: bounds how long other writers wait


class Lease:
    """What is done in the database each round, in short transactions. Not safe across threads.

    While this process has rows open it beats. Rows of an owner that has not beaten for
    ``seconds`` are ended as ``failed``/``Interrupted``; a late answer still replaces that.
    """

    def __init__(self, engine: Engine, seconds: float) -> None:
        self.owner_id: UUID = uuid4()
        self._engine = engine
        self._watch = Watch(seconds)
        self._is_failing = False

    def round(self, *, opened: bool) -> bool:
        """Beat, look, and end what was left behind. ``opened``: rows were handed to the writer.

        Returns whether this process must go on beating. Never raises: a database that is away is
        told of once, and tried again in the next round.
        """
        try:
            busy = self._round(opened=opened)
        except Exception as error:  # noqa: BLE001 - the thread that beats must go on
            self._watch.start_over()
            self._complain(error)
            return True
        self._is_failing = False
        return busy

    def leave(self) -> None:
        """End what is still open, for nobody will beat for it, and forget this owner. Raises
        nothing: what the database does not take now is ended by whoever looks next.
        """
        try:
            own = [owner for owner in self._owners() if owner.id == self.owner_id]
            for owner in own:
                self._end(owner, "this process closed the ledger before the request had ended")
        except Exception as error:  # noqa: BLE001 - nobody is left to handle it
            self._complain(error)

    def _round(self, *, opened: bool) -> bool:
        now = time.monotonic()
        owners = self._owners()
        others = [owner for owner in owners if owner.id != self.owner_id]
        busy = opened or any(owner.has_rows for owner in owners if owner.id == self.owner_id)
        if busy or any(owner.has_rows for owner in others):
            # Who cannot write does not judge others: a locked database lets nobody beat.
            self._beat()
        for owner in self._watch.gone(others, now):
            self._end(owner, f"the process of this request ({_name(owner)}) is gone")
        return busy

    def _owners(self) -> list[Owner]:
        with transaction(self._engine) as connection:
            return repo.owners(connection)

    def _beat(self) -> None:
        with transaction(self._engine) as connection:
            repo.beat(connection, self.owner_id, host=socket.gethostname()[:255], pid=os.getpid())

    def _end(self, owner: Owner, reason: str) -> None:
        message = f"{reason}; the provider may have answered, and charged"
        ended = 0
        while owner.has_rows and (count := self._interrupt(owner, message)):
            ended += count
        with transaction(self._engine) as connection:
            repo.forget(connection, owner)
        if ended:
            logger.warning("%d open requests are settled as interrupted: %s", ended, reason)

    def _interrupt(self, owner: Owner, message: str) -> int:
        with transaction(self._engine) as connection:
            return repo.interrupt(connection, owner, message, _GROUP)

    def _complain(self, error: Exception) -> None:
        if not self._is_failing:
            cause = type(getattr(error, "orig", None) or error).__name__
            logger.warning("the leases on open requests wait for the database (%s)", cause)
        self._is_failing = True


def _name(owner: Owner) -> str:
    return "which never said its name" if owner.pid is None else f"pid {owner.pid} on {owner.host}"
