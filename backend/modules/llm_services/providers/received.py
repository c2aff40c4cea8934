"""What came back over the wire, on its way to a `Reply`: bounded, and an error that says whose."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from modules.llm_services.exceptions import LLMBadResponseError, LLMError
from modules.llm_services.redaction import without_binaries, without_secrets

from .base import Reply
from .formats import WireFormat
from .formats.base import BinaryFormat, decode
from .formats.speech_stream import is_event_stream

_BODY_LIMIT = 2_000
_MASKED_FIRST = 5 * _BODY_LIMIT  # so that no half of a key is left where the text is cut


class Response(Protocol):
    """What we read of an HTTP response, whoever's client it came through."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in any case."""
        ...

    async def aread(self) -> bytes:
        """The whole body."""
        ...


def read_reply(wire: WireFormat | BinaryFormat, response: Response, body: bytes) -> Reply:
    """The reply in a body that has come whole. An error has status, id and an excerpt."""
    try:
        if isinstance(wire, BinaryFormat):
            return wire.reply(body, response.headers.get("content-type", ""))
        return wire.reply(decode(body))
    except LLMError as error:
        error.response_body = without_binaries(error.response_body or _excerpt(body))
        add_facts(error, response)
        raise


async def read_whole(wire: WireFormat, response: Response) -> Reply:
    """The reply of an endpoint that was asked for a stream and answers at once."""
    return read_reply(wire, response, await response.aread())


async def bounded(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """All of a body. Raises `LLMBadResponseError` for one of more than ``limit`` bytes."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise LLMBadResponseError(
                f"the provider's answer is beyond {limit} bytes", maybe_billed=True
            )
    return bytes(body)


def is_stream(response: Response) -> bool:
    """Whether a response is server-sent events."""
    return is_event_stream(response.headers.get("content-type", ""))


def add_facts(error: LLMError, response: Response) -> None:
    """Tell an error which response it is about."""
    error.status_code = error.status_code or response.status_code
    error.provider_request_id = response.headers.get("x-request-id")


def _excerpt(body: bytes) -> str:
    return without_secrets(body[:_MASKED_FIRST].decode("utf-8", "replace"))[:_BODY_LIMIT]
