"""Batches of the fake vendor: kept in memory, through as soon as they are looked at."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import IO, TypeAlias, cast

from modules.llm_services.exceptions import LLMError, LLMInputError, LLMNotFoundError
from modules.llm_services.providers.base import (
    Attempt,
    BatchAtVendor,
    BatchLine,
    Reply,
    WrittenBatch,
)
from modules.llm_services.types import Call
from modules.llm_services.types.batch import BatchState, BatchStatusDTO

Generate: TypeAlias = Callable[[Call, Attempt], Awaitable[Reply]]
_PATH = "/responses"
_OK = 200


@dataclass(slots=True)
class _Batch:
    calls: Sequence[Call]
    created_at: datetime
    looks_left: int


class ScriptedBatches:
    """Satisfies ``HandlesBatches``. ``looks`` is how often a batch is found still at work."""

    def __init__(self, check: Callable[[Call], None], generate: Generate, looks: int) -> None:
        self._check = check
        self._generate = generate
        self._looks = looks
        self._calls: dict[str, Call] = {}
        self._files: dict[str, list[str]] = {}
        self._batches: dict[str, _Batch] = {}

    async def write(self, calls: Sequence[Call], file: IO[bytes]) -> WrittenBatch:
        """Note the calls; the file holds their ids."""
        for index, call in enumerate(calls):
            try:
                self._check(call)
            except LLMInputError as error:
                raise LLMInputError(f"requests[{index}]: {error.message}") from None
        self._calls |= {str(call.id): call for call in calls}
        file.write(json.dumps([str(call.id) for call in calls]).encode())
        return WrittenBatch(path=_PATH, dropped={})

    async def upload(self, _call: Call, _attempt: Attempt, file: IO[bytes]) -> str:
        """Read the ids."""
        file.seek(0)
        name = f"file-{len(self._files) + 1}"
        self._files[name] = json.load(file)
        return name

    async def order(self, _call: Call, _attempt: Attempt, file_id: str, path: str) -> BatchAtVendor:
        """A batch of the file's calls."""
        del path
        name = f"batch_{len(self._batches) + 1}"
        calls = [self._calls.pop(one) for one in self._files.pop(file_id)]
        self._batches[name] = batch = _Batch(calls, datetime.now(UTC), self._looks)
        return _at_vendor(name, batch, "validating")

    async def look(self, _call: Call, _attempt: Attempt, batch_id: str) -> BatchAtVendor:
        """How far it is: through, after as many looks as the test wants."""
        batch = self._batches.get(batch_id)
        if batch is None:
            raise LLMNotFoundError(f"there is no batch {batch_id}", status_code=404)
        if not batch.looks_left:
            return _at_vendor(batch_id, batch, "completed")
        batch.looks_left -= 1
        return _at_vendor(batch_id, batch, "in_progress")

    async def lines(self, _call: Call, attempt: Attempt, file_id: str) -> AsyncIterator[BatchLine]:
        """The answers as they are asked for."""
        return self._lines(self._batches[file_id].calls, attempt)

    async def _lines(self, calls: Sequence[Call], attempt: Attempt) -> AsyncIterator[BatchLine]:
        for call in calls:
            said: Reply | LLMError
            try:
                said = await self._generate(call, attempt)
            except LLMError as error:
                said = error
            yield BatchLine(
                custom_id=str(call.id),
                call_id=call.id,
                http_status=_OK,
                provider_request_id=f"fake-{call.id}",
                body=said,
                code=None,
                message="",
            )

    def reply(self, call: Call, line: BatchLine, path: str) -> Reply:
        """The answer that is in a line."""
        del call, path
        if isinstance(line.body, LLMError):
            raise line.body
        return replace(cast("Reply", line.body))

    def unanswered(self, batch: BatchAtVendor) -> LLMError:
        """Why a request has no line."""
        return LLMNotFoundError(f"the batch {batch.status.id} has no answer to this request")


def _at_vendor(name: str, batch: _Batch, state: BatchState) -> BatchAtVendor:
    total, place = len(batch.calls), batch.calls[0].batch
    status = BatchStatusDTO(
        id=name,
        status=state,
        total=total,
        completed=total if state == "completed" else 0,
        failed=0,
        created_at=batch.created_at,
    )
    return BatchAtVendor(
        status=status,
        path=_PATH,
        files=[name],
        problem=(None, ""),
        ours=place.batch_id if place else None,
    )
