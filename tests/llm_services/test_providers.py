"""Which providers there are, what they need, and what their models are known to refuse."""

import sys

import pytest

from modules.llm_services.config import LLMConfig, create_llm_config_from_env
from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.providers.capabilities import SAMPLING, refused_parameters
from modules.llm_services.providers.factory import create_llm_provider, provider_names
from modules.llm_services.providers.openai import OpenAIProvider
from modules.llm_services.providers.rows import PROVIDERS

ALL = dict.fromkeys(SAMPLING, 0.5)


def configured(patch: pytest.MonkeyPatch, **variables: str) -> LLMConfig:
    """The configuration of these variables."""
    for name, value in variables.items():
        patch.setenv(name, value)
    return create_llm_config_from_env()


@pytest.mark.parametrize(
    ("model", "effort", "refuses"),
    [
        *[(model, None, True) for model in ("o1", "o3", "o4-mini", "o3-mini", "o1-2024-12-17")],
        *[(model, "none", True) for model in ("o3", "gpt-5", "gpt-5-mini", "gpt-5-pro")],
        *[(model, None, True) for model in ("gpt-5", "gpt-5-mini", "gpt-5-nano-2025-08-07")],
        *[(model, None, True) for model in ("gpt-5.2-pro", "gpt-6-pro", "gpt-5.1-chat-latest")],
        *[(model, "none", True) for model in ("gpt-6-astra", "gpt-6.1-sol")],
        *[(model, None, True) for model in ("gpt-6-luna", "gpt-5.5", "gpt-5.9-mini")],
        *[(model, "none", False) for model in ("gpt-6-luna", "gpt-5.5")],
        *[(model, None, False) for model in ("gpt-5.1", "gpt-5.4")],
        *[(model, "low", True) for model in ("gpt-5.1", "gpt-6-luna")],
        *[(model, "none", False) for model in ("gpt-5.1",)],
        *[(model, None, False) for model in ("gpt-4.1", "gpt-4o", "llama", "olmo-3", "o2", "")],
        *[pytest.param(m, None, True) for m in ("o3-mini-2025-01-31", "o4-mini-2025-04-16")],
    ],
)
def test_reasoning_models_refuse_sampling(model: str, effort: str | None, *, refuses: bool) -> None:
    """Sampling parameters go to a model only while it does not reason."""
    given = {**ALL, "max_tokens": 5, **({"reasoning_effort": effort} if effort else {})}
    assert refused_parameters(model, given) == (SAMPLING if refuses else frozenset())


def test_only_what_was_given_is_refused() -> None:
    """A parameter that nobody gave is not reported as dropped."""
    assert refused_parameters("o3", {"top_p": 1.0, "seed": 1}) == {"top_p"}
    assert refused_parameters("o3", {"seed": 1}) == frozenset()
    assert refused_parameters("o3", {}) == frozenset()


def test_known_providers_are_those_with_a_row_and_those_configured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A provider needs no code: variables are enough."""
    config = configured(monkeypatch, LLM_PROVIDERS__LOCAL__BASE_URL="http://localhost:1/v1")
    assert provider_names(config) == {*PROVIDERS, "local"}
    assert provider_names(LLMConfig()) >= {"openai", "azure_openai"}


@pytest.mark.parametrize(
    ("variables", "name", "missing"),
    [
        ({}, "openai", "OPENAI_API_KEY"),
        ({"OPENAI_BASE_URL": "http://localhost:1"}, "openai", "OPENAI_API_KEY"),
        ({}, "azure_openai", "AZURE_OPENAI_API_KEY"),
        ({"AZURE_OPENAI_API_KEY": "k1"}, "azure_openai", "AZURE_OPENAI_ENDPOINT"),
        ({"AZURE_OPENAI_ENDPOINT": "http://a"}, "azure_openai", "AZURE_OPENAI_API_KEY"),
        ({"LLM_PROVIDERS__X__API_KEY": "k1"}, "x", "LLM_PROVIDERS__X__BASE_URL"),
        ({}, "nobody", "LLM_PROVIDERS__NOBODY__BASE_URL"),
    ],
)
def test_what_a_provider_needs_is_asked_for_by_name(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str, missing: str
) -> None:
    """The error names the variable that has to be set."""
    config = configured(monkeypatch, **variables)
    with pytest.raises(LLMConfigurationError, match=f"^{missing} is not set$"):
        create_llm_provider(config, name)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"OPENAI_API_KEY": "sk-1"}, "openai"),
        ({"LLM_PROVIDERS__OPENAI__API_KEY": "sk-1"}, "openai"),
        ({"AZURE_OPENAI_API_KEY": "1", "AZURE_OPENAI_ENDPOINT": "http://a"}, "azure_openai"),
        ({"LLM_PROVIDERS__LOCAL__BASE_URL": "http://localhost:1/v1"}, "local"),
    ],
)
async def test_a_configured_provider_generates_text(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], name: str
) -> None:
    """With its variables set a provider is ready; a local one needs no key."""
    provider = create_llm_provider(configured(monkeypatch, **variables), name)
    assert provider.name == name
    assert isinstance(provider, OpenAIProvider)
    await provider.aclose()


def test_an_adapter_whose_sdk_is_not_installed_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who names a provider without its package is told what to install."""
    monkeypatch.setitem(sys.modules, "modules.llm_services.providers.searching", None)
    config = configured(monkeypatch, OPENAI_API_KEY="sk-1")
    with pytest.raises(LLMConfigurationError, match=r"install llm-services\[openai\]"):
        create_llm_provider(config)


def test_a_vendor_s_own_variable_is_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """``GROQ_API_KEY`` is read, and what is said for this module alone goes before it."""
    config = configured(monkeypatch, GROQ_API_KEY="gsk-1", LLM_PROVIDERS__XAI__API_KEY="x-2")
    keys = [config.provider(name).api_key for name in ("groq", "xai", "mistral")]
    assert [key and key.get_secret_value() for key in keys] == ["gsk-1", "x-2", None]
    config = configured(monkeypatch, LLM_PROVIDERS__GROQ__API_KEY="gsk-3")
    key = config.provider("groq").api_key
    assert key
    assert key.get_secret_value() == "gsk-3"
