"""Batches of a provider that speaks OpenAI's formats: files up, an order, files down."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any, TypeAlias

from modules.llm_services.exceptions import (
    LLMError,
    LLMInputError,
    LLMProviderError,
    LLMTimeoutError,
)
from modules.llm_services.types import Call

from .base import Attempt, BatchAtVendor, BatchLine, Reply, WrittenBatch
from .capabilities import JSON_SCHEMA
from .failures import error_for_status
from .formats import CHAT, FORMATS, WireFormat
from .formats.base import OutputSchema, Request
from .formats.batch import (
    MAX_BYTES,
    UPLOAD,
    content_of,
    look_at,
    not_made,
    order_of,
    parsed_batch,
    parsed_id,
    read_line,
    request_line,
    unanswered,
)
from .formats.images import File
from .structured import output_schema
from .verdict import usable

_OK = 200
_LONGEST_LINE = 64_000_000
_FILE_NAME, _FILE_TYPE = "batch.jsonl", "application/jsonl"

Exchange: TypeAlias = Callable[[WireFormat, Call, Sequence[File]], Awaitable[Reply]]
Download: TypeAlias = Callable[[WireFormat, Call], Awaitable[AsyncIterator[bytes]]]
Accepted: TypeAlias = Callable[[Call], tuple[dict[str, Any], tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class OpenAIBatches:
    """Implements `HandlesBatches` with the exchanges of an adapter."""

    exchange: Exchange
    download: Download
    accepted: Accepted
    check: Callable[[WireFormat, Call], None]
    wire: WireFormat

    async def write(self, calls: Sequence[Call], file: IO[bytes]) -> WrittenBatch:
        """The calls as lines of a file, in a worker thread. All of them go to one endpoint: to
        Chat Completions if any has a parameter that exists only there.
        """
        types = {call.output_type for call in calls if call.output_type is not None}
        schemas = {model: await output_schema(model) for model in types}
        return await asyncio.to_thread(self._write, calls, schemas, file)

    def _write(
        self, calls: Sequence[Call], schemas: Mapping[Any, OutputSchema], file: IO[bytes]
    ) -> WrittenBatch:
        only_chat = any(self.accepted(call)[0].keys() & CHAT.only for call in calls)
        wire, dropped, size = CHAT if only_chat else self.wire, {}, 0
        self._check_all(wire, calls)
        for call in calls:
            parameters, left_out = self.accepted(call)
            if left_out:
                dropped[call.id] = left_out
            schema = schemas.get(call.output_type)
            if schema is not None and JSON_SCHEMA in left_out:
                schema = replace(schema, enforced=False)
            request = Request(call=call, parameters=parameters, schema=schema)
            size += file.write(request_line(call.id, wire.path, wire.body(request)))
            if size > MAX_BYTES:
                raise LLMInputError(
                    f"requests are more than {MAX_BYTES // 1_000_000} MB as they are sent: "
                    "submit them as several batches"
                )
        file.flush()
        return WrittenBatch(path=wire.path, dropped=dropped)

    def _check_all(self, wire: WireFormat, calls: Sequence[Call]) -> None:
        for index, call in enumerate(calls):
            try:
                self.check(wire, call)
            except LLMInputError as error:
                raise LLMInputError(f"requests[{index}]: {error.message}") from None

    async def upload(self, call: Call, _attempt: Attempt, file: IO[bytes]) -> str:
        """Send the file, piece by piece from the disk; gives the provider's id of it."""
        file.seek(0)
        part = ("file", (_FILE_NAME, file, _FILE_TYPE))
        return parsed_id(await self.exchange(UPLOAD, call, [part]))

    async def order(self, call: Call, _attempt: Attempt, file_id: str, path: str) -> BatchAtVendor:
        """Have an uploaded file processed."""
        return parsed_batch(await self.exchange(order_of(file_id, path), call, ()))

    async def look(self, call: Call, _attempt: Attempt, batch_id: str) -> BatchAtVendor:
        """How far a batch is."""
        return parsed_batch(await self.exchange(look_at(batch_id), call, ()))

    async def lines(self, call: Call, _attempt: Attempt, file_id: str) -> AsyncIterator[BatchLine]:
        """The lines of a file, read as they come: only the opening is an attempt."""
        return _lines(await self.download(content_of(file_id), call), call.timeout)

    def reply(self, call: Call, line: BatchLine, path: str) -> Reply:
        """The answer in a line, checked like any other. Raises `LLMError` for anything else."""
        if line.http_status is None:
            raise not_made(line)
        if line.http_status != _OK or not isinstance(line.body, dict):
            headers = {"x-request-id": line.provider_request_id or ""}
            text = json.dumps(line.body)
            raise error_for_status(line.http_status, headers, line.body, text)
        reply = replace(
            _format(path).reply(line.body),
            http_status=line.http_status,
            provider_request_id=line.provider_request_id,
        )
        return usable(reply, call.output_type)

    def unanswered(self, batch: BatchAtVendor) -> LLMError:
        """Why a request has no line at all; a new error for each."""
        return unanswered(batch)


def _format(path: str) -> WireFormat:
    return next((wire for wire in FORMATS.values() if wire.path == path), CHAT)


async def _lines(chunks: AsyncIterator[bytes], patience: float) -> AsyncIterator[BatchLine]:
    """Lines end with a newline and nothing else: JSON may hold other line separators."""
    rest = b""
    async for chunk in _within(chunks, patience):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield read_line(line)
        if len(rest) > _LONGEST_LINE:
            raise LLMProviderError(f"a line of the batch is beyond {_LONGEST_LINE} bytes")
    if rest.strip():
        yield read_line(rest)


async def _within(chunks: AsyncIterator[bytes], patience: float) -> AsyncIterator[bytes]:
    """The chunks, none of them waited for longer than ``patience`` seconds."""
    while True:
        try:
            async with asyncio.timeout(patience):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise LLMTimeoutError(f"nothing came of the batch for {patience:g} s") from None
        if chunk is None:
            return
        yield chunk
