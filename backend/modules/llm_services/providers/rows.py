"""What is known of each provider, as data.

One that speaks OpenAI's formats is a row and nothing else. One with a format of its own names its
``adapter``, which `factory.ADAPTERS` loads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.llm_services.types import LLMProviderType

if TYPE_CHECKING:
    from modules.llm_services.setting_types import ApiFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow:
    """How a provider is reached, and in which format.

    ``key_variable`` is named when the key is missing; without it none is needed. ``base_url`` is
    the endpoint unless the settings say another; ``url_variable`` has to say it where there is no
    usual one. ``api`` is the format of those that speak OpenAI's.
    """

    adapter: str = "openai"
    api: ApiFormat = "chat"
    base_url: str | None = None
    key_variable: str | None = None
    url_variable: str | None = None


PROVIDERS: Mapping[str, ProviderRow] = {
    LLMProviderType.OPENAI: ProviderRow(api="responses", key_variable="OPENAI_API_KEY"),
    LLMProviderType.AZURE_OPENAI: ProviderRow(
        api="responses",
        key_variable="AZURE_OPENAI_API_KEY",
        url_variable="AZURE_OPENAI_ENDPOINT",
    ),
    LLMProviderType.ANTHROPIC: ProviderRow(adapter="anthropic", key_variable="ANTHROPIC_API_KEY"),
    LLMProviderType.GEMINI: ProviderRow(adapter="gemini", key_variable="GEMINI_API_KEY"),
}


def provider_row(name: str) -> ProviderRow:
    """The row of a provider; one that only the settings know speaks Chat Completions."""
    return PROVIDERS.get(name) or ProviderRow(url_variable=url_variable(name))


def url_variable(name: str) -> str:
    """The variable that says where a provider is."""
    return f"LLM_PROVIDERS__{name.upper()}__BASE_URL"
