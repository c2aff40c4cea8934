"""Endpoints that can search the web: those with OpenAI's Responses API.

A class of its own, so that being able to search cannot disagree with having the method.
"""

from modules.llm_services.types import Call

from .base import Attempt, Reply
from .formats.search import SEARCH
from .openai import OpenAIProvider
from .verdict import searched


class SearchingProvider(OpenAIProvider):
    """One endpoint that speaks OpenAI's Responses API, for one event loop."""

    async def search_web(self, call: Call, _attempt: Attempt) -> Reply:
        """What the web says to the call's last message: one HTTP request."""
        return searched(await self._exchange(SEARCH, call))
