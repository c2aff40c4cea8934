"""A call as it reached the fake vendor, and whether it is the one that is meant."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services.types import Call, JsonValue, LLMMessageDTO

_SHOWN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One call, retries and parts together.

    ``operation`` is the ledger's word (chat, structured, tools, batch, image, image_edit,
    embedding, speech, transcription, search). ``prompts`` is what was asked: the text of the last
    message, a picture's prompt, each query of a search, each text to be embedded or spoken.
    ``requested_model`` is the caller's word when it was a role. ``request_id`` is the row.
    """

    request_id: UUID
    operation: str
    stream: bool
    provider: str
    model: str
    requested_model: str | None
    messages: tuple[LLMMessageDTO, ...]
    prompts: tuple[str, ...]
    parameters: Mapping[str, Any]
    response_model: type[BaseModel] | None
    tools: tuple[str, ...]
    user_id: UUID | None
    feature: str | None
    tenant: str | None
    conversation_id: str | None
    context: Mapping[str, JsonValue] | None

    @property
    def prompt(self) -> str:
        """All that was asked, a line for each prompt."""
        return "\n".join(self.prompts)

    @property
    def summary(self) -> str:
        """One line, for failures of assertions."""
        wanted = f" -> {self.response_model.__name__}" if self.response_model else ""
        return f"{self.operation}{wanted} {self.provider}:{self.model} {self.prompt[:_SHOWN]!r}"


def recorded(call: Call, prompts: tuple[str, ...]) -> RecordedCall:
    """The call in the words of its caller."""
    attribution = call.attribution
    return RecordedCall(
        request_id=call.id,
        operation=call.operation,
        stream=call.stream,
        provider=call.provider,
        model=call.model,
        requested_model=call.requested_model,
        messages=call.messages,
        prompts=prompts,
        parameters=call.parameters,
        response_model=call.output_type,
        tools=tuple(spec.name for spec in call.tools),
        user_id=attribution.user_id,
        feature=attribution.feature,
        tenant=attribution.tenant,
        conversation_id=attribution.conversation_id,
        context=attribution.context,
    )


When: TypeAlias = str | re.Pattern[str] | Callable[[RecordedCall], bool]
"""A part of the prompt (letter by letter), a pattern that is found in it, or a function."""


class Conditions(TypedDict, total=False):
    """Which calls are meant; all that is given must hold.

    ``when`` looks at the prompt, see `When`. ``model`` is what the caller said (a role) or what it
    stands for, with or without the provider.
    """

    when: When
    model: str
    operation: str
    response_model: type[BaseModel]
    feature: str
    user_id: UUID


def check_conditions(conditions: Mapping[str, object]) -> None:
    """Raise ``TypeError`` for a condition that there is not: it would hold for no call."""
    unknown = conditions.keys() - Conditions.__annotations__.keys()
    if unknown:
        known = ", ".join(Conditions.__annotations__)
        raise TypeError(f"there is no condition {', '.join(sorted(unknown))}; there are {known}")


def fits(call: RecordedCall, conditions: Conditions) -> bool:
    """Whether a call is one of those that are meant."""
    return all(_holds(call, name, wanted) for name, wanted in conditions.items())


def _holds(call: RecordedCall, name: str, wanted: Any) -> bool:
    if name == "when":
        return _prompted(call, wanted)
    if name == "model":
        return wanted in {call.requested_model, call.model, f"{call.provider}:{call.model}"}
    return bool(getattr(call, name) == wanted)


def _prompted(call: RecordedCall, when: When) -> bool:
    if isinstance(when, str):
        return when in call.prompt
    if isinstance(when, re.Pattern):
        return when.search(call.prompt) is not None
    return bool(when(call))
