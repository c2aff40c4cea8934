"""The smallest words: JSON, roles, vendors, outcomes."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
JsonObject: TypeAlias = dict[str, Any]
"""A decoded JSON object from or for the wire. Its values are checked where they are read."""


class MessageRole(StrEnum):
    """Who speaks. ``developer`` is what newer OpenAI models call ``system``; both are accepted.
    ``tool`` is the result of a tool that the assistant asked to have called.
    """

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class LLMProviderType(StrEnum):
    """The vendors with a name of their own here; ``providers`` in the configuration adds more."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure_openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"


class RequestStatus(StrEnum):
    """``pending`` while the provider may still answer, then exactly one of the other three."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
