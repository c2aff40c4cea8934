"""What is known of each provider, as data.

One that speaks OpenAI's formats is a row and nothing else. One with a format of its own names its
``adapter``, which `factory.ADAPTERS` loads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.llm_services.types import LLMProviderType

from .quirks import NO_QUIRKS, Quirks

if TYPE_CHECKING:
    from modules.llm_services.setting_types import ApiFormat


_UNKNOWN = Quirks()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow:
    """How a provider is reached, and in which format.

    ``key_variable`` is named when the key is missing; without it none is needed. ``base_url`` is
    the endpoint unless the settings say another; ``url_variable`` has to say it where there is no
    usual one. ``api`` is the format of those that speak OpenAI's, ``quirks`` how they speak it.
    """

    adapter: str = "openai"
    api: ApiFormat = "chat"
    base_url: str | None = None
    key_variable: str | None = None
    url_variable: str | None = None
    quirks: Quirks = _UNKNOWN


_MAX_TOKENS: Mapping[str, str] = {"max_tokens": "max_tokens"}
_OPENAI_S_OWN = frozenset({"verbosity", "prompt_cache_key"})
_LOCAL = Quirks(names=_MAX_TOKENS, developers=False)

PROVIDERS: Mapping[str, ProviderRow] = {
    LLMProviderType.OPENAI: ProviderRow(
        api="responses", key_variable="OPENAI_API_KEY", quirks=NO_QUIRKS
    ),
    LLMProviderType.AZURE_OPENAI: ProviderRow(
        api="responses",
        key_variable="AZURE_OPENAI_API_KEY",
        url_variable="AZURE_OPENAI_ENDPOINT",
        quirks=NO_QUIRKS,
    ),
    # docs.ollama.com/api/openai-compatibility: `max_tokens`; other words are ignored in silence
    "ollama": ProviderRow(base_url="http://localhost:11434/v1", quirks=_LOCAL),
    # docs.vllm.ai/en/latest/serving/openai_compatible_server: unknown words are ignored, roles are
    # those of the model's own template, of which few know a developer
    "vllm": ProviderRow(base_url="http://localhost:8000/v1", quirks=_LOCAL),
    # github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    "llama_cpp": ProviderRow(base_url="http://localhost:8080/v1", quirks=_LOCAL),
    # lmstudio.ai/docs/developer/openai-compat: `max_tokens`; schemas, but no `json_object`
    "lm_studio": ProviderRow(base_url="http://localhost:1234/v1", quirks=_LOCAL),
    # openrouter.ai/docs/api/reference: parameters that a model does not know are ignored; usage
    # and cost come without being asked for
    "openrouter": ProviderRow(
        base_url="https://openrouter.ai/api/v1",
        key_variable="OPENROUTER_API_KEY",
        quirks=Quirks(names=_MAX_TOKENS),
    ),
    # console.groq.com/docs/openai: 400 for `logit_bias` and for names in messages
    "groq": ProviderRow(
        base_url="https://api.groq.com/openai/v1",
        key_variable="GROQ_API_KEY",
        quirks=Quirks(refuses=_OPENAI_S_OWN | {"logit_bias"}, speakers=False),
    ),
    # docs.mistral.ai/api: unknown words are a 422, as in github.com/editor-code-assistant/eca/
    # issues/231 (`max_completion_tokens`); the seed is `random_seed`, usage comes with the end
    "mistral": ProviderRow(
        base_url="https://api.mistral.ai/v1",
        key_variable="MISTRAL_API_KEY",
        quirks=Quirks(
            names={**_MAX_TOKENS, "seed": "random_seed"},
            refuses=_OPENAI_S_OWN | {"logit_bias", "service_tier"},
            usage_option=False,
            developers=False,
            speakers=False,
        ),
    ),
    # api-docs.deepseek.com/api/create-chat-completion: `json_object` only, a 400 for `json_schema`
    # (github.com/llm-exe/llm-exe/issues/662) and for developers (github.com/earendil-works/pi/
    # issues/1048)
    "deepseek": ProviderRow(
        base_url="https://api.deepseek.com/v1",
        key_variable="DEEPSEEK_API_KEY",
        quirks=Quirks(
            names=_MAX_TOKENS,
            refuses=_OPENAI_S_OWN | {"logit_bias", "seed", "service_tier", "metadata"},
            schemas=False,
            developers=False,
        ),
    ),
    # docs.x.ai/docs/guides/reasoning: models that reason (all current ones) refuse penalties
    "xai": ProviderRow(
        base_url="https://api.x.ai/v1",
        key_variable="XAI_API_KEY",
        quirks=Quirks(refuses=_OPENAI_S_OWN | {"frequency_penalty", "presence_penalty"}),
    ),
    # docs.together.ai/docs/inference/openai-compatibility
    "together": ProviderRow(
        base_url="https://api.together.ai/v1",
        key_variable="TOGETHER_API_KEY",
        quirks=Quirks(names=_MAX_TOKENS, developers=False),
    ),
    # docs.fireworks.ai/tools-sdks/openai-compatibility: usage comes in a stream's last chunk
    "fireworks": ProviderRow(
        base_url="https://api.fireworks.ai/inference/v1",
        key_variable="FIREWORKS_API_KEY",
        quirks=Quirks(names=_MAX_TOKENS, usage_option=False, developers=False),
    ),
    # inference-docs.cerebras.ai/resources/openai: 400 for penalties, `logit_bias`, `service_tier`
    "cerebras": ProviderRow(
        base_url="https://api.cerebras.ai/v1",
        key_variable="CEREBRAS_API_KEY",
        quirks=Quirks(
            refuses=_OPENAI_S_OWN
            | {"frequency_penalty", "presence_penalty", "logit_bias", "service_tier"},
        ),
    ),
    # docs.perplexity.ai/api-reference: system, user and assistant speak, nobody calls tools; every
    # chunk of a stream reports its usage
    "perplexity": ProviderRow(
        base_url="https://api.perplexity.ai",
        key_variable="PERPLEXITY_API_KEY",
        quirks=Quirks(
            names=_MAX_TOKENS,
            refuses=_OPENAI_S_OWN
            | {"seed", "logit_bias", "service_tier", "metadata", "parallel_tool_calls", "tools"},
            usage_option=False,
            developers=False,
            speakers=False,
        ),
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
