"""How the module is doing, and the one word that a model is asked for by a probe."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain

from modules.llm_services import arguments
from modules.llm_services.exceptions import LLMError, LLMRefusedError, LLMTruncatedError
from modules.llm_services.roles import DEFAULT_ROLES, ModelChoice, resolve_model
from modules.llm_services.types import LLMMessageDTO
from modules.llm_services.types.health import (
    CircuitHealth,
    DatabaseHealth,
    HealthReport,
    HealthStatus,
    ProbeHealth,
    ProviderHealth,
    SpoolHealth,
)
from modules.llm_services.wiring import problem_of, retiring_models, running_loop

from .text import TextUseCases

_PROBED_ROLES = (None, "fast", "smart")
_ONE_WORD = [LLMMessageDTO(role="user", content="Say: ok")]
_PROBE_TOKENS, _PROBE_SECONDS = 16, 20.0
_FEATURE = "health"


class HealthUseCases(TextUseCases):
    """Implements `TellsHealth`."""

    async def health(self, *, probe: bool = False) -> HealthReport:
        """How the module is doing. See `TellsHealth.health`."""
        asks, runtime = arguments.yes_or_no("probe", probe), self._runtime
        running_loop()
        database, spool = await asyncio.gather(runtime.pulse.feel(), runtime.ledger_status())
        probes = await self._probes() if asks else ()
        providers = tuple(self._provider(name, probes) for name in self._names(probes))
        return HealthReport(
            status=self._status(database, SpoolHealth.model_validate(spool), providers),
            database=database,
            spool=SpoolHealth.model_validate(spool),
            providers=providers,
            retiring=retiring_models(runtime.config, runtime.providers, datetime.now(UTC).date()),
        )

    def _choice(self, role: str | None) -> ModelChoice:
        return resolve_model(self._runtime.config, self._runtime.providers, role)

    async def _probes(self) -> tuple[tuple[str, ProbeHealth], ...]:
        asked = dict.fromkeys(
            (choice.provider, choice.model) for choice in map(self._choice, _PROBED_ROLES)
        )
        answers = await asyncio.gather(*(self._probe(*one) for one in asked))
        return tuple(zip((provider for provider, _ in asked), answers, strict=True))

    async def _probe(self, provider: str, model: str) -> ProbeHealth:
        try:
            await self.generate_response(
                _ONE_WORD,
                model=f"{provider}:{model}",
                max_tokens=_PROBE_TOKENS,
                max_retries=0,
                timeout=_PROBE_SECONDS,
                cache=False,
                feature=_FEATURE,
            )
        except (LLMTruncatedError, LLMRefusedError):  # an answer, if not the one asked for
            return ProbeHealth(model=model, answers=True)
        except LLMError as error:
            return ProbeHealth(model=model, answers=False, error_type=error.error_type)
        return ProbeHealth(model=model, answers=True)

    def _names(self, probes: Iterable[tuple[str, ProbeHealth]]) -> list[str]:
        """Providers that roles name, then others that have been asked."""
        roles = dict.fromkeys((None, *DEFAULT_ROLES, *self._runtime.config.roles))
        named = (self._choice(role).provider for role in roles)
        asked = (circuit.provider for circuit in self._runtime.circuits())
        answered = self._runtime.gate.last_success
        return list(dict.fromkeys(chain(named, (name for name, _ in probes), asked, answered)))

    def _provider(self, name: str, probes: Iterable[tuple[str, ProbeHealth]]) -> ProviderHealth:
        last = self._runtime.gate.last_success.get(name)
        circuits = [one for one in self._runtime.circuits() if one.provider == name]
        return ProviderHealth(
            name=name,
            problem=problem_of(self._runtime.config, name),
            last_success=None if last is None else datetime.fromtimestamp(last, UTC),
            circuits=tuple(CircuitHealth.model_validate(one) for one in circuits),
            probes=tuple(answer for asked, answer in probes if asked == name),
        )

    def _status(
        self, database: DatabaseHealth, spool: SpoolHealth, providers: Iterable[ProviderHealth]
    ) -> HealthStatus:
        default = self._choice(None).provider
        if any(one.problem for one in providers if one.name == default):
            return "down"
        if not database.answers and not self._runtime.spools:
            return "down"
        troubled = any(_is_troubled(one) for one in providers)
        waits = spool.mode == "away" or spool.spooled or not database.answers
        return "degraded" if waits or troubled else "ok"


def _is_troubled(provider: ProviderHealth) -> bool:
    is_open = any(circuit.state != "closed" for circuit in provider.circuits)
    return is_open or not all(probe.answers for probe in provider.probes)
