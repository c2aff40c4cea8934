"""Once and no more: a call with an idempotency key is paid for by the first that brings it.

::

    once(call, ask, again)
      ask                  the road; its row is opened with the key, or not at all
      the key is taken     by a row that is open: wait until it is settled, and look again
                           by one that is completed: its answer, from the ledger
                           by nobody any more, for it failed: ask

The ledger decides, so that it holds for any number of processes.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Row

from .bulk import identity, off_loop, weight
from .exceptions import LLMIdempotencyError, LLMTimeoutError
from .providers.base import Reply
from .providers.verdict import usable
from .recording import KeyLedger, KeyTakenError, Outcome, replies_of, stored_message
from .types import Call, JsonObject, KeyClaim, LLMMessageDTO, RequestStatus, Usage

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between two looks at a row that is open
_TEXT = frozenset({"chat", "structured", "tools"})
_TOKENS = (
    *("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"),
    "reasoning_tokens",
)


@dataclass(frozen=True, slots=True)
class Settled:
    """A completed row, and the call that brought its key again."""

    call: Call
    row: Row[Any]

    def replies(self) -> Sequence[Reply]:
        """Its answer. Raises `LLMIdempotencyError` when the ledger does not hold it whole."""
        kept = replies_of(self.row.kept_answer)
        if kept is None:
            raise LLMIdempotencyError(
                f"idempotency_key: request {self.row.id} was answered and paid for, and the ledger "
                f"does not hold that answer whole (payload_state {self.row.payload_state}); "
                "sound and vectors are never kept. Another key would pay for it again",
                request_id=self.row.id,
            )
        return kept

    def outcome(self) -> Outcome:
        """Its answer, and what it took."""
        [reply] = self.replies()
        if self.call.operation in _TEXT:
            reply = usable(reply, self.call.output_type, self.call.tools)
        row, cost = self.row, self.row.cost_estimate
        known = row.prompt_tokens is not None
        return Outcome(
            reply=reply,
            provider=row.provider,
            model=row.model,
            fallback_from=row.fallback_from,
            usage=Usage(**{name: getattr(row, name) for name in _TOKENS}) if known else None,
            cost=None if cost is None else Decimal(str(cost)),
            milliseconds=row.execution_time_ms or 0,
            attempts=row.retry_attempt,
            cached=row.cached,
        )


class Once:
    """Makes calls with a key, each at most once."""

    def __init__(self, ledger: KeyLedger) -> None:
        self._ledger = ledger

    async def __call__(
        self,
        call: Call,
        ask: Callable[[Call], Awaitable[T]],
        again: Callable[[Settled], T],
    ) -> tuple[T, UUID]:
        """What ``ask`` gives, or ``again`` makes of the row that has the key; and the row's id.

        Raises what ``ask`` raises, `LLMIdempotencyError`, and `LLMTimeoutError` when the row that
        has the key is not settled within the call's deadline.
        """
        if call.idempotency_key is None:
            return await ask(call), call.id
        claimed = await off_loop(weight(call.messages), _with_claim, call)
        waiting = _Waiting(claimed)
        while True:
            try:
                return await ask(claimed), call.id
            except KeyTakenError:
                row = await self._settled(claimed, waiting)
            if row is not None:
                return again(Settled(claimed, row)), row.id

    async def _settled(self, call: Call, waiting: "_Waiting") -> Row[Any] | None:
        """The completed row that has the key; ``None`` when nobody has it any more."""
        while row := await self._ledger.living_row(_claim(call).key):
            if row.request_hash != _claim(call).request_hash:
                raise LLMIdempotencyError(
                    f"idempotency_key belongs to request {row.id}, which asked for something else; "
                    "give each request a key of its own",
                    request_id=row.id,
                )
            if row.status == RequestStatus.COMPLETED:
                return row
            await waiting.a_while(row.id)
        return None


class _Waiting:
    """Ever longer pauses until the call's deadline."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._deadline = time.monotonic() + call.timeout
        self._pause = _FIRST_PAUSE

    async def a_while(self, for_whom: UUID) -> None:
        """One pause. Raises `LLMTimeoutError` when there is no time for it."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise LLMTimeoutError(
                f"request {for_whom}, which has the same idempotency_key, did not end within the "
                f"deadline of {self._call.timeout:g} s",
                request_id=for_whom,
            )
        await asyncio.sleep(min(self._pause, left))
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)


def _claim(call: Call) -> KeyClaim:
    assert call.claim is not None  # noqa: S101 - made by the one caller
    return call.claim


def _with_claim(call: Call) -> Call:
    attribution = call.attribution
    scope = [attribution.tenant, str(attribution.user_id), call.idempotency_key]
    claim = KeyClaim(key=_hash(scope), request_hash=request_hash(call))
    return replace(call, claim=claim)


def following(call: Call) -> Call:
    """A later round of a conversation that has a key: with one of its own, for what a round asks
    depends on what tools said in the one before.
    """
    if call.idempotency_key is None:
        return call
    return replace(call, idempotency_key=f"{call.idempotency_key} {request_hash(call)}")


def request_hash(call: Call) -> str:
    """A hash of all that is asked: not of how long it may take, nor for whom it is."""
    model = call.output_type
    return _hash(
        {
            "operation": call.operation,
            "model": call.requested_model or f"{call.provider}:{call.model}",
            "messages": [_message(message) for message in call.messages],
            "material": list(call.material),
            "parameters": dict(call.parameters),
            "answers": None if model is None else [model.__name__, model.model_json_schema()],
            "tools": [[tool.name, tool.description, tool.parameters] for tool in call.tools],
            "tool_use": [call.tool_choice, call.parallel_tool_calls],
        }
    )


def _message(message: LLMMessageDTO) -> JsonObject:
    stored = stored_message(message)
    content = stored["content"]
    return {**stored, "content": identity(content) if isinstance(content, str) else content}


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
