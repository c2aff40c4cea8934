"""OpenAI, and everything that speaks its formats: the only file that knows OpenAI's SDK.

The SDK brings authentication, connections and error classes. Bodies are written and read by
`formats`, through the SDK's documented ``client.post``: that leaves out its parameter transform
and its response construction, which cost more than the rest of a call.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, cast

import httpx2
from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    AsyncStream,
    Timeout,
)

from modules.llm_services.exceptions import (
    LLMBadRequestError,
    LLMConnectionError,
    LLMError,
    LLMTimeoutError,
    LLMUnsupportedParameterError,
)
from modules.llm_services.redaction import without_secrets
from modules.llm_services.setting_types import ApiFormat, ProviderSettings
from modules.llm_services.types import Call, JsonObject

from .base import Attempt, Reply
from .capabilities import refused_parameters
from .failures import error_for_status
from .formats import CHAT, FORMATS, WireFormat
from .formats.base import Request, decode
from .formats.streamed import stream_format
from .streaming import ProviderStream, StreamFacts
from .structured import output_schema
from .verdict import usable

CONNECT_TIMEOUT = 5.0
_UNUSED = AsyncStream[object]  # the SDK wants one for a stream; the raw response is what we read
_NO_KEY = "no-key-needed"
_BODY_LIMIT = 2_000
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_REFUSAL_CODES = frozenset({"unsupported_parameter", "unsupported_value"})
_DROPPABLE: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "verbosity": "verbosity",
    "text.verbosity": "verbosity",
    "prompt_cache_key": "prompt_cache_key",
}
"""Wire names of parameters whose absence does not change what was asked for."""


class OpenAIProvider:
    """One endpoint that speaks OpenAI's formats, for one event loop."""

    def __init__(self, name: str, settings: ProviderSettings, api: ApiFormat) -> None:
        self.name = name
        self._format = FORMATS[api]
        self._refused: defaultdict[str, set[str]] = defaultdict(set)
        self._key = settings.api_key.get_secret_value() if settings.api_key else _NO_KEY
        self._client = AsyncOpenAI(
            api_key=self._key,
            base_url=settings.base_url,
            max_retries=0,
            timeout=Timeout(None, connect=CONNECT_TIMEOUT),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def generate_text(self, call: Call, attempt: Attempt) -> Reply:
        """Text, or an object when the call has an ``output_type``: one HTTP request."""
        parameters, dropped = self._accepted(call)
        wire = self._format_for(parameters)
        request = Request(
            call=call,
            parameters=parameters,
            schema=await output_schema(call.output_type) if call.output_type else None,
            correction=attempt.correction,
        )
        response = await self._post(wire, wire.body(request), call)
        reply = replace(
            _reply(wire, response),
            http_status=response.status_code,
            provider_request_id=response.headers.get("x-request-id"),
            dropped_params=dropped,
        )
        return usable(reply, call.output_type)

    async def stream_text(self, call: Call, attempt: Attempt) -> ProviderStream:
        """Text piece by piece: one HTTP request, open until the stream is closed."""
        parameters, dropped = self._accepted(call)
        wire = self._format_for(parameters)
        streamed = stream_format(wire)
        schema = await output_schema(call.output_type) if call.output_type else None
        request = Request(
            call=call, parameters=parameters, schema=schema, correction=attempt.correction
        )
        body = {**wire.body(request), **streamed.asks}
        response = await self._post(wire, body, call, stream=True)
        facts = StreamFacts(
            http_status=response.status_code,
            provider_request_id=response.headers.get("x-request-id"),
            dropped_params=dropped,
            output_type=call.output_type,
        )
        whole = None if _is_stream(response) else await _whole(wire, response)
        chunks = self._chunks(response)
        return ProviderStream(chunks, streamed.reader(), facts, response.aclose, whole)

    async def _chunks(self, response: httpx2.Response) -> AsyncIterator[bytes]:
        """The body as it comes; a connection that breaks is an error of ours."""
        try:
            async for chunk in response.aiter_bytes():
                yield chunk
        except httpx2.HTTPError as error:
            host = self._client.base_url.host
            raise LLMConnectionError(
                f"the connection to {host} broke ({type(error).__name__})", maybe_billed=True
            ) from error

    def _accepted(self, call: Call) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The parameters that the model takes, and the names of those that it does not."""
        given = dict(call.parameters)
        refused = refused_parameters(call.model, given) | self._refused[call.model]
        dropped = tuple(sorted(refused & given.keys()))
        return {name: given[name] for name in given if name not in dropped}, dropped

    def _format_for(self, parameters: Mapping[str, object]) -> WireFormat:
        """Some parameters exist only in Chat Completions; who asks for them goes there."""
        return CHAT if parameters.keys() & CHAT.only else self._format

    async def _post(
        self, wire: WireFormat, body: JsonObject, call: Call, *, stream: bool = False
    ) -> httpx2.Response:
        try:
            response: Any = await self._client.post(
                wire.path,
                cast_to=httpx2.Response,
                body=body,
                stream=stream,
                stream_cls=_UNUSED,
                options={
                    "headers": {"X-Client-Request-Id": str(call.id)},
                    "follow_redirects": False,
                },
            )
            return cast("httpx2.Response", response)
        except APIStatusError as error:
            raise self._learnt(self._from_status(error), call) from _without_key(error)
        except APIConnectionError as error:
            raise self._unreachable(error) from _without_key(error)

    def _from_status(self, error: APIStatusError) -> LLMError:
        """Some providers quote the key that they refuse, and not all keys look like keys."""
        response = error.response
        text = response.text.replace(self._key, "***")
        return error_for_status(response.status_code, response.headers, _json(text), text)

    def _learnt(self, error: LLMError, call: Call) -> LLMError:
        """A refused parameter that can be left out is remembered, and the call may go on."""
        name = _DROPPABLE.get(error.param or "")
        if not isinstance(error, LLMBadRequestError) or error.code not in _REFUSAL_CODES:
            return error
        if name is None or name not in call.parameters or name in self._refused[call.model]:
            return error
        self._refused[call.model].add(name)
        facts = {key: value for key, value in vars(error).items() if key != "message"}
        return LLMUnsupportedParameterError(error.message, **facts)

    def _unreachable(self, error: APIConnectionError) -> LLMError:
        cause = error.__cause__
        billed = not isinstance(cause, _NEVER_SENT)
        host = self._client.base_url.host
        if isinstance(error, APITimeoutError) and billed:
            return LLMTimeoutError(f"no answer from {host} in time", maybe_billed=True)
        reason = type(cause).__name__ if cause else "unknown reason"
        broke = f"the connection to {host} broke" if billed else f"no connection to {host}"
        return LLMConnectionError(f"{broke} ({reason})", maybe_billed=billed)


def _reply(wire: WireFormat, response: httpx2.Response) -> Reply:
    try:
        return wire.reply(decode(response.content))
    except LLMError as error:
        error.status_code = response.status_code
        error.provider_request_id = response.headers.get("x-request-id")
        error.response_body = error.response_body or without_secrets(response.text)[:_BODY_LIMIT]
        raise


def _is_stream(response: httpx2.Response) -> bool:
    return "event-stream" in response.headers.get("content-type", "")


async def _whole(wire: WireFormat, response: httpx2.Response) -> Reply:
    await response.aread()
    return _reply(wire, response)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _without_key(error: APIConnectionError | APIStatusError) -> Exception:
    """The SDK's error holds the request, and that the key: it stays out of chained errors."""
    error.request.headers.pop("authorization", None)
    return error
