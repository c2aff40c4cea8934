"""Vendors' keys and endpoints under the names that the vendors' own documents give them."""

from typing import Any, Literal

from pydantic import BaseModel

from .values import ApiKey, BaseUrl, ProviderSettings, also_named

_AZURE_V1, _AZURE_CLASSIC = "/openai/v1", "/openai"


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
    azure_openai_api_version: str | None = also_named(
        "AZURE_OPENAI_API_VERSION",
        None,
        "Version of Azure's classic API, such as 2024-10-21: then models are deployments.",
        pattern=r"^[\w.-]{1,40}$",
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

    def usual(self, provider: str, given: ProviderSettings) -> ProviderSettings:
        """What is given of a provider, and where that is silent, what the usual variables say."""
        field = f"{provider}_api_key"
        key = getattr(self, field) if field in VendorSettings.model_fields else None
        known: dict[str, object] = {"api_key": given.api_key or key}
        if provider == "openai":
            known["base_url"] = given.base_url or self.openai_base_url
        if provider == "azure_openai":
            version = given.api_version or self.azure_openai_api_version
            known["api_version"] = version
            known["base_url"] = given.base_url or self._azure_base_url(classic=version is not None)
        return given.model_copy(update=known)

    def _azure_base_url(self, *, classic: bool) -> str | None:
        endpoint = self.azure_openai_endpoint
        if endpoint is None:
            return None
        root = endpoint.removesuffix(_AZURE_V1).removesuffix(_AZURE_CLASSIC)
        return root + (_AZURE_CLASSIC if classic else _AZURE_V1)
