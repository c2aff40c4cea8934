"""Tokens in place of a key, from whoever gives them: Entra, or a function of the operator's own."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeAlias

from modules.llm_services.exceptions import LLMAuthenticationError, LLMConfigurationError

from .key_mask import KeyMask

TokenSource: TypeAlias = Callable[[], Awaitable[str]]
_ENTRA = "azure"
# learn.microsoft.com/azure/ai-foundry/openai/how-to/managed-identity
_SCOPE = "https://cognitiveservices.azure.com/.default"


def token_source(provider: str, name: str, mask: KeyMask) -> TokenSource:
    """Gives the token that is valid now; those who make it keep it for as long as it is.

    ``name`` is ``azure`` or ``package.module:function``; a plain function runs in a worker thread.
    Each token is made known to ``mask``. Raises `LLMConfigurationError`.
    """
    give = _entra() if name == _ENTRA else _loaded(provider, name)

    async def token() -> str:
        mask.know(said := await _given(provider, give))
        return said

    return token


async def _given(provider: str, give: Callable[[], Any]) -> str:
    try:
        said = await asyncio.to_thread(give)
        said = await said if inspect.isawaitable(said) else said
    except Exception as error:
        kind = type(error).__name__
        raise LLMAuthenticationError(f"no token for {provider}: {kind}") from error
    if not isinstance(said, str) or not said:
        raise LLMAuthenticationError(f"no token for {provider}: it is no text")
    return said


def _entra() -> Callable[[], str]:
    try:
        from azure.identity import DefaultAzureCredential, get_bearer_token_provider
    except ModuleNotFoundError:
        raise LLMConfigurationError(
            "the token provider 'azure' needs azure-identity: install llm-services[azure]"
        ) from None
    return get_bearer_token_provider(DefaultAzureCredential(), _SCOPE)


def _loaded(provider: str, name: str) -> Callable[[], Any]:
    module, _, function = name.partition(":")
    try:
        give = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        variable = f"LLM_PROVIDERS__{provider.upper()}__TOKEN_PROVIDER"
        raise LLMConfigurationError(f"{variable}: {name!r} cannot be loaded: {error}") from error
    found: Callable[[], Any] = give
    return found
