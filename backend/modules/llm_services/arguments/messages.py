"""A conversation, checked message by message."""

import re
from collections.abc import Sequence
from pathlib import Path

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import (
    LLMMessageDTO,
    MediaPart,
    MessageRole,
    ReasoningItem,
    ToolCall,
)

from .basics import check_json, guarded, items, kind, label, plain_text, sendable_text, shown
from .parts import check_media, parts

MAX_MESSAGES = 10_000
MAX_CHARACTERS = 10_000_000
_SPEAKER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_call_id = label(4_096)
_call_name = label(200)  # a model may have made it up
_TEXTS = {str, MessageRole, type(None)}
_ROLE_WORDS = frozenset(map(str, MessageRole))
_ROLES = ", ".join(MessageRole)
_SPEAKERS = _ROLE_WORDS - {MessageRole.TOOL}


def messages(value: object, media_dir: Path | None = None) -> tuple[LLMMessageDTO, ...]:
    """A conversation: at least one message, each with a known role and content.

    Media come back with their bytes; ``media_dir`` is where ``file:`` URLs may point to.
    """
    return guarded("messages", _conversation, value, media_dir)


def _conversation(value: object, media_dir: Path | None) -> tuple[LLMMessageDTO, ...]:
    checked: list[LLMMessageDTO] = []
    left = MAX_CHARACTERS
    for index, item in enumerate(items("messages", value, MAX_MESSAGES, "LLMMessageDTO")):
        checked.append(_message(f"messages[{index}]", item, media_dir))
        left -= len(checked[-1].text)
        if left < 0:  # before the others are looked at
            raise LLMInputError(
                f"messages hold more than {MAX_CHARACTERS} characters, the most that is taken"
            )
    _check_contents(checked)
    _check_tool_results(checked)
    return tuple(checked)


def _message(name: str, value: object, media_dir: Path | None) -> LLMMessageDTO:
    if not isinstance(value, LLMMessageDTO):
        raise LLMInputError(f"{name} must be an LLMMessageDTO, not {kind(value)}")
    if _is_role_and_text(value):
        sendable_text(f"{name}.content", value.content, MAX_CHARACTERS)
        return value
    role: object = getattr(value, "role", None)  # model_construct sets only what it is given
    speaker: object = value.name
    if plain_text(role) not in _ROLE_WORDS:
        raise LLMInputError(f"{name}.role is {shown(role)}; known roles are {_ROLES}")
    if speaker is not None and not (isinstance(speaker, str) and _SPEAKER.fullmatch(speaker)):
        raise LLMInputError(f"{name}.name must be 1 to 64 letters, digits, _ or -")
    plain = _plain(value)
    _check_tool_fields(name, plain)
    _check_reasoning(name, plain)
    return _with_content(name, plain, media_dir)


def _is_role_and_text(value: LLMMessageDTO) -> bool:
    """Whether a message is what nearly all are: then only its text is to be checked."""
    said = vars(value).get
    nothing_else = said("name") is None and said("tool_call_id") is None
    return (
        type(said("role")) in _TEXTS
        and said("role") in _SPEAKERS
        and type(said("content")) is str
        and nothing_else
        and said("tool_calls") == said("reasoning") == ()
    )


def _plain(value: LLMMessageDTO) -> LLMMessageDTO:
    """The message without what subclasses of str make of its words."""
    said = {name: getattr(value, name) for name in ("role", "name", "tool_call_id")}
    odd = {n: plain_text(word) for n, word in said.items() if isinstance(word, str)}
    if all(type(said[name]) in _TEXTS for name in odd):
        return value
    return value.model_copy(update=odd)


def _with_content(name: str, value: LLMMessageDTO, media_dir: Path | None) -> LLMMessageDTO:
    content: object = value.content
    if isinstance(content, list | tuple):
        found = parts(f"{name}.content", content, media_dir)
        if value.role != MessageRole.USER and any(isinstance(part, MediaPart) for part in found):
            raise LLMInputError(f"{name}.content: only a user's message may hold more than text")
        return value.model_copy(update={"content": found})
    said = sendable_text(f"{name}.content", content, MAX_CHARACTERS)
    return value if type(content) is str else value.model_copy(update={"content": said})


def _check_tool_fields(name: str, value: LLMMessageDTO) -> None:
    calls, answered = value.tool_calls, value.tool_call_id
    if not isinstance(calls, list | tuple):
        raise LLMInputError(f"{name}.tool_calls must be a list of ToolCall")
    for index, call in enumerate(calls):
        _check_call(f"{name}.tool_calls[{index}]", call)
    if calls and value.role != MessageRole.ASSISTANT:
        raise LLMInputError(f"{name}.tool_calls: only the assistant calls tools")
    if value.role == MessageRole.TOOL:
        if not isinstance(answered, str) or not answered:
            raise LLMInputError(f"{name}.tool_call_id must be the id of the call that it answers")
    elif answered is not None:
        raise LLMInputError(f'{name}.tool_call_id is for messages of the role "tool"')


def _check_call(name: str, call: object) -> None:
    """Pydantic has checked a call, unless its constructor was left out; never its arguments."""
    if not isinstance(call, ToolCall):
        raise LLMInputError(f"{name} must be a ToolCall, not {kind(call)}")
    _call_id(f"{name}.id", call.id)
    _call_name(f"{name}.name", call.name)
    said: object = call.arguments
    if not isinstance(said, dict):
        raise LLMInputError(f"{name}.arguments must be a dict, not {kind(said)}")
    check_json(f"{name}.arguments", call.arguments, MAX_CHARACTERS)


def _check_reasoning(name: str, value: LLMMessageDTO) -> None:
    given = value.reasoning
    if not isinstance(given, list | tuple) or not all(isinstance(g, ReasoningItem) for g in given):
        raise LLMInputError(f"{name}.reasoning must be a list of ReasoningItem")
    if given and value.role != MessageRole.ASSISTANT:
        raise LLMInputError(f"{name}.reasoning: only the assistant's reasoning can be sent back")


def _check_contents(checked: Sequence[LLMMessageDTO]) -> None:
    listed = [message for message in checked if not isinstance(message.content, str)]
    check_media([part for message in listed for part in message.parts])
    said = [message for message in checked if message.role == MessageRole.USER]
    if said and not any(_says_something(message) for message in said):
        raise LLMInputError("messages: the user says nothing; give one user message some text")


def _says_something(message: LLMMessageDTO) -> bool:
    return bool(message.text.strip()) or any(isinstance(p, MediaPart) for p in message.parts)


def _check_tool_results(checked: Sequence[LLMMessageDTO]) -> None:
    """Providers take a conversation only if each call of a tool is answered right behind it."""
    waiting: dict[str, str] = {}
    for index, message in enumerate(checked):
        if message.role == MessageRole.TOOL:
            answered = message.tool_call_id or ""
            if waiting.pop(answered, None) is None:
                raise LLMInputError(
                    f"messages[{index}].tool_call_id {answered[:80]!r} answers no call of the "
                    "assistant's message before it, or one that is answered already"
                )
            continue
        _check_all_answered(waiting)
        waiting = {call.id: f"messages[{index}] calls {call.name}" for call in message.tool_calls}
        if len(waiting) < len(message.tool_calls):
            raise LLMInputError(f"messages[{index}].tool_calls: two calls have the same id")
    _check_all_answered(waiting)


def _check_all_answered(waiting: dict[str, str]) -> None:
    for call_id, place in waiting.items():
        raise LLMInputError(
            f'{place} ({call_id}), and no message of the role "tool" behind it answers that'
        )
