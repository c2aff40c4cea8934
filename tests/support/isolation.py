"""The wall around a test: the developer's environment stays outside."""

import os

import pytest

_PREFIXES = (
    *("OPENAI_", "AZURE_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "LLM_", "IMAGE_", "LOG_"),
    *("OPENROUTER_", "GROQ_", "MISTRAL_", "DEEPSEEK_", "XAI_", "TOGETHER_", "FIREWORKS_"),
    *("CEREBRAS_", "PERPLEXITY_"),
    "PG",  # libpq reads these beside the URL
)
_NAMES = frozenset(
    (
        *("TEMPERATURE", "MAX_TOKENS", "REQUEST_TIMEOUT", "MAX_RETRIES", "ENABLE_WEB_SEARCH"),
        *(
            "WEB_SEARCH_CONTEXT_SIZE",
            "DATABASE_URL",
            "XDG_STATE_HOME",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
        ),
    )
)


def clear_environment(patch: pytest.MonkeyPatch) -> None:
    """Forget every variable that the backend or its clients read."""
    for name in list(os.environ):
        if name.upper() in _NAMES or name.upper().startswith(_PREFIXES):
            patch.delenv(name)
