"""The answer to a call with an idempotency key, as its row keeps it, and read again.

It goes through the same cleaning as everything else that is stored. A hash of what it was before
tells whether it is still whole: an answer that was cut, redacted or purged is not given again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter

from modules.llm_services.exceptions import LLMError
from modules.llm_services.providers.base import Reply
from modules.llm_services.providers.findings import Findings
from modules.llm_services.types import JsonObject, ToolCall
from modules.llm_services.types.audio import Transcript

_URL, _FINDINGS, _TRANSCRIPT = "url", "findings", "transcript"


def kept_answer(replies: Sequence[Reply | LLMError]) -> JsonObject | None:
    """The replies as JSON; ``None`` when one of them is missing, or cannot be kept as text."""
    kept = [_kept(reply) for reply in replies]
    if not kept or None in kept:
        return None
    return {"replies": kept, "sha256": _hash(kept)}


def _kept(reply: Reply | LLMError) -> JsonObject | None:
    if isinstance(reply, LLMError) or isinstance(reply.parsed, bytes | list):
        return None  # sound and vectors: a ledger is no place for them
    return {
        "text": reply.text,
        "model": reply.model,
        "finish_reason": reply.finish_reason,
        "dropped_params": list(reply.dropped_params),
        "tool_calls": [call.model_dump(mode="json") for call in reply.tool_calls],
        "parsed": _parsed(reply.parsed),
    }


def _parsed(value: object) -> JsonObject | None:
    """What of ``parsed`` does not follow from the text."""
    if isinstance(value, str):
        return {"kind": _URL, "value": value}
    if isinstance(value, Findings):
        return {"kind": _FINDINGS, "value": _findings().dump_python(value, mode="json")}
    if isinstance(value, Transcript):
        return {"kind": _TRANSCRIPT, "value": value.model_dump(mode="json")}
    return None


@lru_cache(maxsize=1)
def _findings() -> TypeAdapter[Findings]:
    return TypeAdapter(Findings)


def _hash(kept: object) -> str:
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def replies_of(answer: Any) -> list[Reply] | None:
    """The replies that a row keeps, or ``None`` when they are not what they were."""
    if not isinstance(answer, Mapping) or _hash(answer.get("replies")) != answer.get("sha256"):
        return None
    return [_reply(kept) for kept in answer["replies"]]


def _reply(kept: Mapping[str, Any]) -> Reply:
    return Reply(
        text=kept["text"],
        model=kept["model"],
        finish_reason=kept["finish_reason"],
        dropped_params=tuple(kept["dropped_params"]),
        tool_calls=tuple(ToolCall.model_validate(call) for call in kept["tool_calls"]),
        parsed=_value(kept["parsed"]),
    )


def _value(parsed: Mapping[str, Any] | None) -> object:
    if parsed is None:
        return None
    if parsed["kind"] == _FINDINGS:
        return _findings().validate_python(parsed["value"])
    if parsed["kind"] == _TRANSCRIPT:
        return Transcript.model_validate(parsed["value"])
    return parsed["value"]
