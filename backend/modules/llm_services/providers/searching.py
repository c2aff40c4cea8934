"""Endpoints that can search the web: those with OpenAI's Responses API.

A class of its own, so that being able to search cannot disagree with having the method.
"""

from modules.llm_services.exceptions import LLMBadResponseError
from modules.llm_services.types import Call

from .base import Attempt, Reply
from .findings import Findings
from .formats.search import SEARCH
from .openai import OpenAIProvider
from .verdict import usable


class SearchingProvider(OpenAIProvider):
    """One endpoint that speaks OpenAI's Responses API, for one event loop."""

    async def search_web(self, call: Call, _attempt: Attempt) -> Reply:
        """What the web says to the call's last message: one HTTP request."""
        return searched(await self._exchange(SEARCH, call))


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
