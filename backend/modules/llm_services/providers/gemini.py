"""Google's Gemini: the only file that knows Google's SDK.

The SDK brings addresses, authentication and headers, through the one request that all its methods
make. Bodies are written and read by `formats.gemini`: its own types refuse every field that they do
not know, and drop the status, the raw answer and the times of a stream. So it is given a guarded
HTTP client that sends our body and keeps the answer for us; what the SDK sees is an empty success.
Its own retries are off, which is what it does unless it is told otherwise.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from google.genai import Client
from google.genai.types import HttpOptions

from modules.llm_services.bulk import off_loop, sent_singly
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import Call, GivenImages

from .base import Attempt, Heard, Reply, deaf
from .failures import request_id
from .formats.base import Request, WireFormat
from .formats.gemini import (
    GENERATE,
    SEARCH,
    STREAM_PATH,
    TIERS,
    GeminiReader,
    batch_embeddings,
    images,
)
from .gemini_failures import gemini_error
from .gemini_limits import accepted, check_gemini
from .key_mask import KeyMask
from .received import is_stream, read_reply
from .response_guard import (
    ACCEPTED_ENCODINGS,
    HOOKS,
    chunks,
    content,
)
from .sdk_errors import unanswered
from .sending import json_of, written
from .streaming import ProviderStream, StreamFacts
from .structured import output_schema
from .tls import tls
from .verdict import searched, usable_in_thread

_ENDPOINT = "https://generativelanguage.googleapis.com/v1beta"
_VERSIONS = ("v1beta", "v1", "v1alpha")
_KEY_HEADER = "x-goog-api-key"
_TIER_HEADER = "x-gemini-service-tier"
_OK = 200
CONNECT_TIMEOUT = 5.0
_LIMITS = httpx2.Limits(max_connections=1_000, max_keepalive_connections=100)


@dataclass(slots=True)
class _Exchange:
    """One request on its way through the SDK: our body, and the answer once its head is there."""

    pieces: Sequence[bytes]
    answer: httpx2.Response = field(init=False)


_under_way: ContextVar[_Exchange] = ContextVar("_under_way")


class _Line(httpx2.AsyncClient):
    """The SDK's HTTP client: sends its request with our body, and keeps the answer for us."""

    async def send(self, request: httpx2.Request, **_options: Any) -> httpx2.Response:
        """Tell the SDK that all is well, whatever the answer is."""
        exchange = _under_way.get()
        pieces = exchange.pieces
        asked = self.build_request(
            request.method,
            request.url,
            headers={**request.headers, "content-length": str(sum(map(len, pieces)))},
            content=pieces[0] if len(pieces) == 1 else sent_singly(pieces),
        )
        exchange.answer = await super().send(asked, stream=True, follow_redirects=False)
        return httpx2.Response(_OK, json={})


class GeminiProvider:
    """Google's Gemini API, for one event loop."""

    def __init__(self, name: str, settings: ProviderSettings, heard: Heard = deaf) -> None:
        self.name, self._heard = name, heard
        self._limit = settings.reply_limit
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        self._mask = KeyMask(key)
        base, version = _address(settings.base_url)
        self._host = urlsplit(base).hostname or ""
        self._http = _Line(
            timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT),
            limits=_LIMITS,
            verify=tls(),
            event_hooks=HOOKS,
        )
        self._client = Client(
            api_key=key,
            vertexai=False,
            http_options=HttpOptions(
                base_url=base,
                api_version=version,
                headers={"Accept-Encoding": ACCEPTED_ENCODINGS},
                httpx_client=httpx2.Client(transport=httpx2.BaseTransport()),
                httpx_async_client=self._http,
            ),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def check(self, call: Call) -> None:
        """See `GeneratesText.check`."""
        check_gemini(call)

    async def generate_text(self, call: Call, attempt: Attempt) -> Reply:
        """Text, or an object when the call has an ``output_type``: one HTTP request."""
        request = await _request(call, attempt)
        reply = await self._exchange(GENERATE, request)
        return await usable_in_thread(reply, call.output_type, call.tools)

    async def stream_text(self, call: Call, attempt: Attempt) -> ProviderStream:
        """Text piece by piece: one HTTP request, open until the stream is closed."""
        request = await _request(call, attempt)
        wire = replace(GENERATE, path=STREAM_PATH)
        response = await self._post(wire, request)
        facts = StreamFacts(
            http_status=response.status_code,
            provider_request_id=request_id(response.headers),
            dropped_params=accepted(call)[1],
            output_type=call.output_type,
            tools=call.tools,
            mask=self._mask,
        )
        whole = None if is_stream(response) else await self._read(wire, response)
        said = chunks(response, self._limit)
        return ProviderStream(
            said, GeminiReader(_tier(call, response)), facts, response.aclose, whole
        )

    async def search_web(self, call: Call, attempt: Attempt) -> Reply:
        """What the web says to the call's last message: one HTTP request."""
        return searched(await self._exchange(SEARCH, await _request(call, attempt)))

    async def generate_image(self, call: Call, attempt: Attempt) -> Reply:
        """A picture for a prompt: one HTTP request."""
        return await self._exchange(images(), await _request(call, attempt))

    async def edit_image(self, call: Call, attempt: Attempt, given: GivenImages) -> Reply:
        """A picture for a prompt and pictures: one HTTP request."""
        return await self._exchange(images(given.images), await _request(call, attempt))

    async def embed(self, call: Call, attempt: Attempt, texts: Sequence[str]) -> Reply:
        """Vectors for texts: one HTTP request."""
        return await self._exchange(batch_embeddings(texts), await _request(call, attempt))

    async def _exchange(self, wire: WireFormat, request: Request) -> Reply:
        response = await self._post(wire, request)
        reply = await self._read(wire, response)
        return replace(
            reply,
            http_status=response.status_code,
            provider_request_id=reply.provider_request_id or request_id(response.headers),
            service_tier=_tier(request.call, response),
            dropped_params=accepted(request.call)[1],
        )

    async def _read(self, wire: WireFormat, response: httpx2.Response) -> Reply:
        """Megabytes are read and hashed in a thread: the loop has other calls to serve."""
        body = await content(response, self._limit)
        return await off_loop(len(body), read_reply, wire, response, body, self._mask)

    async def _post(self, wire: WireFormat, request: Request) -> httpx2.Response:
        """A success whose body is still to be read."""
        call = request.call
        response = await self._sent(call, wire.path, await written(wire, request))
        self._heard(call, response.headers)
        if response.status_code == _OK:
            return response
        text = self._mask((await content(response, self._limit)).decode("utf-8", "replace"))
        error = gemini_error(response.status_code, response.headers, json_of(text), text)
        self._mask.error(error)
        raise error

    async def _sent(self, call: Call, verb: str, pieces: Sequence[bytes]) -> httpx2.Response:
        exchange = _Exchange(pieces)
        token = _under_way.set(exchange)
        path = f"models/{quote(call.model, safe='')}:{verb}"
        options = HttpOptions(headers={"X-Client-Request-Id": str(call.id)})
        try:
            # The SDK's public methods end here, after their types have read and written the body.
            await self._client._api_client.async_request("post", path, {}, options)  # noqa: SLF001
        except httpx2.RequestError as error:
            error.request.headers.pop(_KEY_HEADER, None)
            raise unanswered(error, self._host) from error
        finally:
            _under_way.reset(token)
        return exchange.answer


async def _request(call: Call, attempt: Attempt) -> Request:
    schema = await output_schema(call.output_type) if call.output_type else None
    parameters, _ = accepted(call)
    return Request(call=call, parameters=parameters, schema=schema, correction=attempt.correction)


def _address(base_url: str | None) -> tuple[str, str]:
    """The endpoint and the version of its API, which the SDK wants apart."""
    root, _, last = (base_url or _ENDPOINT).rpartition("/")
    return (root, last) if last in _VERSIONS else (base_url or "", _VERSIONS[0])


def _tier(call: Call, response: httpx2.Response) -> str | None:
    """The service tier that answered; where nobody says, the one that was asked for."""
    said: str | None = response.headers.get(_TIER_HEADER)
    return said or TIERS.get(call.parameters.get("service_tier", ""))
