"""The lines of one process, by provider and model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .headers import heard_in
from .line import Line
from .rules import rule_for
from .shared import SharedLimits
from .shared_line import SharedLine

if TYPE_CHECKING:
    from modules.llm_services.config import LLMConfig
    from modules.llm_services.setting_types import LimitSettings
    from modules.llm_services.types import Call


QUEUE_LIMIT = 1_000


class Limits:
    """Each model has a line of its own; a rule for many models holds for each of them."""

    def __init__(
        self,
        rules: Mapping[str, LimitSettings] | None = None,
        queue: int = QUEUE_LIMIT,
        shared: SharedLimits | None = None,
    ) -> None:
        self._rules = rules or {}
        self._queue = queue
        self._shared = shared
        self._lines: dict[tuple[str, str], Line] = {}

    def line(self, provider: str, model: str) -> Line:
        """The line of a model."""
        return self._lines.get((provider, model)) or self._new(provider, model)

    def _new(self, provider: str, model: str) -> Line:
        name, rule = f"{provider}:{model}", rule_for(self._rules, provider, model)
        line = Line(name, rule, self._queue)
        if rule is not None and self._shared is not None:
            line = SharedLine(name, rule, self._queue, self._shared)
        return self._lines.setdefault((provider, model), line)

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        if self._shared is not None:
            await self._shared.aclose()

    def hear(self, call: Call, headers: Mapping[str, str]) -> None:
        """Learn from the headers of an answer."""
        line = self.line(call.provider, call.model)
        heard = heard_in(headers) if line.listens else None
        if heard is not None:
            line.hear(heard)


def configured_limits(config: LLMConfig) -> Limits:
    """The limits of the settings, shared where there is a Redis."""
    shared = None
    if config.redis_url is not None and config.limits:
        url = config.redis_url.get_secret_value()
        shared = SharedLimits(url, patience=config.redis_timeout)
    return Limits(config.limits, config.queue_limit, shared)
