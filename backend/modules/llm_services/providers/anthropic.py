"""Anthropic: the only file that knows its SDK.

The SDK brings authentication, connections and error classes. Bodies are written and read by
`formats.messages`, through the SDK's documented ``client.post``.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import httpx2
from anthropic import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncAnthropic,
    AsyncStream,
    DefaultAsyncHttpxClient,
    transform_schema,
)
from pydantic import BaseModel

from modules.llm_services.bulk import off_loop
from modules.llm_services.exceptions import LLMError
from modules.llm_services.setting_types import ProviderSettings
from modules.llm_services.types import Call, JsonObject, ToolSpec

from .base import Attempt, Heard, Reply, deaf
from .claude_errors import anthropic_error
from .claude_limits import check_claude
from .claude_models import accepted
from .failures import request_id
from .formats import WireFormat
from .formats.base import OutputSchema, Request
from .formats.messages import MESSAGES
from .formats.messages_search import MESSAGES_SEARCH
from .formats.messages_stream import MessagesReader
from .key_mask import KeyMask
from .received import is_stream, read_reply
from .response_guard import (
    ACCEPTED_ENCODINGS,
    HOOKS,
    chunks,
    content,
)
from .sdk_errors import unanswered, without_key
from .sending import json_of, payload, written
from .streaming import ProviderStream, StreamFacts
from .structured import output_schema
from .tls import tls
from .verdict import searched, usable_in_thread

CONNECT_TIMEOUT = 5.0
_HOST = "https://api.anthropic.com"
_UNUSED = AsyncStream[object]  # the SDK wants one for a stream; the raw response is what we read
_FAST_MODE = {"anthropic-beta": "fast-mode-2026-02-01"}
_STREAMED = {"stream": True}
_NOTHING_ELSE: Mapping[str, Any] = {}


class AnthropicProvider:
    """One endpoint that speaks Anthropic's Messages API, for one event loop."""

    def __init__(self, name: str, settings: ProviderSettings, heard: Heard = deaf) -> None:
        self.name, self._heard = name, heard
        self._limit = settings.reply_limit
        key = settings.api_key.get_secret_value() if settings.api_key else "no-key-needed"
        self._mask = KeyMask(key)
        self._schemas: WeakKeyDictionary[type[BaseModel], OutputSchema] = WeakKeyDictionary()
        timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT)
        self._client = AsyncAnthropic(
            api_key=key,
            base_url=(settings.base_url or _HOST).removesuffix("/v1"),
            max_retries=0,
            timeout=timeout,
            default_headers={"Accept-Encoding": ACCEPTED_ENCODINGS},
            open_telemetry=False,
            http_client=DefaultAsyncHttpxClient(timeout=timeout, verify=tls(), event_hooks=HOOKS),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    def check(self, call: Call) -> None:
        """See `GeneratesText.check`."""
        check_claude(call)

    async def generate_text(self, call: Call, attempt: Attempt) -> Reply:
        """Text, or an object when the call has an ``output_type``: one HTTP request."""
        request, dropped = await self._request(call, attempt)
        reply = await self._exchange(MESSAGES, request, dropped)
        return await usable_in_thread(reply, call.output_type, call.tools)

    async def search_web(self, call: Call, attempt: Attempt) -> Reply:
        """What the web says to the call's last message: one HTTP request."""
        request, dropped = await self._request(call, attempt)
        return searched(await self._exchange(MESSAGES_SEARCH, request, dropped))

    async def stream_text(self, call: Call, attempt: Attempt) -> ProviderStream:
        """Text piece by piece: one HTTP request, open until the stream is closed."""
        request, dropped = await self._request(call, attempt)
        response = await self._post(MESSAGES, request, _STREAMED)
        facts = StreamFacts(
            http_status=response.status_code,
            provider_request_id=request_id(response.headers),
            dropped_params=dropped,
            output_type=call.output_type,
            tools=call.tools,
            mask=self._mask,
        )
        whole = None if is_stream(response) else await self._read(MESSAGES, response)
        said = chunks(response, self._limit)
        return ProviderStream(said, MessagesReader(), facts, response.aclose, whole)

    async def _request(self, call: Call, attempt: Attempt) -> tuple[Request, tuple[str, ...]]:
        """What is sent, and the names of parameters that are not, or not as they were given."""
        parameters, dropped = accepted(call)
        request = Request(
            call=replace(call, tools=tuple(map(_offered, call.tools))),
            parameters=parameters,
            schema=await self._schema(call.output_type) if call.output_type else None,
            correction=attempt.correction,
        )
        return request, dropped

    async def _schema(self, model: type[BaseModel]) -> OutputSchema:
        """The schema of an answer, in the subset that Anthropic takes where there is one."""
        schema = self._schemas.get(model)
        if schema is None:
            schema = await output_schema(model)
            known = _in_subset(schema.schema) if schema.strict else None
            schema = replace(schema, schema=known or schema.schema, strict=known is not None)
            self._schemas[model] = schema
        return schema

    async def _exchange(
        self, wire: WireFormat, request: Request, dropped: tuple[str, ...]
    ) -> Reply:
        response = await self._post(wire, request)
        return replace(
            await self._read(wire, response),
            http_status=response.status_code,
            provider_request_id=request_id(response.headers),
            dropped_params=dropped,
        )

    async def _read(self, wire: WireFormat, response: httpx2.Response) -> Reply:
        read = await content(response, self._limit)
        return await off_loop(len(read), read_reply, wire, response, read, self._mask)

    async def _post(
        self, wire: WireFormat, request: Request, asks: Mapping[str, Any] = _NOTHING_ELSE
    ) -> httpx2.Response:
        """A success whose body is still to be read."""
        call, pieces = request.call, await written(wire, request, asks)
        beta = _FAST_MODE if "speed" in request.parameters else {}
        body, headers = payload(pieces, None)
        post: Any = self._client.post
        try:
            answer: httpx2.Response = await post(
                wire.path,
                cast_to=httpx2.Response,
                **body,
                stream=True,
                stream_cls=_UNUSED,
                options={
                    "headers": {"X-Client-Request-Id": str(call.id), **headers, **beta},
                    "follow_redirects": False,
                },
            )
        except APIStatusError as error:
            self._heard(call, error.response.headers)
            raise self._from_status(error) from without_key(error, self._mask)
        except APIConnectionError as error:
            late = isinstance(error, APITimeoutError)
            said = unanswered(error.__cause__, self._client.base_url.host, late=late)
            raise said from without_key(error, self._mask)
        self._heard(call, answer.headers)
        return answer

    def _from_status(self, error: APIStatusError) -> LLMError:
        response = error.response
        text = self._mask(response.text)
        said = anthropic_error(response.status_code, response.headers, json_of(text), text)
        self._mask.error(said)
        return said


def _in_subset(schema: JsonObject) -> JsonObject | None:
    """The schema as Anthropic takes it, with other limits in words; ``None`` where it has none."""
    try:
        return transform_schema(schema)
    except (ValueError, AssertionError):  # what the SDK raises for words that it does not know
        return None


def _offered(spec: ToolSpec) -> ToolSpec:
    if not spec.strict:
        return spec
    known = _in_subset(spec.parameters)
    return replace(spec, parameters=known or spec.parameters, strict=known is not None)
