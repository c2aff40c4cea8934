"""Which providers there are. One that speaks OpenAI's formats is a row of data.

To add one: a row in ``PROVIDERS``, or no code at all: ``LLM_PROVIDERS__<NAME>__BASE_URL`` makes a
provider of that name with the formats of ``LLM_PROVIDERS__<NAME>__API`` (``chat`` by default).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.types import LLMProviderType

from .base import Heard, LLMProvider, ReadsCosts, deaf

if TYPE_CHECKING:
    from modules.llm_services.config import LLMConfig
    from modules.llm_services.setting_types import ApiFormat, ProviderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow:
    """What is known of a provider: the format it speaks and what it needs to be reached."""

    api: ApiFormat
    key_variable: str | None = None
    url_variable: str | None = None


PROVIDERS: Mapping[str, ProviderRow] = {
    LLMProviderType.OPENAI: ProviderRow(api="responses", key_variable="OPENAI_API_KEY"),
    LLMProviderType.AZURE_OPENAI: ProviderRow(
        api="responses",
        key_variable="AZURE_OPENAI_API_KEY",
        url_variable="AZURE_OPENAI_ENDPOINT",
    ),
}


def provider_names(config: LLMConfig) -> frozenset[str]:
    """Every provider that a model may name."""
    return frozenset(PROVIDERS) | config.providers.keys()


def provider_faults(config: LLMConfig) -> Iterator[str]:
    """Providers that are configured and cannot be reached, by the variable that is missing."""
    for name, settings in config.providers.items():
        if name not in PROVIDERS and settings.base_url is None:
            yield f"{_url_variable(name)} is not set"


def _url_variable(name: str) -> str:
    return f"LLM_PROVIDERS__{name.upper()}__BASE_URL"


def create_llm_provider(
    config: LLMConfig, name: str = LLMProviderType.OPENAI, heard: Heard = deaf
) -> LLMProvider:
    """An adapter with a client of its own. Loads the vendor's SDK (about a second, once).

    ``heard`` is told the headers of every answer.

    Raises `LLMConfigurationError` that names the missing variable.
    """
    settings = config.provider(name)
    row = PROVIDERS.get(name) or ProviderRow(api="chat", url_variable=_url_variable(name))
    _require(settings, row)
    from .openai import OpenAIProvider
    from .searching import SearchingProvider

    api = settings.api or row.api
    adapter = SearchingProvider if api == "responses" else OpenAIProvider
    return adapter(name, settings, api, heard)


def create_costs_reader(config: LLMConfig) -> ReadsCosts:
    """OpenAI's costs, read with the organization's admin key.

    Raises `LLMConfigurationError` when there is none.
    """
    if config.openai_admin_key is None:
        raise LLMConfigurationError(
            f"{config.variable('openai_admin_key')} is not set: only an admin key sees the costs"
        )
    from .openai import OpenAIProvider

    name = LLMProviderType.OPENAI
    settings = config.provider(name).model_copy(update={"api_key": config.openai_admin_key})
    return OpenAIProvider(name, settings, "responses")


def _require(settings: ProviderSettings, row: ProviderRow) -> None:
    if row.key_variable and settings.api_key is None:
        raise LLMConfigurationError(f"{row.key_variable} is not set")
    if row.url_variable and settings.base_url is None:
        raise LLMConfigurationError(f"{row.url_variable} is not set")
