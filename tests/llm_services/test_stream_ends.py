"""How a stream lets go of its connection: read to its end, so that it can serve another call."""

import json
from collections.abc import AsyncIterator

from modules.llm_services.providers.formats.chat_stream import ChatReader
from modules.llm_services.providers.key_mask import KeyMask
from modules.llm_services.providers.streaming import ProviderStream, StreamFacts
from modules.llm_services.types.stream import TextDelta

SAID = {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi."}}]}
ENDED = {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


async def test_what_is_behind_the_end_is_read_before_the_stream_is_closed() -> None:
    """A connection in the middle of a response cannot serve another."""
    told: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        for value in (json.dumps(SAID), json.dumps(ENDED), "[DONE]"):
            yield f"data: {value}\n\n".encode()
        yield b": a last word\n\n"
        told.append("all was read")

    async def close() -> None:
        told.append("closed")

    facts = StreamFacts(
        http_status=200,
        provider_request_id=None,
        dropped_params=(),
        output_type=None,
        mask=KeyMask(""),
    )
    stream = ProviderStream(chunks(), ChatReader(), facts, close)
    assert [event async for event in stream] == [TextDelta("Hi.")]
    assert stream.reply is not None
    await stream.aclose()
    assert told == ["all was read", "closed"]
