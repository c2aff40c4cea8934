"""The bare SDK on the aiohttp transport that it ships."""

from openai import AsyncOpenAI, DefaultAioHttpClient

from .sdk import Sdk


async def connect(base_url: str) -> Sdk:
    """The same client, another transport."""
    http = DefaultAioHttpClient()
    return Sdk(AsyncOpenAI(api_key="sk-bench", base_url=base_url, http_client=http))
