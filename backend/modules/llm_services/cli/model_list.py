"""What each role stands for: models with their prices, windows and ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from modules.llm_services.pricing import PriceList, context_window
from modules.llm_services.retirements import retirement_of
from modules.llm_services.roles import DEFAULT_ROLES, resolve_model
from modules.llm_services.types import Usage
from modules.llm_services.wiring import Runtime, problem_of

_TOKENS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A model of a role; ``problem`` is what its provider lacks. Prices are USD for a million
    tokens of a short prompt and of its answer; ``None`` is not known.
    """

    role: str
    provider: str
    model: str
    problem: str | None
    input_cost: Decimal | None
    output_cost: Decimal | None
    context_window: int | None
    retires_on: date | None
    instead: str | None


def listed_models(runtime: Runtime) -> list[ListedModel]:
    """The models of all roles, a role's first one first."""
    roles = dict.fromkeys((*DEFAULT_ROLES, *runtime.config.roles))
    return [model for role in roles for model in _models_of(runtime, role)]


def _models_of(runtime: Runtime, role: str) -> Iterator[ListedModel]:
    choice = resolve_model(runtime.config, runtime.providers, role)
    others = ((other.provider, other.model) for other in choice.others)
    for provider, model in ((choice.provider, choice.model), *others):
        end = retirement_of(provider, model)
        yield ListedModel(
            role=role,
            provider=provider,
            model=model,
            problem=problem_of(runtime.config, provider),
            input_cost=_price(runtime.prices, provider, model, prompt=_TOKENS),
            output_cost=_price(runtime.prices, provider, model, completion=_TOKENS),
            context_window=context_window(provider, model),
            retires_on=None if end is None else end.day,
            instead=None if end is None else end.instead,
        )


def _price(
    prices: PriceList, provider: str, model: str, prompt: int = 0, completion: int = 0
) -> Decimal | None:
    used = Usage(prompt_tokens=prompt, completion_tokens=completion)
    total = prices.price(provider, model, used, datetime.now(UTC)).total
    return None if total is None else (total * 1_000_000 / _TOKENS).normalize()
