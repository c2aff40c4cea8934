"""Vendors' keys and endpoints under the names that the vendors' own documents give them."""

from typing import Any, Literal

from pydantic import BaseModel

from .values import ApiKey, BaseUrl, ProviderSettings, also_named

_AZURE_V1 = "/openai/v1"


def _key(provider: str) -> Any:
    return also_named(f"{provider.upper()}_API_KEY", None, f"Key of the `{provider}` provider.")


class VendorSettings(BaseModel):
    """The usual variables; ``LLM_PROVIDERS__<NAME>__{API_KEY,BASE_URL}`` go before them."""

    default_provider: Literal["openai", "anthropic", "gemini"] = also_named(
        "DEFAULT_PROVIDER",
        "openai",
        "Whose models the roles stand for, unless `LLM_ROLES__<ROLE>` says it; roles that a "
        "provider has no model for stay OpenAI's.",
        "LLM_PROVIDER",
    )
    openai_api_key: ApiKey | None = _key("openai")
    openai_base_url: BaseUrl | None = also_named(
        "OPENAI_BASE_URL", None, "Endpoint of the `openai` provider; OpenAI's own by default."
    )
    azure_openai_api_key: ApiKey | None = _key("azure_openai")
    azure_openai_endpoint: BaseUrl | None = also_named(
        "AZURE_OPENAI_ENDPOINT",
        None,
        "Azure resource, such as https://name.openai.azure.com; its v1 API is used.",
    )
    anthropic_api_key: ApiKey | None = _key("anthropic")
    gemini_api_key: ApiKey | None = _key("gemini")
    openrouter_api_key: ApiKey | None = _key("openrouter")
    groq_api_key: ApiKey | None = _key("groq")
    mistral_api_key: ApiKey | None = _key("mistral")
    deepseek_api_key: ApiKey | None = _key("deepseek")
    xai_api_key: ApiKey | None = _key("xai")
    together_api_key: ApiKey | None = _key("together")
    fireworks_api_key: ApiKey | None = _key("fireworks")
    cerebras_api_key: ApiKey | None = _key("cerebras")
    perplexity_api_key: ApiKey | None = _key("perplexity")

    def usual(self, provider: str) -> ProviderSettings:
        """What the usual variables say of a provider."""
        urls = {"openai": self.openai_base_url, "azure_openai": self._azure_base_url()}
        field = f"{provider}_api_key"
        key = getattr(self, field) if field in VendorSettings.model_fields else None
        return ProviderSettings(api_key=key, base_url=urls.get(provider))

    def _azure_base_url(self) -> str | None:
        endpoint = self.azure_openai_endpoint
        if endpoint is None or endpoint.endswith(_AZURE_V1):
            return endpoint
        return endpoint + _AZURE_V1
