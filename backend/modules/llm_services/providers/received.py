"""What came back over the wire, on its way to a `Reply`, or to an error that says whose it is."""

from collections.abc import Mapping
from typing import Protocol

from modules.llm_services.exceptions import LLMBadResponseError, LLMError
from modules.llm_services.redaction import without_binaries, without_secrets

from .base import Reply
from .failures import request_id
from .formats import WireFormat
from .formats.base import BinaryFormat, decode
from .formats.speech_stream import is_event_stream
from .key_mask import KeyMask

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


def read_reply(
    wire: WireFormat | BinaryFormat, response: Response, body: bytes, mask: KeyMask
) -> Reply:
    """The reply in a body that has come whole. An error has status, id and an excerpt, and where
    the body is no answer and reports no usage, one may be paid for all the same.
    """
    try:
        if isinstance(wire, BinaryFormat):
            return wire.reply(body, response.headers.get("content-type", ""))
        return wire.reply(decode(body))
    except LLMError as error:
        if isinstance(error, LLMBadResponseError) and error.usage is None:
            error.maybe_billed = True
        error.response_body = without_binaries(error.response_body or _excerpt(body, mask))
        add_facts(error, response)
        mask.error(error)
        raise


def is_stream(response: Response) -> bool:
    """Whether a response is server-sent events."""
    return is_event_stream(response.headers.get("content-type", ""))


def add_facts(error: LLMError, response: Response) -> None:
    """Tell an error which response it is about."""
    error.status_code = error.status_code or response.status_code
    error.provider_request_id = request_id(response.headers)


def _excerpt(body: bytes, mask: KeyMask) -> str:
    text = body[:_MASKED_FIRST].decode("utf-8", "replace")
    return without_secrets(mask(text))[:_BODY_LIMIT]
