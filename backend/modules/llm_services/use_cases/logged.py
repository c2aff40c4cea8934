"""A logged request in the words of a caller, so that it can be made again."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel
from sqlalchemy import RowMapping

from modules.llm_services import arguments
from modules.llm_services.calls import CallArguments
from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.repo import CONVERSATIONS
from modules.llm_services.types import (
    ContentPart,
    DocumentPart,
    GenerationOptions,
    GenerationParameters,
    ImagePart,
    LLMMessageDTO,
    TextPart,
    ToolCall,
    ToolSpec,
)

_NO_TEMPERATURE = 1.0  # what rows hold when none was asked for
_TOOL_USE = ("tool_choice", "parallel_tool_calls")
_BY_URL: Mapping[str, type[ImagePart] | type[DocumentPart]] = {
    "image": ImagePart,
    "document": DocumentPart,
}


class LoggedRequest:
    """A row that can be made again. Raises `LLMInputError` for one that cannot, with the reason."""

    def __init__(self, row: RowMapping) -> None:
        self._row = row
        self._said: Mapping[str, Any] = row["additional_params"] or {}
        if row["operation"] not in CONVERSATIONS:
            raise LLMInputError(f"it is no conversation but of the kind {row['operation']!r}")
        if row["payload_state"] != "full":
            raise LLMInputError(
                f"the ledger does not hold it as it was sent (payload_state "
                f"{row['payload_state']}); estimates need no content"
            )
        self._messages = [_message(stored) for stored in row["messages"]]

    def asked(
        self,
        model: str,
        response_models: Mapping[str, type[BaseModel]],
        tools: Sequence[ToolSpec],
        options: Mapping[str, Any],
    ) -> tuple[str, CallArguments]:
        """The kind of call, and its arguments for another model."""
        row, answers = self._row, self._said.get("response_model")
        said = {**self._parameters(), **options, **self._tools(tools)}
        temperature = None if row["temperature"] == _NO_TEMPERATURE else row["temperature"]
        asked = CallArguments(
            self._messages,
            row["user_id"],
            model,
            temperature,
            row["max_tokens"] or None,
            cast("GenerationOptions", said),
            None if answers is None else _named(answers, response_models),
        )
        return "chat" if answers is None else "structured", asked

    def _parameters(self) -> dict[str, Any]:
        known = GenerationParameters.__annotations__.keys() & arguments.OPTIONS.keys()
        return {name: value for name, value in self._said.items() if name in known}

    def _tools(self, given: Sequence[ToolSpec]) -> dict[str, Any]:
        names = self._said.get("tools")
        if not names:
            return {}
        found = [spec for spec in given if spec.name in names]
        if len(found) < len(names):
            raise LLMInputError(f"it was offered the tools {', '.join(names)}: give them as tools")
        return {"tools": found, **{n: self._said[n] for n in _TOOL_USE if n in self._said}}


def _named(name: str, models: Mapping[str, type[BaseModel]]) -> type[BaseModel]:
    found = models.get(name)
    if found is None:
        raise LLMInputError(f"its answer is a {name}: hand that class in as response model")
    return found


def _message(stored: Mapping[str, Any]) -> LLMMessageDTO:
    """Sealed reasoning stays behind: it is of no use to another model."""
    content = stored["content"]
    return LLMMessageDTO(
        role=stored["role"],
        content=content if isinstance(content, str) else [_part(part) for part in content],
        name=stored.get("name"),
        tool_calls=tuple(ToolCall(**call) for call in stored.get("tool_calls", ())),
        tool_call_id=stored.get("tool_call_id"),
    )


def _part(stored: Mapping[str, Any]) -> ContentPart:
    kind, url = stored["type"], stored.get("url", "")
    if kind == "text":
        return TextPart(text=stored["text"])
    whole = hashlib.sha256(url.encode()).hexdigest() == stored.get("sha256_of_url")
    if kind not in _BY_URL or not whole:
        raise LLMInputError(f"it shows the model a file ({kind}), which the ledger does not keep")
    return _BY_URL[kind](url=url)
