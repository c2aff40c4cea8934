"""Which reader reads a format's stream, and what its body needs to ask for one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .base import WireFormat
from .chat import CHAT
from .chat_stream import ChatReader
from .responses import RESPONSES
from .responses_stream import ResponsesReader
from .streams import StreamReader


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFormat:
    """How a format streams."""

    reader: Callable[[], StreamReader]
    asks: Mapping[str, Any]


_STREAMS: Mapping[str, StreamFormat] = {
    RESPONSES.path: StreamFormat(
        reader=ResponsesReader,
        asks={"stream": True, "stream_options": {"include_obfuscation": False}},
    ),
    CHAT.path: StreamFormat(
        reader=ChatReader,
        asks={"stream": True, "stream_options": {"include_usage": True}},
    ),
}


_UNASKED = StreamFormat(reader=ChatReader, asks={"stream": True})


def stream_format(wire: WireFormat, *, usage_option: bool = True) -> StreamFormat:
    """How ``wire`` streams; without ``usage_option`` tokens come unasked, or not at all."""
    if wire.path == CHAT.path and not usage_option:
        return _UNASKED
    return _STREAMS[wire.path]
