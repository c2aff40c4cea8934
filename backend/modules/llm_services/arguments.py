"""Every argument of a caller, checked before anything is sent, written or paid.

Each check takes the argument's name and value and returns what goes on, or raises
`LLMInputError` that names the argument, says what was wrong and what would be right.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, get_args
from uuid import UUID
from weakref import WeakSet

from pydantic import BaseModel, PydanticUndefinedAnnotation, PydanticUserError, RootModel

from .exceptions import LLMInputError
from .types import LLMMessageDTO, MessageRole, ReasoningEffort, ServiceTier, Verbosity

Check: TypeAlias = Callable[[str, Any], Any]

MAX_MESSAGES = 10_000
MAX_CHARACTERS = 10_000_000
MAX_CONTEXT_BYTES = 8_192
MAX_COUNT = 2**31 - 1
_LONGEST_TIMEOUT = 86_400
_TOKEN_ID = re.compile(r"[0-9]{1,10}")
_SPEAKER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROLES = ", ".join(MessageRole)


def messages(value: object) -> tuple[LLMMessageDTO, ...]:
    """A conversation: at least one message, each with a known role and text."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise LLMInputError(f"messages must be a list of LLMMessageDTO, not {_kind(value)}")
    if not value:
        raise LLMInputError("messages is empty: give at least one message")
    if len(value) > MAX_MESSAGES:
        raise LLMInputError(f"messages has {len(value)} entries; at most {MAX_MESSAGES} are taken")
    checked = tuple(_message(f"messages[{index}]", item) for index, item in enumerate(value))
    _check_contents(checked)
    return checked


def _message(name: str, value: object) -> LLMMessageDTO:
    if not isinstance(value, LLMMessageDTO):
        raise LLMInputError(f"{name} must be an LLMMessageDTO, not {_kind(value)}")
    role: object = getattr(value, "role", None)  # model_construct sets only what it is given
    speaker: object = value.name
    if role not in list(MessageRole):
        raise LLMInputError(f"{name}.role is {_shown(role)}; known roles are {_ROLES}")
    _storable(f"{name}.content", value.content)
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


def _storable(name: str, value: object) -> str:
    """Text that can be sent: UTF-8 has no lone surrogates."""
    if not isinstance(value, str):
        raise LLMInputError(f"{name} must be a str, not {_kind(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise LLMInputError(
            f"{name} holds a lone surrogate at position {error.start}, which UTF-8 cannot carry"
        ) from None
    return value


def uuid(name: str, value: object) -> UUID:
    """A UUID, or its exact text."""
    if isinstance(value, UUID):
        return value
    try:
        parsed = UUID(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != str(value).lower():
        raise LLMInputError(f"{name} must be a uuid.UUID or its text form, not {_shown(value)}")
    return parsed


def response_model(value: object) -> type[BaseModel]:
    """A model class whose JSON is an object: what every provider asks for."""
    if not (isinstance(value, type) and issubclass(value, BaseModel)) or value is BaseModel:
        raise LLMInputError(
            f"response_model must be a subclass of pydantic.BaseModel, not {_shown(value)}"
        )
    if issubclass(value, RootModel):
        raise LLMInputError(
            f"response_model {value.__name__} is a RootModel, and answers are JSON objects: "
            "put the root into a field of a BaseModel"
        )
    if value not in _DESCRIBED:
        _describe(value)
    return value


_DESCRIBED: WeakSet[type[BaseModel]] = WeakSet()


def _describe(model: type[BaseModel]) -> None:
    """Find a model that no JSON schema can describe. It takes a while, so each is asked once."""
    try:
        model.model_json_schema()
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        reason = str(error).partition("\n")[0]
        raise LLMInputError(f"response_model {model.__name__} has no schema: {reason}") from None
    _DESCRIBED.add(model)


def number(low: float, high: float, *, above: bool = False) -> Check:
    """A finite number between two limits, the lower one left out when ``above``."""

    def check(name: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or (above and value == low):
            limits = f"above {low:g} and at most" if above else f"from {low:g} to"
            raise LLMInputError(f"{name} must be a number {limits} {high:g}, not {_shown(value)}")
        return float(value)

    return check


def whole(low: int, high: int) -> Check:
    """A whole number between two limits."""

    def check(name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise LLMInputError(
                f"{name} must be a whole number from {low} to {high}, not {_shown(value)}"
            )
        return value

    return check


def text(longest: int) -> Check:
    """Text that is not blank and not longer than its column."""

    def check(name: str, value: Any) -> str:
        if not _storable(name, value).strip() or len(value) > longest:
            raise LLMInputError(f"{name} must be text of 1 to {longest} characters")
        return str(value)

    return check


def one_of(words: Any) -> Check:
    """One of a few words."""
    known: tuple[str, ...] = get_args(words)

    def check(name: str, value: Any) -> str:
        if value not in known:
            raise LLMInputError(f"{name} must be one of {', '.join(known)}, not {_shown(value)}")
        return str(value)

    return check


def _stop(name: str, value: Any) -> str | list[str]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not 1 <= len(words) <= 4:  # noqa: PLR2004
        raise LLMInputError(f"{name} must be a text or a list of 1 to 4 texts")
    if not all(_storable(name, word) for word in words):
        raise LLMInputError(f"{name} must hold texts that are not empty")
    return value if isinstance(value, str) else list(words)


def _logit_bias(name: str, value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise LLMInputError(f"{name} must map token ids to numbers, not {_kind(value)}")
    for token in value:
        if not _TOKEN_ID.fullmatch(_text_of(token)):
            raise LLMInputError(f"{name} must map token ids to numbers, not {_shown(token)}")
    bias = number(-100, 100)
    return {str(token): bias(f"{name}[{token}]", weight) for token, weight in value.items()}


def _metadata(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > 16:  # noqa: PLR2004
        raise LLMInputError(f"{name} must be a mapping of at most 16 texts")
    for key, word in value.items():
        text(64)(f"{name}: a key", key)
        if len(_storable(f"{name}[{key!r}]", word)) > 512:  # noqa: PLR2004
            raise LLMInputError(f"{name}[{key!r}] must be text of at most 512 characters")
    return dict(value)


def _context(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise LLMInputError(f"{name} must be a mapping, not {_kind(value)}")
    try:
        size = len(json.dumps(dict(value), allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise LLMInputError(f"{name} must hold plain JSON values ({error})") from None
    if size > MAX_CONTEXT_BYTES:
        raise LLMInputError(f"{name} is {size} bytes of JSON; at most {MAX_CONTEXT_BYTES}")
    return dict(value)


temperature = number(0, 2)
max_tokens = whole(1, MAX_COUNT)
timeout = number(0, _LONGEST_TIMEOUT, above=True)

OPTIONS: Mapping[str, Check] = {
    "top_p": number(0, 1),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "stop": _stop,
    "seed": whole(-(2**63), 2**63 - 1),
    "logit_bias": _logit_bias,
    "reasoning_effort": one_of(ReasoningEffort),
    "verbosity": one_of(Verbosity),
    "service_tier": one_of(ServiceTier),
    "prompt_cache_key": text(64),
    "metadata": _metadata,
    "timeout": timeout,
    "max_retries": whole(0, 20),
    "feature": text(64),
    "tenant": text(64),
    "conversation_id": text(64),
    "context": _context,
}
"""The check of each keyword parameter in `GenerationOptions`, in its order."""


_NAMED = ("messages", "response_model", "user_id", "model", "temperature", "max_tokens")


def options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword parameters, each checked; ``None`` counts as not given."""
    for name in given:
        if name not in OPTIONS:
            import difflib

            near = difflib.get_close_matches(name, [*_NAMED, *OPTIONS], n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(OPTIONS)}"
            raise LLMInputError(f"unknown keyword parameter {name[:60]!r}; {hint}")
    return {name: OPTIONS[name](name, value) for name, value in given.items() if value is not None}


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _shown(value: object) -> str:
    return f"{_text_of(value)!r:.60} ({_kind(value)})" if value is not None else "None"


def _text_of(value: object) -> str:
    """The value's text; a number of 5,000 digits and some objects have none."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a caller's object may raise anything here
        return "…"
