"""The door of the room: nothing happens behind it until the program has an OpenTelemetry SDK."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modules.llm_services.types import Call

    from .attributes import Row, Server
    from .observation import Observation
    from .signals import Signals

_PORTS = {"http": 80, "https": 443}
_PAUSE = 1.0  # seconds between two looks for an SDK: programs set it up when they start


class Telemetry:
    """Spans and numbers of calls. ``content`` puts on spans what the ledger keeps of prompts and
    answers; ``endpoints`` are the addresses of providers.
    """

    def __init__(
        self,
        *,
        enabled: bool = True,
        content: bool = False,
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        self._enabled = enabled
        self._content = content
        self._servers = {name: _server(url) for name, url in (endpoints or {}).items()}
        self._signals: Signals | None = None
        self._next_look = 0.0

    def observe(self, call: Call) -> Observation | None:
        """What watches the call; ``None`` when nobody listens."""
        signals = self._found()
        if signals is None:
            return None
        from .observation import Observation

        server = self._servers.get(call.provider)
        return Observation(signals, call, server, content=self._content)

    def settled_late(self, call: Call, row: Row) -> None:
        """Count what a batch's call took. It has no span: hours lie between its ends."""
        signals = self._found()
        if signals is not None:
            from .attributes import whose

            facts = whose(call, self._servers.get(call.provider))
            signals.count_use(facts, call.attribution.feature, row)

    def _found(self) -> Signals | None:
        """The API is never loaded by us: without it in the program there is no SDK either."""
        if self._signals is None and self._enabled and "opentelemetry.trace" in sys.modules:
            self._look()
        return self._signals

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._next_look:
            return
        from .signals import Signals, listened_to

        self._next_look = now + _PAUSE
        self._signals = Signals() if listened_to() else None


def _server(url: str) -> Server:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
