"""JSON requests without what the SDK does around each of them, where aiohttp is installed.

The SDK builds a request anew each time (options, headers, URL: some 450 µs) and sends it through
httpx2 (1,500 µs and more); aiohttp, whose parser is C, takes 150 µs for both. The SDK still says
how it is done: where to, with which key and which headers. What comes back goes through the same
guard, and errors mean the same: only what surely was not sent is surely not paid for.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from modules.llm_services.exceptions import LLMConfigurationError, LLMConnectionError

from .response_guard import broken_by, unconnected, unpacked

if TYPE_CHECKING:
    import aiohttp

    from modules.llm_services.setting_types import HttpTransport

MAX_CONNECTIONS: Final = 1_000  # as many as the SDK's own transport opens
IDLE_SECONDS: Final = 4.0  # below the 5 s of uvicorn, behind which vLLM and others answer
SSLContext = ssl.SSLContext


def direct_requests(
    owner: object,
    base_url: str,
    headers: Mapping[str, Any],
    context: SSLContext,
    connect: float,
    transport: HttpTransport,
) -> DirectRequests | None:
    """The shorter way to an endpoint, where there is one: proxies are the SDK's affair, and so are
    keys that it asks for anew. Raises `LLMConfigurationError` when it is wanted and not there.
    """
    fixed_key = "Authorization" in headers
    if transport == "httpx2" or not fixed_key or _goes_through_a_proxy(base_url):
        return None
    if _aiohttp_is_there():
        return DirectRequests(owner, base_url, headers, context, connect)
    if transport == "aiohttp":
        raise LLMConfigurationError("LLM_HTTP_TRANSPORT is aiohttp: install llm-services[fast]")
    return None


def _aiohttp_is_there() -> bool:
    """Loads it: adapters are made in a worker thread, where that holds nobody up."""
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        return False
    return True


def _goes_through_a_proxy(url: str) -> bool:
    parts = urlsplit(url)
    wanted = {parts.scheme, "all"} & getproxies().keys()
    return bool(wanted) and not proxy_bypass(parts.hostname or "")


class Answer:
    """One response whose body is still to be read, as `response_guard` reads it."""

    __slots__ = ("_host", "_response", "headers", "status_code")

    def __init__(self, response: aiohttp.ClientResponse, host: str) -> None:
        self._response, self._host = response, host
        self.status_code = response.status
        self.headers = _readable(response.headers)

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body, unpacked, as it comes. Raises `LLMConnectionError` when it breaks."""
        import aiohttp

        packing = self.headers.get("content-encoding", "identity").strip().lower()
        pieces = self._response.content.iter_any()
        try:
            async for piece in pieces if packing == "identity" else unpacked(pieces, packing):
                yield piece
        except aiohttp.ClientError as error:
            failure = error
        else:
            return
        raise broken_by(failure, self._host) from _shown(failure)

    async def aclose(self) -> None:
        """Let go of it. The connection is kept only when the response has come whole, and nothing
        behind it.
        """
        self._response.close()


class DirectRequests:
    """Posts to the endpoint of ``owner``, the SDK's client, for one event loop.

    ``headers`` are sent with each request. ``context`` says which certificates are trusted,
    ``connect`` how many seconds a connection may take.
    """

    def __init__(
        self,
        owner: object,
        base_url: str,
        headers: Mapping[str, Any],
        context: SSLContext,
        connect: float,
    ) -> None:
        self._owner = owner
        self._base = base_url.rstrip("/")
        self._host = urlsplit(base_url).hostname or ""
        self._session: aiohttp.ClientSession | None = None
        self._headers = {name: value for name, value in headers.items() if isinstance(value, str)}
        self._context = context
        self._connect = connect
        self._urls: dict[str, Any] = {}

    def takes(self, owner: object, sent: Mapping[str, Any]) -> bool:
        """Whether a body goes this way: JSON that is all there, for the endpoint of ``owner``."""
        return owner is self._owner and isinstance(sent.get("content"), bytes)

    async def post(self, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Send JSON: exactly one request. Raises `LLMConnectionError`, never for a status."""
        import aiohttp

        session = self._session or self._opened()
        try:
            response = await session.post(
                self._urls.get(path) or self._url(path),
                data=content,
                headers={**self._headers, **headers},
                allow_redirects=False,
            )
        except aiohttp.ClientError as error:
            failure = error
        else:
            return Answer(response, self._host)
        raise self._mapped(failure) from _shown(failure)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # in which the loop closes sockets that were let go just now

    def __del__(self) -> None:
        """A loop that has ended without closing its clients has taken the connections along."""
        if self._session is not None:
            self._session.detach()

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        from .direct_pool import Pool

        self._session = aiohttp.ClientSession(
            connector=Pool(
                ssl=self._context, limit=MAX_CONNECTIONS, keepalive_timeout=IDLE_SECONDS
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self._session

    def _url(self, path: str) -> Any:
        from yarl import URL

        url = self._urls[path] = URL(f"{self._base}{path}", encoded=True)
        return url

    def _mapped(self, error: aiohttp.ClientError) -> LLMConnectionError:
        import aiohttp

        never_sent = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
        if isinstance(error, (*never_sent, aiohttp.InvalidURL)):
            return unconnected(self._host, error)
        return broken_by(error, self._host)


def _readable(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Bytes that are no UTF-8 come as lone surrogates, which nothing can store."""
    if all(map(str.isascii, headers.values())):
        return headers
    return {
        name.lower(): value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        for name, value in headers.items()
    }


def _shown(error: aiohttp.ClientError) -> Exception | None:
    """The error as the cause of ours; one that holds the request's headers, and so the key, is
    not shown.
    """
    return None if hasattr(error, "request_info") else error
