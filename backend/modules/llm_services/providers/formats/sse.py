"""Server-sent events from bytes, as the WHATWG standard frames them (§9.2.6, without ``retry``)."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

MAX_EVENT_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class ServerEvent:
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
        self._rest, self._name, self._data = b"", b"", bytearray()

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that end in this piece of the body. Raises `EventTooLongError`."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            if line[-1:] == b"\r":
                line = line[:-1]  # noqa: PLW2901
            if line[:6] == b"data: ":  # nearly every line that says something
                self._data += line[6:] + b"\n"
            elif line:
                self._field(line)
            elif (event := self._event()) is not None:
                yield event
        if max(len(self._rest), len(self._data)) > MAX_EVENT_BYTES:
            raise EventTooLongError

    def _event(self) -> ServerEvent | None:
        """The event that an empty line ends, if there was any."""
        name, data = self._name, self._data
        self._name, self._data = b"", bytearray()
        if len(data) > MAX_EVENT_BYTES:
            raise EventTooLongError
        return ServerEvent(name.decode("utf-8", "replace"), bytes(data[:-1])) if data else None

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data += value + b"\n"
        elif field == b"event":
            self._name = value


async def server_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[ServerEvent]:
    """The events of a body that comes in pieces."""
    reader = EventReader()
    async for chunk in chunks:
        for event in reader.feed(chunk):
            yield event
