"""What a reply has to pass before anybody reads it, and how it is read.

`guard` is a hook of the HTTP client. A packed body is unpacked here, a little at a time, because
the HTTP library unpacks whatever it received at once: some kilobytes can be gigabytes. Whoever
reads counts what comes out. Bodies of failures are cut short instead, for the SDK reads them
whole, and as text. The key leaves the request, which errors hold and logs show. And a connection
on which more came than the reply is not used again.
"""

import ssl
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from math import inf
from typing import Any, Protocol, cast

import httpx2

from modules.llm_services.bulk import off_loop
from modules.llm_services.exceptions import (
    LLMBadResponseError,
    LLMConnectionError,
    LLMProviderError,
)

from .failures import request_id


class Body(Protocol):
    """What is read of a response, whoever's client it came through."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in any case."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it comes, unpacked."""
        ...

    async def aclose(self) -> None:
        """Let go of the response, and of the connection if it cannot be used again."""
        ...


ACCEPTED_ENCODINGS = "gzip, deflate"
KEY_HEADERS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")
"""Where the vendors' clients put the key."""
_PIECE = 2**16
_FAILURE_LIMIT = 2**18
_FAILURE = 300
_PACKED = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
# From httpx2's stream down to h11's parser (httpx2 and httpcore2 2.x), see `_unasked`.
_DOWN = ("_stream", "_httpcore_stream", "_stream", "_connection", "_h11_state")


async def guard(response: httpx2.Response) -> None:
    """Put the guard in front of a reply whose head has come."""
    for name in KEY_HEADERS:
        response.request.headers.pop(name, None)
    packing = response.headers.pop("content-encoding", "identity").strip().lower()
    failed = response.status_code >= _FAILURE
    if failed:
        response.encoding = "utf-8"  # what the head says may be unknown, or not true
    stream = cast("httpx2.AsyncByteStream", response.stream)
    response.stream = _Guarded(stream, packing, _FAILURE_LIMIT if failed else None)


HOOKS = {"response": [guard]}
"""What a client of ours listens to."""


async def content(response: Body, limit: float) -> bytes:
    """A whole body. Raises `LLMBadResponseError` for one that is beyond ``limit`` bytes."""
    try:
        pieces = [piece async for piece in chunks(response, limit)]
        return await off_loop(sum(map(len, pieces)), b"".join, pieces)
    finally:
        await response.aclose()


async def chunks(response: Body, limit: float = inf) -> AsyncIterator[bytes]:
    """A body as it comes, up to ``limit`` bytes. Raises `LLMError` when it breaks."""
    size = 0
    try:
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > limit:
                raise _too_long(limit)
            yield chunk
    except httpx2.HTTPError as error:
        raise _known(broken(error), response) from error
    except (LLMBadResponseError, LLMConnectionError) as error:
        _known(error, response)
        raise


async def failure_text(response: Body) -> str:
    """The beginning of what a failure says, as far as it is sound."""
    said = bytearray()
    try:
        async for piece in response.aiter_bytes():
            said += piece
            if len(said) >= _FAILURE_LIMIT:
                break
    except (LLMBadResponseError, LLMConnectionError):
        pass  # its status says what it is
    finally:
        await response.aclose()
    return said[:_FAILURE_LIMIT].decode("utf-8", "replace")


def _known(error: LLMProviderError, response: Body) -> LLMProviderError:
    """The error with what the reply's head has told."""
    error.status_code = response.status_code
    error.provider_request_id = request_id(response.headers)
    return error


def broken(error: httpx2.HTTPError) -> LLMConnectionError:
    """A connection that broke after something was sent."""
    return broken_by(error, error.request.url.host)


def broken_by(error: Exception, host: str) -> LLMConnectionError:
    """The same for the error of any HTTP client."""
    return LLMConnectionError(
        f"the connection to {host} broke ({type(error).__name__})", maybe_billed=True
    )


def unconnected(host: str, cause: BaseException | None) -> LLMConnectionError:
    """No connection at all; a certificate that is wrong now is wrong the next time."""
    if _is_about_certificates(cause):
        return LLMConnectionError(f"the certificate of {host} is not trusted", retryable=False)
    reason = type(cause).__name__ if cause else "unknown reason"
    return LLMConnectionError(f"no connection to {host} ({reason})")


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def _too_long(limit: float) -> LLMBadResponseError:
    return LLMBadResponseError(
        f"the provider's answer is over the limit of {limit / 1_000_000:g} MB (LLM_REPLY_MAX_MB)",
        maybe_billed=True,
        retryable=False,
    )


class _Guarded(httpx2.AsyncByteStream):
    """A body, unpacked; of a failure (``limit`` in bytes) the beginning, as far as it is sound."""

    def __init__(self, stream: httpx2.AsyncByteStream, packing: str, limit: int | None) -> None:
        self._stream = stream
        self._packing = packing
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._limit
        try:
            async for piece in unpacked(self._stream, self._packing):
                if left is None:
                    yield piece
                    continue
                yield piece[:left]
                left -= len(piece)
                if left <= 0:
                    return
        except (LLMBadResponseError, httpx2.HTTPError):
            if self._limit is None:
                raise

    async def aclose(self) -> None:
        """Close the reply, and the connection with it when it cannot be trusted any more."""
        parser = _parser(self._stream)
        if _unasked(parser):
            parser.send_failed()
        await self._stream.aclose()


async def unpacked(stream: AsyncIterable[bytes], packing: str) -> AsyncIterator[bytes]:
    """A body that was packed, a little at a time. Raises `LLMBadResponseError` when it was not."""
    if packing == "identity":
        async for piece in stream:
            yield piece
        return
    unpacker = _unpacker(packing)
    async for packed in stream:
        for piece in _pieces(unpacker, packed, packing):
            yield piece
    if not unpacker.eof:
        raise _bad(packing)


def _unpacker(packing: str) -> Any:
    if packing not in _PACKED:
        raise LLMBadResponseError(
            f"the provider's answer is packed as {packing[:40]!r}, which was not asked for",
            maybe_billed=True,
        )
    return zlib.decompressobj(_PACKED[packing])


def _pieces(unpacker: Any, packed: bytes, packing: str) -> Iterator[bytes]:
    try:
        while piece := unpacker.decompress(packed, _PIECE):
            yield piece
            packed = unpacker.unconsumed_tail
    except zlib.error:
        raise _bad(packing) from None


def _bad(packing: str) -> LLMBadResponseError:
    return LLMBadResponseError(
        f"the provider's answer is not packed as {packing}, or not whole", maybe_billed=True
    )


def _parser(stream: object) -> Any:
    """The HTTP parser behind a body; ``None`` where there is none, as in tests and with HTTP/2."""
    for name in _DOWN:
        stream = getattr(stream, name, None)
    return stream


def _unasked(parser: Any) -> bool:
    """Whether bytes came behind the reply. The parser keeps them, and the next request on this
    connection would get them for its answer: expected is that the HTTP library drops such a
    connection, which it does only for bytes that are still in the socket (httpcore2 2.x).
    """
    return parser is not None and bool(parser.trailing_data[0])
