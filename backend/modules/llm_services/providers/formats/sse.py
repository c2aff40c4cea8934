"""Server-sent events from bytes, as the WHATWG standard frames them (§9.2.6, without ``retry``)."""

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

MAX_EVENT_BYTES = 16 * 2**20


class ServerEvent(NamedTuple):
    """One event: its name (empty when it has none) and its data."""

    name: str
    data: bytes


class EventTooLongError(ValueError):
    """A line or an event that never ends would fill the memory."""


class EventReader:
    """The events of a body, as they become complete. Comments and unknown fields are left out.

    A last event that the body's end cuts off is not delivered, as the standard wants it.
    """

    def __init__(self) -> None:
        self._rest, self._name = b"", b""
        self._data: list[bytes] = []  # lines of the event that has begun
        self._size = 0  # of them

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that end in this piece of the body. Raises `EventTooLongError`."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            if line[-1:] == b"\r":
                line = line[:-1]  # noqa: PLW2901
            if line[:6] == b"data: ":  # nearly every line that says something
                self._data.append(line[6:])
                self._size += len(line)
            elif line[:7] == b"event: ":
                self._name = line[7:]
            elif line:
                self._field(line)
            elif (event := self._event()) is not None:
                yield event
        if max(len(self._rest), self._size) > MAX_EVENT_BYTES:
            raise EventTooLongError

    def _event(self) -> ServerEvent | None:
        """The event that an empty line ends, if it has said anything."""
        name, data, size = self._name, self._data, self._size
        self._name, self._data, self._size = b"", [], 0
        if size > MAX_EVENT_BYTES:
            raise EventTooLongError
        said = data[0] if len(data) == 1 else b"\n".join(data)
        return ServerEvent(name.decode("utf-8", "replace"), said) if data else None

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._size += len(line)
        elif field == b"event":
            self._name = value


async def server_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[ServerEvent]:
    """The events of a body that comes in pieces."""
    reader = EventReader()
    async for chunk in chunks:
        for event in reader.feed(chunk):
            yield event
