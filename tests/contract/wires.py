"""How each adapter's vendor is played by the sandbox: a new adapter is one entry in ``WIRES``."""

from collections.abc import Mapping
from dataclasses import dataclass

from modules.llm_services.providers.rows import PROVIDERS
from sandbox.likeness import LIKENESSES

KEY = "sk-sandbox-key-of-the-contract"
ERRORS: Mapping[str, str] = {
    "status=400": "BadRequest",
    "status=401": "Authentication",
    "status=403": "PermissionDenied",
    "status=404": "NotFound",
    "status=409": "ProviderError",
    "status=422": "BadRequest",
    "status=429": "RateLimited",
    "status=500": "ProviderError",
    "status=503": "ProviderError",
    "code=insufficient_quota": "QuotaExceeded",
    "code=context_length_exceeded": "ContextLength",
    "code=content_policy_violation": "Refused",
    "drop": "Connection",
    "html": "BadResponse",
    "garbage": "BadResponse",
    "empty": "BadResponse",
    "refuse": "Refused",
}
"""What goes wrong, in the sandbox's words, and the ``error_type`` of the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A vendor as the sandbox plays it: where below its root, with which of its models, and what
    goes wrong there in which words.
    """

    path: str = "/v1"
    model: str = "gpt-4.1"
    errors: Mapping[str, str]


_OPENAI_S_OWN = {"code=context_length_exceeded", "code=content_policy_violation"}

WIRES: Mapping[str, Wire] = {
    "openai": Wire(errors=ERRORS),
    "anthropic": Wire(
        path="",
        model="claude-haiku-5-5",
        errors={
            **{fault: error for fault, error in ERRORS.items() if "policy" not in fault},
            "status=402": "QuotaExceeded",
            "status=413": "BadRequest",
            "status=504": "ProviderError",
            "status=529": "ProviderError",
        },
    ),
    # Google gives a prompt that is too long no code, and blocks in a success, as `refuse` does.
    "gemini": Wire(
        path="/v1beta",
        model="gemini-3.8-flash",
        errors={
            **{fault: error for fault, error in ERRORS.items() if fault not in _OPENAI_S_OWN},
            "code=API_KEY_INVALID": "Authentication",
            "filter": "Refused",
            "failed": "BadResponse",
        },
    ),
}
"""By the adapter that a row of ``PROVIDERS`` names."""


def wire_of(provider: str) -> Wire:
    """How a provider's row is tested."""
    return WIRES[PROVIDERS[provider].adapter]


def model(provider: str, fault: str = "") -> str:
    """A model of a provider, and what shall go wrong with it; each vendor speaks its dialect."""
    spoken = f"like={provider}" if provider in LIKENESSES else ""
    faults = ",".join(filter(None, (spoken, fault)))
    return ":".join(filter(None, (provider, wire_of(provider).model, faults)))


def variables(root: str) -> dict[str, str]:
    """Every provider pointed at a sandbox; ``root`` is its address without a path."""
    found = {"MAX_RETRIES": "0", "REQUEST_TIMEOUT": "60", "LLM_CIRCUIT_FAILURES": "0"}
    for name in PROVIDERS:
        setting = f"LLM_PROVIDERS__{name.upper()}"
        found[f"{setting}__API_KEY"] = KEY
        found[f"{setting}__BASE_URL"] = root + wire_of(name).path
    return found
