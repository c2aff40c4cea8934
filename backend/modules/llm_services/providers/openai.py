"""OpenAI, and everything that speaks its formats: the only file that knows OpenAI's SDK.

The SDK brings authentication, connections and error classes. Bodies are written and read by
`formats`, through the SDK's documented ``client.post``: that leaves out its parameter transform
and its response construction, which cost more than the rest of a call.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx2
from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    AsyncStream,
    DefaultAsyncHttpxClient,
    Omit,
    Timeout,
)

from modules.llm_services.bulk import off_loop
from modules.llm_services.exceptions import LLMError
from modules.llm_services.setting_types import ApiFormat, ProviderSettings
from modules.llm_services.types import Call, GivenImages, JsonObject
from modules.llm_services.types.audio import Recording

from .base import Attempt, CostsPage, HandlesBatches, Heard, Reply, deaf
from .batching import OpenAIBatches
from .capabilities import Refusals
from .credentials import token_source
from .direct import DirectRequests, direct_requests
from .failures import error_for_status
from .formats import CHAT, FORMATS, WireFormat
from .formats.base import BinaryFormat, Request
from .formats.costs import costs_of, parsed_costs
from .formats.embeddings import embeddings
from .formats.images import EDITS, GENERATIONS, File, form_files
from .formats.media import has_sound
from .formats.speech import speech
from .formats.streamed import stream_format
from .formats.transcriptions import TRANSCRIPTIONS, form_file
from .key_mask import KeyMask
from .limits import check_call
from .quirks import NO_QUIRKS, Quirks
from .received import Response, is_stream, read_reply
from .response_guard import (
    ACCEPTED_ENCODINGS,
    HOOKS,
    Body,
    chunks,
    content,
    failure_text,
)
from .sdk_errors import unanswered, without_key
from .sdk_log import keep_content_out_of_log
from .sending import Pieces, deployed, json_of, payload, written
from .streaming import ProviderStream, StreamFacts
from .structured import schema_for
from .tls import tls
from .verdict import usable_in_thread

CONNECT_TIMEOUT = 5.0
_UNUSED = AsyncStream[object]  # the SDK wants one for a stream; the raw response is what we read
_SUCCESS = range(200, 300)
_NO_KEY = "no-key-needed"
_AZURE_KEY = "api-key"


class OpenAIProvider:
    """One endpoint that speaks OpenAI's formats, for one event loop."""

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        api: ApiFormat,
        heard: Heard = deaf,
        quirks: Quirks = NO_QUIRKS,
    ) -> None:
        self.name, self._heard = name, heard
        self._limit = settings.reply_limit
        self._format = FORMATS[api]
        self._refusals = Refusals(quirks)
        self._accepted = self._refusals.accepted
        self.batches: HandlesBatches = OpenAIBatches(
            self._exchange, self._download, self._accepted, self._check, self._format
        )
        key = settings.api_key.get_secret_value() if settings.api_key else _NO_KEY
        self._mask = KeyMask(key)
        self._version = settings.api_version
        tokens = settings.token_provider
        self._signed = _by_key(key) if self._version and not tokens else {}
        keep_content_out_of_log()
        own = self._client = AsyncOpenAI(
            api_key=token_source(name, tokens, self._mask) if tokens else key,
            base_url=settings.base_url,
            max_retries=0,
            timeout=Timeout(None, connect=CONNECT_TIMEOUT),
            default_headers={"Accept-Encoding": ACCEPTED_ENCODINGS},
            default_query={"api-version": self._version} if self._version else None,
            http_client=DefaultAsyncHttpxClient(verify=tls(), event_hooks=HOOKS),
        )
        heads = {**own.default_headers, **own.auth_headers}
        way = "httpx2" if tokens or self._version else settings.http_transport or "auto"
        self._direct = direct_requests(own, str(own.base_url), heads, tls(), CONNECT_TIMEOUT, way)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._direct is not None:
            await self._direct.aclose()
        await self._client.close()

    def check(self, call: Call) -> None:
        """See `GeneratesText.check`."""
        self._check(self._format_for(call, self._accepted(call)[0]), call)

    def _check(self, wire: WireFormat, call: Call) -> None:
        check_call(wire, call, self._client.base_url.host, self._refusals.quirks)

    async def generate_text(self, call: Call, attempt: Attempt) -> Reply:
        """Text, or an object when the call has an ``output_type``: one HTTP request."""
        parameters, dropped = self._accepted(call)
        wire = self._format_for(call, parameters)
        request = await self._request(call, attempt, parameters, dropped)
        response = await self._post(wire, await written(wire, request), call)
        reply = replace(
            await self._read(wire, response),
            http_status=response.status_code,
            provider_request_id=response.headers.get("x-request-id"),
            dropped_params=dropped,
        )
        return await usable_in_thread(reply, call.output_type, call.tools)

    async def stream_text(self, call: Call, attempt: Attempt) -> ProviderStream:
        """Text piece by piece: one HTTP request, open until the stream is closed."""
        parameters, dropped = self._accepted(call)
        wire = self._format_for(call, parameters)
        streamed = stream_format(wire, usage_option=self._refusals.quirks.usage_option)
        request = await self._request(call, attempt, parameters, dropped)
        body = await written(wire, request, streamed.asks)
        response = await self._post(wire, body, call)
        facts = StreamFacts(
            http_status=response.status_code,
            provider_request_id=response.headers.get("x-request-id"),
            dropped_params=dropped,
            output_type=call.output_type,
            tools=call.tools,
            mask=self._mask,
        )
        whole = None if is_stream(response) else await self._read(wire, response)
        said = chunks(response, self._limit)
        return ProviderStream(said, streamed.reader(), facts, response.aclose, whole)

    async def _request(
        self, call: Call, attempt: Attempt, parameters: Mapping[str, Any], dropped: Sequence[str]
    ) -> Request:
        return Request(
            call=call,
            parameters=parameters,
            schema=await schema_for(call, dropped),
            correction=attempt.correction,
            quirks=self._refusals.quirks,
        )

    async def _read(self, wire: WireFormat | BinaryFormat, response: Body) -> Reply:
        """A whole reply. Megabytes are read and hashed in a thread: others want the loop."""
        limit = min(wire.limit, self._limit) if isinstance(wire, BinaryFormat) else self._limit
        read = await content(response, limit)
        return await off_loop(len(read), read_reply, wire, response, read, self._mask)

    async def generate_image(self, call: Call, _attempt: Attempt) -> Reply:
        """A picture for a prompt: one HTTP request."""
        return await self._exchange(GENERATIONS, call)

    async def edit_image(self, call: Call, _attempt: Attempt, given: GivenImages) -> Reply:
        """A picture for a prompt and pictures, as a form: one HTTP request."""
        return await self._exchange(EDITS, call, form_files(given))

    async def embed(self, call: Call, _attempt: Attempt, texts: Sequence[str]) -> Reply:
        """Vectors for texts: one HTTP request."""
        return await self._exchange(embeddings(texts, call.parameters.get("dimensions")), call)

    async def speak(self, call: Call, _attempt: Attempt, text: str) -> Reply:
        """A text as sound: one HTTP request."""
        return await self._exchange(speech(text, call.parameters["format"]), call)

    async def transcribe(self, call: Call, _attempt: Attempt, recording: Recording) -> Reply:
        """What is said in a recording: one HTTP request."""
        return await self._exchange(TRANSCRIPTIONS, call, form_file(recording))

    async def costs(self, call: Call, _attempt: Attempt, start: int, page: str | None) -> CostsPage:
        """What the organization is billed for a day; needs an admin key: one HTTP request."""
        return parsed_costs(await self._exchange(costs_of(start, page), call))

    async def _exchange(
        self,
        wire: WireFormat | BinaryFormat,
        call: Call,
        parts: Sequence[File] | None = None,
    ) -> Reply:
        parameters, dropped = self._accepted(call)
        request = Request(call=call, parameters=parameters)
        body = wire.body(request) if parts else await written(wire, request)
        response = await self._post(wire, body, call, files=parts)
        return replace(
            await self._read(wire, response),
            http_status=response.status_code,
            provider_request_id=response.headers.get("x-request-id"),
            dropped_params=dropped,
        )

    async def _download(self, wire: WireFormat, call: Call) -> AsyncIterator[bytes]:
        """A body of any length, once its head is there."""
        return self._body(await self._post(wire, (), call))

    async def _body(self, response: Body) -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks(response):
                yield chunk
        finally:
            await response.aclose()

    def _format_for(self, call: Call, parameters: Mapping[str, object]) -> WireFormat:
        """Some parameters exist only in Chat Completions, and only there is sound heard."""
        needs_chat = parameters.keys() & CHAT.only or has_sound(call)
        return CHAT if needs_chat else self._format

    async def _post(
        self,
        wire: WireFormat | BinaryFormat,
        body: Pieces | JsonObject,
        call: Call,
        files: Sequence[File] | None = None,
    ) -> Body:
        """A success whose body is still to be read. ``files`` make the request a form, of which
        ``body`` holds the other fields; else it is JSON, ready to be sent.
        """
        accept = {"Accept": "application/octet-stream"} if isinstance(wire, BinaryFormat) else {}
        looks = isinstance(wire, WireFormat) and wire.looks
        sent, headers = ({}, {}) if looks else payload(body, files)
        headers = {"X-Client-Request-Id": str(call.id), **headers, **accept, **self._signed}
        if self._direct and self._direct.takes(self._client, sent):
            return await self._post_directly(
                self._direct, wire.path, sent["content"], headers, call
            )
        send: Any = self._client.get if looks else self._client.post
        try:
            answer: httpx2.Response = await send(
                deployed(wire.path, call.model) if self._version else wire.path,
                cast_to=httpx2.Response,
                **sent,
                stream=True,
                stream_cls=_UNUSED,
                options={"headers": headers, "follow_redirects": False},
            )
        except APIStatusError as error:
            self._heard(call, error.response.headers)
            said = self._refused(error.response, error.response.text)
            raise self._refusals.learnt(said, call) from without_key(error, self._mask)
        except APIConnectionError as error:
            late = isinstance(error, APITimeoutError)
            said = unanswered(error.__cause__, self._client.base_url.host, late=late)
            raise said from without_key(error, self._mask)
        self._heard(call, answer.headers)
        self._refusals.answered(call)
        return answer

    async def _post_directly(
        self, to: DirectRequests, path: str, body: bytes, headers: Mapping[str, str], call: Call
    ) -> Body:
        """The same, past the SDK."""
        answer = await to.post(path, body, headers)
        self._heard(call, answer.headers)
        if answer.status_code in _SUCCESS:
            self._refusals.answered(call)
            return answer
        said = self._refused(answer, await failure_text(answer))
        raise self._refusals.learnt(said, call)

    def _refused(self, response: Response, text: str) -> LLMError:
        text = self._mask(text)
        said = error_for_status(response.status_code, response.headers, json_of(text), text)
        self._mask.error(said)
        return said


def _by_key(key: str) -> dict[str, Any]:
    """Azure's classic API takes a key in a header of its own, and no other beside it."""
    return {_AZURE_KEY: key, "Authorization": Omit()}
