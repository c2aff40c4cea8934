"""OpenAI's Batch API: a file of requests goes in, files of answers and errors come out."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, cast
from urllib.parse import quote
from uuid import UUID

from pydantic import Field

from modules.llm_services.exceptions import (
    LLMBadRequestError,
    LLMBadResponseError,
    LLMError,
    LLMProviderError,
    LLMTimeoutError,
)
from modules.llm_services.providers.base import BatchAtVendor, BatchLine, Reply
from modules.llm_services.redaction import without_secrets
from modules.llm_services.types import BatchState, BatchStatusDTO, JsonObject

from .base import Count, Request, Wire, WireFormat, decode, read

MAX_BYTES = 200_000_000
OURS = "llm_services_batch"
"""The metadata by which a batch is known as ours, with the id that its rows carry."""

_Moment = Annotated[int, Field(ge=0, le=253_402_300_799)]
_MESSAGE_LIMIT = 500


class _File(Wire):
    id: str


class _Counts(Wire):
    total: Count = 0
    completed: Count = 0
    failed: Count = 0


class _Problem(Wire):
    code: str | None = None
    message: str | None = None
    line: int | None = None


class _Problems(Wire):
    data: tuple[_Problem, ...] = ()


class _Batch(Wire):
    id: str
    status: BatchState
    endpoint: str
    created_at: _Moment
    expires_at: _Moment | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: _Counts | None = None
    errors: _Problems | None = None
    metadata: dict[str, str] | None = None


class _Answer(Wire):
    status_code: Annotated[int, Field(ge=100, le=999)] | None = None
    request_id: str | None = None
    body: Any = None


class _Line(Wire):
    custom_id: str
    response: _Answer | None = None
    error: _Problem | None = None


def request_line(call_id: UUID, path: str, body: JsonObject) -> bytes:
    """A line of the input file: the row's id is what the answer will be known by."""
    line = {"custom_id": str(call_id), "method": "POST", "url": f"/v1{path}", "body": body}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def read_line(line: bytes) -> BatchLine:
    """A line of an output or error file. Raises `LLMBadResponseError`."""
    said = read(_Line, decode(line))
    answer, error = said.response or _Answer(), said.error or _Problem()
    return BatchLine(
        custom_id=said.custom_id,
        call_id=_uuid(said.custom_id),
        http_status=answer.status_code,
        provider_request_id=answer.request_id,
        body=answer.body,
        code=error.code,
        message=without_secrets(error.message or "")[:_MESSAGE_LIMIT],
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _file_fields(_request: Request) -> JsonObject:
    return {"purpose": "batch"}


def _file_reply(value: JsonObject) -> Reply:
    return Reply(text="", model=None, parsed=read(_File, value).id)


def _batch_reply(value: JsonObject) -> Reply:
    batch = read(_Batch, value)
    counts = batch.request_counts or _Counts()
    status = BatchStatusDTO(
        id=batch.id,
        status=batch.status,
        total=counts.total,
        completed=counts.completed,
        failed=counts.failed,
        created_at=_utc(batch.created_at),
        expires_at=_utc(batch.expires_at) if batch.expires_at else None,
    )
    at_vendor = BatchAtVendor(
        status=status,
        path=batch.endpoint.removeprefix("/v1"),
        files=tuple(name for name in (batch.output_file_id, batch.error_file_id) if name),
        problem=_problem(batch),
        ours=_uuid((batch.metadata or {}).get(OURS, "")),
    )
    return Reply(text="", model=None, parsed=at_vendor)


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _problem(batch: _Batch) -> tuple[str | None, str]:
    """What was wrong with the whole of it, as the vendor says of its first wrong line."""
    problems = batch.errors.data if batch.errors else ()
    said = problems[0] if problems else _Problem()
    line = f"line {said.line}: " if said.line is not None else ""
    message = without_secrets(said.message or "no reason was given")[:_MESSAGE_LIMIT]
    return said.code, f"{line}{message}"


def unanswered(batch: BatchAtVendor) -> LLMError:
    """The error of a request that no file of its batch speaks of; a new one for each."""
    status = batch.status.status
    if status == "failed":
        code, message = batch.problem
        return LLMBadRequestError(f"the provider refused the batch: {message}", code=code)
    if status == "expired":
        return LLMTimeoutError("the batch expired before this request was answered")
    if status == "cancelled":
        return LLMProviderError("the batch was cancelled", code="batch_cancelled", retryable=False)
    return LLMBadResponseError("the batch ended without an answer to this request")


def not_made(line: BatchLine) -> LLMError:
    """The error of a line whose request was never made."""
    said = line.message or "no reason was given"
    kind = LLMTimeoutError if line.code == "batch_expired" else LLMProviderError
    return kind(f"not answered by the batch: {said}", code=line.code, retryable=False)


def parsed_id(reply: Reply) -> str:
    """The id of a file."""
    return cast("str", reply.parsed)


def parsed_batch(reply: Reply) -> BatchAtVendor:
    """A batch."""
    return cast("BatchAtVendor", reply.parsed)


def _no_body(_request: Request) -> JsonObject:
    return {}


def order_of(file_id: str, path: str) -> WireFormat:
    """Have a file processed. The call's id is the one that the rows know their batch by."""

    def body(request: Request) -> JsonObject:
        return {
            "input_file_id": file_id,
            "endpoint": f"/v1{path}",
            "completion_window": "24h",
            "metadata": {OURS: str(request.call.id)},
        }

    return WireFormat(path="/batches", body=body, reply=_batch_reply)


def look_at(batch_id: str) -> WireFormat:
    """How far a batch is."""
    path = f"/batches/{quote(batch_id, safe='')}"
    return WireFormat(path=path, body=_no_body, reply=_batch_reply, looks=True)


def content_of(file_id: str) -> WireFormat:
    """A file, whose lines are read one by one."""
    path = f"/files/{quote(file_id, safe='')}/content"
    return WireFormat(path=path, body=_no_body, reply=_file_reply, looks=True)


UPLOAD = WireFormat(path="/files", body=_file_fields, reply=_file_reply)
