"""Makes the adapter of a provider: `rows.PROVIDERS` says which, ``ADAPTERS`` how it is loaded.

To add one that speaks OpenAI's formats: a row in ``PROVIDERS``, or no code at all:
``LLM_PROVIDERS__<NAME>__BASE_URL`` makes a provider of that name with the formats of
``LLM_PROVIDERS__<NAME>__API`` (``chat`` by default). One of its own kind has a loader here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

from modules.llm_services.exceptions import LLMConfigurationError
from modules.llm_services.types import LLMProviderType

from .base import Heard, LLMProvider, ReadsCosts, deaf
from .formats.base import build_shapes
from .rows import PROVIDERS, ProviderRow, provider_row, url_variable

if TYPE_CHECKING:
    from modules.llm_services.config import LLMConfig
    from modules.llm_services.setting_types import ProviderSettings

MakeAdapter: TypeAlias = "Callable[[str, ProviderSettings, ProviderRow, Heard], LLMProvider]"


def _openai() -> MakeAdapter:
    from .openai import OpenAIProvider
    from .searching import SearchingProvider

    def make(name: str, settings: ProviderSettings, row: ProviderRow, heard: Heard) -> LLMProvider:
        api = settings.api or ("chat" if settings.api_version else row.api)
        adapter = SearchingProvider if api == "responses" else OpenAIProvider
        return adapter(name, settings, api, heard, row.quirks)

    return make


def _anthropic() -> MakeAdapter:
    from .anthropic import AnthropicProvider

    def make(name: str, settings: ProviderSettings, _row: ProviderRow, heard: Heard) -> LLMProvider:
        return AnthropicProvider(name, settings, heard)

    return make


def _gemini() -> MakeAdapter:
    from .gemini import GeminiProvider

    return lambda name, settings, _row, heard: GeminiProvider(name, settings, heard)


ADAPTERS: Mapping[str, Callable[[], MakeAdapter]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
}
"""Loaders: each imports its vendor's SDK, and gives what makes an adapter."""

SDKS: Mapping[str, str] = {"anthropic": "anthropic", "gemini": "google.genai"}
"""What the loaders import that is an extra."""


def provider_names(config: LLMConfig) -> frozenset[str]:
    """Every provider that a model may name."""
    return frozenset(PROVIDERS) | config.providers.keys()


def provider_faults(config: LLMConfig) -> Iterator[str]:
    """Providers that are configured and cannot be reached, by the variable that is missing."""
    for name, settings in config.providers.items():
        if name not in PROVIDERS and settings.base_url is None:
            yield f"{url_variable(name)} is not set"


def create_llm_provider(
    config: LLMConfig, name: str = LLMProviderType.OPENAI, heard: Heard = deaf
) -> LLMProvider:
    """An adapter with a client of its own. Loads the vendor's SDK (about a second, once).

    ``heard`` is told the headers of every answer.

    Raises `LLMConfigurationError` that names the missing variable, or the missing extra.
    """
    settings, row = _described(config, name)
    _require(settings, row)
    make = _loaded(name, row)
    build_shapes()
    return make(name, settings, row, heard)


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
    if row.key_variable and settings.api_key is None and settings.token_provider is None:
        raise LLMConfigurationError(f"{row.key_variable} is not set")
    if row.url_variable and settings.base_url is None:
        raise LLMConfigurationError(f"{row.url_variable} is not set")


def problem_of(config: LLMConfig, name: str) -> str | None:
    """What a provider lacks to be asked, as its error would say it."""
    settings, row = _described(config, name)
    try:
        _require(settings, row)
    except LLMConfigurationError as error:
        return error.message
    package = SDKS.get(row.adapter)
    return _lacking(name, package, row) if package and not _is_installed(package) else None


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # nor what it is a part of
        return False


def _lacking(name: str, package: str | None, row: ProviderRow) -> str:
    extra = f"llm-services[{row.adapter}]"
    return f"the provider {name!r} needs the package {package!r}: install {extra}"


def _described(config: LLMConfig, name: str) -> tuple[ProviderSettings, ProviderRow]:
    row, settings = provider_row(name), config.provider(name)
    return settings.model_copy(update={"base_url": settings.base_url or row.base_url}), row


def _loaded(name: str, row: ProviderRow) -> MakeAdapter:
    try:
        return ADAPTERS[row.adapter]()
    except ModuleNotFoundError as error:
        raise LLMConfigurationError(_lacking(name, error.name, row)) from None
