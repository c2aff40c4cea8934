"""A conversation, checked message by message."""

import re
from collections.abc import Sequence

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import LLMMessageDTO, MessageRole

from .basics import kind, sendable_text, shown

MAX_MESSAGES = 10_000
MAX_CHARACTERS = 10_000_000
_SPEAKER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROLES = ", ".join(MessageRole)


def messages(value: object) -> tuple[LLMMessageDTO, ...]:
    """A conversation: at least one message, each with a known role and text."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise LLMInputError(f"messages must be a list of LLMMessageDTO, not {kind(value)}")
    if not value:
        raise LLMInputError("messages is empty: give at least one message")
    if len(value) > MAX_MESSAGES:
        raise LLMInputError(f"messages has {len(value)} entries; at most {MAX_MESSAGES} are taken")
    checked = tuple(_message(f"messages[{index}]", item) for index, item in enumerate(value))
    _check_contents(checked)
    return checked


def _message(name: str, value: object) -> LLMMessageDTO:
    if not isinstance(value, LLMMessageDTO):
        raise LLMInputError(f"{name} must be an LLMMessageDTO, not {kind(value)}")
    role: object = getattr(value, "role", None)  # model_construct sets only what it is given
    speaker: object = value.name
    if role not in list(MessageRole):
        raise LLMInputError(f"{name}.role is {shown(role)}; known roles are {_ROLES}")
    sendable_text(f"{name}.content", value.content)
    if speaker is not None and not (isinstance(speaker, str) and _SPEAKER.fullmatch(speaker)):
        raise LLMInputError(f"{name}.name must be 1 to 64 letters, digits, _ or -")
    return value


def _check_contents(checked: tuple[LLMMessageDTO, ...]) -> None:
    characters = sum(len(message.content) for message in checked)
    if characters > MAX_CHARACTERS:
        raise LLMInputError(
            f"messages hold {characters} characters; at most {MAX_CHARACTERS} are taken"
        )
    said = [m.content for m in checked if m.role == MessageRole.USER]
    if said and not any(content.strip() for content in said):
        raise LLMInputError("messages: the user says nothing; give one user message some text")
