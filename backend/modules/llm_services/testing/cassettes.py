"""Cassettes: what real calls were asked and answered, kept in a file and played in tests.

They are made of the ledger's rows, and so hold what the payload policy let through: no keys, no
files, and with ``payload_mode="redacted"`` no personal data.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMBadResponseError,
    LLMConnectionError,
    LLMContextLengthError,
    LLMError,
    LLMNotFoundError,
    LLMPermissionError,
    LLMProviderError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMRefusedError,
    LLMStreamCutError,
    LLMTimeoutError,
    LLMTruncatedError,
    LLMValidationError,
)
from modules.llm_services.protocols.ledger import ReadsLedger
from modules.llm_services.providers.formats import CHAT, RESPONSES
from modules.llm_services.recording import CallRecord, PayloadPolicy
from modules.llm_services.recording.rows import opening_row
from modules.llm_services.types import (
    Call,
    JsonObject,
    LLMRequestDTO,
    PayloadMode,
    ToolCall,
    Usage,
)

from .conversing import Spoken
from .recorded import RecordedCall
from .script import Rule, Script, UnscriptedError

_FORMAT = 1
_MODES: tuple[PayloadMode, ...] = ("full", "redacted")
_PLAYED = {"chat", "structured", "tools", "transcription"}
_ASKED = (
    *("operation", "provider", "model", "temperature", "max_tokens"),
    *("additional_params", "messages"),
)
_UNITS = ("prompt_tokens", "completion_tokens", "cache_read_tokens", "reasoning_tokens")
_POLICY = PayloadPolicy(max_chars=2**31)
_ERRORS: Mapping[str, type[LLMError]] = {
    kind.error_type: kind
    for kind in (
        *(LLMAuthenticationError, LLMPermissionError, LLMRateLimitError, LLMQuotaExceededError),
        *(LLMTimeoutError, LLMRefusedError, LLMTruncatedError, LLMValidationError),
        *(LLMProviderError, LLMConnectionError, LLMStreamCutError, LLMBadResponseError),
        *(LLMBadRequestError, LLMContextLengthError, LLMNotFoundError),
    )
}
Redact: TypeAlias = Callable[[str], str]


def cassette_from(
    llm: ReadsLedger,
    request_ids: Iterable[UUID],
    path: str | Path,
    *,
    redact: Redact | None = None,
) -> None:
    """Write requests and their answers, read from the ledger, to a JSON file.

    Conversations (objects, streams and tools among them) and transcriptions can be played again,
    also those that failed. What other kinds answered is not in the ledger. ``redact`` has the last
    word about every text; whoever plays the cassette must hand in the same.

    Raises:
        ValueError: a row is not there, has not ended, or lacks the words that were said.

    """
    takes = [_take(_row(llm, request_id)) for request_id in request_ids]
    kept = {"format": _FORMAT, "takes": _redacted(takes, redact)}
    text = json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True)
    Path(path).write_text(text + "\n", encoding="utf-8")


def _row(llm: ReadsLedger, request_id: UUID) -> LLMRequestDTO:
    row = llm.get_request(request_id)
    if row is None:
        raise ValueError(f"request {request_id} is not in the ledger")
    problem = _unplayable(row)
    if problem:
        raise ValueError(f"request {request_id} cannot be played: {problem}")
    return row


def _unplayable(row: LLMRequestDTO) -> str | None:
    if row.operation not in _PLAYED:
        return f"what a call of kind {row.operation!r} answers is not in the ledger"
    if row.status not in {"completed", "failed"}:
        return f"it is {row.status}"
    if row.payload_state not in {"full", "redacted"}:
        return f"its content is not there ({row.payload_state})"
    return None


def _take(row: LLMRequestDTO) -> JsonObject:
    said = row.model_dump(mode="json", include={*_ASKED, *_UNITS})
    called = _tool_calls(row.response_raw or {}) if row.finish_reason == "tool_calls" else ()
    return {
        "payload": row.payload_state,
        "request": _without_reasoning({name: said[name] for name in _ASKED}),
        "answer": {
            "text": row.response_content,
            "tool_calls": [call.model_dump(mode="json") for call in called],
            "finish_reason": row.finish_reason,
            "error_type": row.error_type,
            "error_message": row.error_message,
            "usage": {name: said[name] for name in _UNITS if said[name] is not None},
        },
    }


def _tool_calls(raw: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls of tools in a vendor's own JSON."""
    wire = CHAT if "choices" in raw else RESPONSES
    return wire.reply({"model": "", "status": "completed", **raw}).tool_calls


def _redacted(value: Any, redact: Redact | None) -> Any:
    """JSON with every text redacted."""
    if redact is None:
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: _redacted(item, redact) for name, item in value.items()}
    return [_redacted(item, redact) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Cassette:
    """Requests and their answers, in the order in which they are to be played."""

    takes: tuple[JsonObject, ...]

    @classmethod
    def read(cls, path: Path) -> "Cassette":
        """A file that `cassette_from` wrote. Raises ``ValueError`` for any other."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            takes, version = kept["takes"], kept["format"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path} is no cassette: cassette_from writes one") from None
        if version != _FORMAT:
            raise ValueError(f"{path} has the format {version}, and {_FORMAT} is known")
        return cls(tuple(takes))

    def script(self, redact: Redact | None = None) -> "CassetteScript":
        """A script that plays it, from the beginning."""
        return CassetteScript(self.takes, redact)


class CassetteScript(Script):
    """Plays takes to the requests that they were made of, each once."""

    def __init__(self, takes: Iterable[JsonObject], redact: Redact | None) -> None:
        super().__init__()
        self._takes = list(takes)
        self._redact = redact

    def fallback(self, call: Call, asked: RecordedCall) -> Rule:
        """The first take of this very request that was not played yet."""
        wanted: dict[PayloadMode, JsonObject] = {
            mode: _redacted(_request_of(call, mode), self._redact) for mode in _MODES
        }
        for index, take in enumerate(self._takes):
            if take["request"] == wanted[take["payload"]]:
                return _rule(call, self._takes.pop(index)["answer"])
        difference = self._difference(wanted["full"])
        raise UnscriptedError(f"not on the cassette: {asked.summary}\n{difference}")

    def _difference(self, wanted: JsonObject) -> str:
        if not self._takes:
            return "every take has been played"
        lines = _lines(wanted)
        near = max(
            (_lines(take["request"]) for take in self._takes),
            key=lambda kept: difflib.SequenceMatcher(None, kept, lines).ratio(),
        )
        return "\n".join(difflib.unified_diff(near, lines, "on the cassette", "asked", lineterm=""))


def _request_of(call: Call, mode: PayloadMode) -> JsonObject:
    """The request as a row has it: the ledger's own words make both sides of the comparison."""
    row = opening_row(CallRecord(replace(call, payload_mode=mode)), _POLICY)
    asked: JsonObject = json.loads(json.dumps({name: row[name] for name in _ASKED}, default=str))
    return _without_reasoning(asked)


def _without_reasoning(request: JsonObject) -> JsonObject:
    """What a model thought is not in the ledger, so it cannot go back to it when it is played."""
    messages = [
        {name: value for name, value in message.items() if name != "reasoning"}
        for message in request["messages"]
    ]
    return {**request, "messages": messages}


def _lines(request: JsonObject) -> list[str]:
    return json.dumps(request, indent=1, ensure_ascii=False, sort_keys=True).splitlines()


def _rule(call: Call, answer: Mapping[str, Any]) -> Rule:
    usage = Usage(**answer["usage"])
    if answer["error_type"]:
        return Rule(error=_error(answer, usage))
    text, finish = answer["text"] or "", answer["finish_reason"]
    calls = tuple(ToolCall(**one) for one in answer["tool_calls"])
    said = Spoken(pieces=(text,) if text else (), tool_calls=calls)
    heard = call.operation == "transcription"
    return Rule(answer=text if heard else said, usage=usage, finish_reason=finish)


def _error(answer: Mapping[str, Any], usage: Usage) -> LLMError:
    kind = _ERRORS.get(answer["error_type"], LLMError)
    said = {"last_text" if kind is LLMValidationError else "partial_text": answer["text"]}
    return kind(answer["error_message"] or "", usage=usage, **said)
