"""Is a reply an answer? Refusals and cut-off answers are told apart before anything is parsed,
because asking again would only pay for them again.
"""

from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from modules.llm_services.exceptions import LLMBadResponseError, LLMRefusedError, LLMTruncatedError

from .base import Reply
from .structured import parsed


def usable(reply: Reply, output_type: type[BaseModel] | None) -> Reply:
    """The reply, with its object when one was asked for.

    Raises `LLMRefusedError`, `LLMTruncatedError`, `LLMBadResponseError` for an empty answer and
    `LLMValidationError` for one that does not fit; all of them know the tokens that were used.
    """
    if reply.finish_reason in {"refusal", "content_filter"}:
        raise LLMRefusedError(f"the model did not answer ({reply.finish_reason})", **_facts(reply))
    if reply.finish_reason == "length" and (output_type is not None or not reply.text):
        raise LLMTruncatedError(
            "the output cap was reached before the answer was complete: raise max_tokens",
            **_facts(reply),
        )
    if not reply.text:
        raise LLMBadResponseError("the provider's answer is empty", **_facts(reply))
    if output_type is None:
        return reply
    return replace(reply, parsed=parsed(output_type, reply))


def _facts(reply: Reply) -> dict[str, Any]:
    return {
        "usage": reply.usage,
        "partial_text": reply.text or None,
        "status_code": reply.http_status,
        "provider_request_id": reply.provider_request_id,
        "code": reply.finish_reason,
    }
