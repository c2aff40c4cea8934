"""Server-sent events from bytes, as the WHATWG standard frames them (§9.2.6, without ``retry``)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

MAX_EVENT_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its name (empty when it has none) and its data."""

    name: str
    data: bytes


class EventTooLongError(ValueError):
    """A line or an event that never ends would fill the memory."""


async def server_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[ServerEvent]:
    """The events of a body, as they become complete. Comments and unknown fields are left out.

    A last event that the body's end cuts off is not delivered, as the standard wants it.
    """
    name, data = b"", bytearray()
    async for line in _lines(chunks):
        if not line:
            if data:
                yield ServerEvent(name.decode("utf-8", "replace"), bytes(data[:-1]))
            name, data = b"", bytearray()
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data += value + b"\n"
        elif field == b"event":
            name = value
        if len(data) > MAX_EVENT_BYTES:
            raise EventTooLongError


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r")
        if len(rest) > MAX_EVENT_BYTES:
            raise EventTooLongError
