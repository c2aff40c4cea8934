"""What a call may take at most, before it is sent: its prompt as counted, its output as capped.

For what has no cap, allowances stand: a picture's tokens at the best quality, the audio tokens of
two for each character, a recording of 16 kbit/s, the pages that a search reads.
"""

import json
from datetime import datetime
from decimal import Decimal

from modules.llm_services.pricing import PriceList
from modules.llm_services.tokens import count_messages, estimate_text_tokens
from modules.llm_services.types import AudioPart, Call, Usage

_PICTURE = 6_240
_PAGES = 20_000
_SEARCHES = 2
_BYTES_A_SECOND = 2_000
_TOKENS_A_SECOND = 10


def worst_usage(call: Call, output: int) -> Usage:
    """Units of one request. ``output`` is the bound on tokens where the call has no cap."""
    special = _SPECIAL.get(call.operation)
    prompt = _prompt(call)
    bound: int = call.parameters.get("max_tokens", output)
    return special(call, prompt, bound) if special else _text(prompt, bound)


def _prompt(call: Call) -> int:
    tools = [[tool.name, tool.description, tool.parameters] for tool in call.tools]
    schema = call.output_type.model_json_schema() if call.output_type else None
    beside = estimate_text_tokens(json.dumps([tools, schema])) if tools or schema else 0
    return count_messages(call.messages, call.model).tokens + beside


def _text(prompt: int, output: int) -> Usage:
    return Usage(prompt_tokens=prompt, completion_tokens=output)


def _embedding(call: Call, _prompt: int, _output: int) -> Usage:
    return _text(sum(map(estimate_text_tokens, call.material)), 0)


def _picture(call: Call, prompt: int, _output: int) -> Usage:
    given = _PICTURE * len(call.parameters.get("images", ()))
    return Usage(
        prompt_tokens=prompt + given,
        image_input_tokens=given,
        completion_tokens=_PICTURE,
        image_output_tokens=_PICTURE,
    )


def _speech(call: Call, prompt: int, _output: int) -> Usage:
    characters = sum(len(message.text) for message in call.messages)
    sound = 2 * characters
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=sound,
        audio_output_tokens=sound,
        characters=characters,
    )


def _transcript(call: Call, _prompt: int, output: int) -> Usage:
    parts = [part for message in call.messages for part in message.parts]
    size = sum(len(part.data or b"") for part in parts if isinstance(part, AudioPart))
    seconds = size / _BYTES_A_SECOND
    heard = round(seconds * _TOKENS_A_SECOND)
    return Usage(
        prompt_tokens=heard,
        audio_input_tokens=heard,
        completion_tokens=output,
        audio_seconds=seconds,
    )


def _search(call: Call, prompt: int, output: int) -> Usage:
    queries = len(call.messages) - 1  # the first message is the task
    return Usage(
        prompt_tokens=queries * (prompt + _PAGES),
        completion_tokens=queries * output,
        web_searches=queries * _SEARCHES,
    )


_SPECIAL = {
    "embedding": _embedding,
    "image": _picture,
    "image_edit": _picture,
    "speech": _speech,
    "transcription": _transcript,
    "search": _search,
}


def worst_cost(call: Call, usage: Usage, prices: PriceList, at: datetime) -> Decimal | None:
    """USD, or ``None`` when the price is not known."""
    tier: str | None = call.parameters.get("service_tier")
    return prices.price(call.provider, call.model, usage, at, service_tier=tier).total
