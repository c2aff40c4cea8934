"""Which of a role's models is asked first."""

from collections import Counter
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from random import Random

import pytest

from modules.llm_services.config import LLMConfig, create_llm_config_from_env
from modules.llm_services.exceptions import (
    LLMConfigurationError,
    LLMContextLengthError,
    LLMError,
    LLMProviderError,
)
from modules.llm_services.pricing import Price, PriceList
from modules.llm_services.roles import resolve_model, role_faults
from modules.llm_services.routing import Router
from modules.llm_services.testing import FakeLLMServices
from modules.llm_services.types import Candidate, LLMMessageDTO, Usage
from modules.llm_services.wiring.retiring import retiring_models
from tests.llm_services.test_recording import a_call

PROVIDERS = frozenset({"openai", "local"})
ASK = [LLMMessageDTO(role="user", content="Tell me about Mars.")]


def role(text: str, strategy: str | None = None) -> LLMConfig:
    """The configuration of one role."""
    strategies = {} if strategy is None else {"role_strategies": {"x": strategy}}
    return LLMConfig(roles={"x": text}, **strategies)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "models", "weights"),
    [
        ("openai:a", ["openai:a"], [None]),
        ("openai:a,local:b", ["openai:a", "local:b"], [None, None]),
        (" openai:a@3, local:b@1 ", ["openai:a", "local:b"], [3, 1]),
        ("a , b, local:c:d", ["openai:a", "openai:b", "local:c:d"], [None] * 3),
        ("openai:a:fault=1,times=2,local:b", ["openai:a:fault=1,times=2", "local:b"], [None, None]),
        ("local:claude@20260915,local:g@001", ["local:claude@20260915", "local:g@001"], [None] * 2),
    ],
)
def test_a_role_may_stand_for_several_models(
    text: str, models: list[str], weights: list[int | None]
) -> None:
    """Commas part them, ``@1`` to ``@999`` weigh them; versions of models are no weights."""
    seen: list[Candidate] = []

    def order(_strategy: object, found: object) -> list[Candidate]:
        seen.extend(found)  # type: ignore[arg-type]
        return seen

    choice = resolve_model(role(text), PROVIDERS, "x", order)
    others = [str(one) for one in choice.others]
    assert [f"{choice.provider}:{choice.model}", *others] == models
    assert [one.weight for one in seen] == (weights if len(weights) > 1 else [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("openai:a,nobody:b", "names the provider 'nobody'"),
        ("openai:a, ", "1 to 100 printable"),
        ("openai:a@2,openai:a@1", "is named twice"),
    ],
)
def test_a_bad_role_is_found_at_start(text: str, told: str) -> None:
    """Every model of a role is looked at before the first call."""
    [fault] = role_faults(role(text), PROVIDERS)
    assert fault.startswith("LLM_ROLES__X: ")
    assert told in fault


def test_strategies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable for each role; a wrong word is told of by its name."""
    monkeypatch.setenv("LLM_ROLE_STRATEGIES__SMART", "cheapest")
    assert create_llm_config_from_env().role_strategies == {"smart": "cheapest"}
    monkeypatch.setenv("LLM_ROLE_STRATEGIES__SMART", "best")
    with pytest.raises(LLMConfigurationError, match="LLM_ROLE_STRATEGIES__SMART"):
        create_llm_config_from_env()


class Priced(PriceList):
    """A dollar for each letter of a model's name; names with a question mark have none."""

    def price(
        self,
        provider: str,
        model: str,
        usage: Usage,
        at: datetime,
        *,
        response_model: str | None = None,
        service_tier: str | None = None,
    ) -> Price:
        del provider, usage, at, response_model, service_tier
        return Price(None if "?" in model else Decimal(len(model)), "override")


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def candidates(*names: str) -> list[Candidate]:
    """Models of one provider."""
    return [Candidate(provider="local", model=name) for name in names]


def first(router: Router, strategy: str, *names: str) -> str:
    """The model that is asked first."""
    return router.order(strategy, candidates(*names))[0].model  # type: ignore[arg-type]


def test_the_cheapest_is_asked_first() -> None:
    """By the price of a typical request; one whose price nobody knows comes last."""
    ordered = Router(Priced()).order("cheapest", candidates("x?", "long", "b", "a"))
    assert [one.model for one in ordered] == ["b", "a", "long", "x?"]


def test_weights_are_chances() -> None:
    """Of a thousand calls each model gets its share, and all of them stay in the list."""
    router = Router(PriceList(), chance=Random(7).random)  # noqa: S311 - no secret
    found = [Candidate(provider="local", model=m, weight=w) for m, w in (("a", 3), ("b", 1))]
    orders = [router.order("weighted", found) for _ in range(1000)]
    counted = Counter(order[0].model for order in orders)
    assert 700 < counted["a"] < 800
    assert {len(order) for order in orders} == {2}
    assert router.order("ordered", found) is found


def test_the_fastest_is_asked_first() -> None:
    """By the median of what it took lately; who fails is slow, and is tried again in minutes."""
    clock = Clock()
    router = Router(PriceList(), clock=clock)

    def took(model: str, seconds: float, error: LLMError | None = None) -> None:
        call = a_call(provider="local", model=model)
        with suppress(LLMError), router.timed(call):
            clock.now += seconds
            if error:
                raise error

    assert first(router, "fastest", "slow", "quick") == "slow"  # nobody knows yet
    took("slow", 3)
    assert first(router, "fastest", "slow", "quick") == "quick"
    took("quick", 1)
    took("quick", 9, LLMContextLengthError("the caller's fault"))
    assert first(router, "fastest", "slow", "quick") == "quick"
    took("quick", 0.1, LLMProviderError("down"))
    took("quick", 0.1, LLMProviderError("down"))
    assert first(router, "fastest", "slow", "quick") == "slow"
    clock.now += 299
    assert first(router, "fastest", "slow", "quick") == "slow"
    clock.now += 2
    took("slow", 3)
    assert first(router, "fastest", "slow", "quick") == "quick"


@pytest.mark.parametrize("strategy", [None, "cheapest", "fastest", "ordered"])
async def test_calls_follow_their_roles_strategy(strategy: str | None) -> None:
    """A call that names the role is answered by one of its models, and by the next in its place."""
    config = role("openai:a@1,local:b@1", strategy)
    strategies = config.role_strategies
    providers = {"local": {"base_url": "http://localhost:1/v1"}}
    with FakeLLMServices(
        roles=config.roles, role_strategies=strategies, providers=providers
    ) as fake:
        fake.fails_with(LLMProviderError, model="a")
        for _ in range(3):
            response, _ = await fake.generate_response(ASK, model="x")
            assert (response.model, response.requested_model) == ("b", "x")
            assert response.fallback_from in {None, "openai:a"}


def test_every_model_of_a_role_is_told_of_before_its_end() -> None:
    """A model that follows another is as much in need of a successor as the first."""
    config = role("openai:gpt-6-luna,openai:gpt-4o-mini-tts")
    found = retiring_models(config, frozenset({"openai"}), date(2026, 12, 1))
    assert "gpt-4o-mini-tts" in {one.model for one in found if one.role == "x"}
