"""Is a reply an answer? Refusals and cut-off answers are told apart before anything is parsed,
because asking again would only pay for them again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from modules.llm_services.exceptions import LLMBadResponseError, LLMRefusedError, LLMTruncatedError
from modules.llm_services.types import ToolSpec

from .base import Reply
from .findings import Findings
from .structured import parsed
from .tool_arguments import checked


def usable(
    reply: Reply, output_type: type[BaseModel] | None, tools: Sequence[ToolSpec] = ()
) -> Reply:
    """The reply, with its object when one was asked for, and with its calls of tools checked.

    Raises `LLMRefusedError`, `LLMTruncatedError`, `LLMBadResponseError` for an empty answer and
    `LLMValidationError` for one that does not fit; all of them know the tokens that were used.
    """
    if reply.finish_reason in {"refusal", "content_filter"}:
        raise LLMRefusedError(f"the model did not answer ({reply.finish_reason})", **_facts(reply))
    if reply.finish_reason == "length" and _has_to_be_whole(reply, output_type):
        raise LLMTruncatedError(
            "the output cap was reached before the answer was complete: raise max_tokens",
            **_facts(reply),
        )
    if tools and reply.tool_calls:
        return replace(reply, tool_calls=checked(reply.tool_calls, tools))
    if not reply.text:
        raise LLMBadResponseError("the provider's answer is empty", **_facts(reply))
    if output_type is None:
        return reply
    return replace(reply, parsed=parsed(output_type, reply))


def searched(reply: Reply) -> Reply:
    """The reply, when a search stands behind it. Pages without a word about them are one, too.

    Raises as `usable` does, and `LLMBadResponseError` for what the model made up by itself.
    """
    found = reply.parsed
    if not isinstance(found, Findings) or not (found.calls or found.citations):
        usable(reply, None)
        raise LLMBadResponseError(
            "the model answered without searching",
            usage=reply.usage,
            partial_text=reply.text,
            status_code=reply.http_status,
            provider_request_id=reply.provider_request_id,
        )
    if not reply.text and reply.finish_reason == "stop" and found.consulted:
        return reply
    return usable(reply, None)


async def usable_in_thread(
    reply: Reply, output_type: type[BaseModel] | None, tools: Sequence[ToolSpec] = ()
) -> Reply:
    """The same, with validators in a worker thread: they are a caller's, and may take their time
    while the loop has other calls to serve.
    """
    if output_type is None and not (tools and reply.tool_calls):
        return usable(reply, output_type, tools)
    return await asyncio.to_thread(usable, reply, output_type, tools)


def _has_to_be_whole(reply: Reply, output_type: type[BaseModel] | None) -> bool:
    """Half a text is worth something, half an object or half a call is not."""
    return output_type is not None or bool(reply.tool_calls) or not reply.text


def _facts(reply: Reply) -> dict[str, Any]:
    return {
        "usage": reply.usage,
        "partial_text": reply.text or None,
        "status_code": reply.http_status,
        "provider_request_id": reply.provider_request_id,
        "code": reply.finish_reason,
    }
