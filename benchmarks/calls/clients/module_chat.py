"""This module on Chat Completions, the format that the bare SDK is measured with."""

import os

from .module import Module
from .module import connect as connect_module


async def connect(base_url: str) -> Module:
    """The same, with the other format."""
    os.environ["LLM_PROVIDERS__OPENAI__API"] = "chat"
    return await connect_module(base_url)
