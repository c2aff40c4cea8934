"""The cache on the road: an exact request is asked for once, and every call has its own row."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import TypeAlias

from modules.llm_services.bulk import off_loop, weight
from modules.llm_services.cache import (
    CacheStore,
    Entry,
    Flights,
    Labels,
    Selection,
    cache_key,
    pack,
    unpack,
)
from modules.llm_services.exceptions import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMError,
    LLMQuotaExceededError,
    LLMRefusedError,
    LLMTimeoutError,
    LLMTruncatedError,
    LLMValidationError,
)
from modules.llm_services.providers.base import Reply
from modules.llm_services.recording import CacheHit, CallRecord
from modules.llm_services.types import CachePolicy, Call

from .replies import read, size, worth_keeping, written

Ask: TypeAlias = Callable[[], Awaitable[list[Reply]]]

_SAME_FOR_ALL = (
    LLMAuthenticationError,
    LLMQuotaExceededError,
    LLMBadRequestError,
    LLMRefusedError,
    LLMTruncatedError,
    LLMValidationError,
)
"""Errors that the same request would meet again, some of them for money."""


class Remembering:
    """``endpoints`` are where providers are reached, by name: answers of one are not another's."""

    def __init__(self, store: CacheStore, endpoints: Mapping[str, str]) -> None:
        self.store = store
        self._endpoints = endpoints
        self._flights: Flights[Entry] = Flights(_SAME_FOR_ALL)

    async def once(self, call: Call, record: CallRecord, ask: Ask) -> list[Reply]:
        """The replies to a call: from the cache, from the same call under way, or asked for."""
        policy, until = call.cache, record.started + call.timeout
        if policy is None:
            return await ask()
        key = await self._key(call, record)
        asked: list[Reply] | None = None

        async def asked_for() -> Entry:
            nonlocal asked
            asked = await ask()
            return await self._kept(call, record, asked)

        async def lead() -> Entry:
            async with self._turn(key, until) as packed:
                return _fresh(key, packed, policy) or await asked_for()

        entry = _fresh(key, self.store.at_hand(key), policy)
        if entry is None:
            entry = await _within_deadline(call, self._flights.share(key, lead, until))
        return asked or self._given(entry, call, record) or await self._instead(call, record, ask)

    async def replay(self, call: Call, record: CallRecord) -> Reply | None:
        """An answer from the cache for a call that would read it piece by piece."""
        if call.cache is None:
            return None
        key = await self._key(call, record)
        entry = _fresh(key, await self.store.get(key), call.cache)
        replies = self._given(entry, call, record) if entry else None
        return replies[0] if replies else None

    async def keep(self, call: Call, record: CallRecord, reply: Reply | None) -> None:
        """Keep an answer that was read piece by piece, when it was read to its end."""
        if reply is not None and record.cache_key is not None and record.hit is None:
            await self._kept(call, record, [reply])

    async def clear(self, selection: Selection) -> int:
        """Forget answers; how many there were."""
        try:
            return await self.store.clear(selection)
        except OSError as error:
            raise LLMError(f"the cache was not cleared, or not wholly: {error}") from error

    async def _key(self, call: Call, record: CallRecord) -> str:
        heavy = weight(call.messages) + sum(map(len, call.cache.material if call.cache else ()))
        endpoint = self._endpoints.get(call.provider, "")
        record.cache_key = await off_loop(heavy, cache_key, call, endpoint)
        return record.cache_key

    @asynccontextmanager
    async def _turn(self, key: str, until: float) -> AsyncIterator[bytes | None]:
        """The store's turn, waited for no longer than the call may take."""
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(until - time.monotonic()):
                packed = await stack.enter_async_context(self.store.turn(key))
            yield packed

    async def _kept(self, call: Call, record: CallRecord, replies: Sequence[Reply]) -> Entry:
        """The replies as an entry, which is kept when it is worth it."""
        entry = await off_loop(size(replies), _entry, call, record, replies)
        own = record.fallback_from is None
        if own and call.cache is not None and record.cache_key and worth_keeping(call, replies):
            packed = await off_loop(size(replies), pack, record.cache_key, entry)
            await self.store.put(record.cache_key, packed, entry.labels, call.cache.seconds)
        return entry

    def _given(self, entry: Entry, call: Call, record: CallRecord) -> list[Reply] | None:
        """Nothing when another model answered in the place of this one, as in the call that this
        one waited for: that is for those who asked for it.
        """
        if (entry.labels.provider, entry.labels.model) != (call.provider, call.model):
            return None
        replies = read(entry.replies, call)
        if replies is not None:
            saved = None if entry.cost is None else Decimal(entry.cost)
            record.hit = CacheHit(source_id=entry.source_id, saved=saved)
        return replies

    async def _instead(self, call: Call, record: CallRecord, ask: Ask) -> list[Reply]:
        """What was kept does not fit the caller's class any more: its validators have changed."""
        replies = await ask()
        await self._kept(call, record, replies)
        return replies


def _fresh(key: str, packed: bytes | None, policy: CachePolicy) -> Entry | None:
    entry = unpack(key, packed) if packed is not None else None
    if entry is None or time.time() - entry.labels.stored_at > policy.seconds:
        return None
    return entry


def _entry(call: Call, record: CallRecord, replies: Sequence[Reply]) -> Entry:
    asker, cost = call.attribution, record.cost
    provider, model = record.model
    labels = Labels(
        provider=provider,
        model=model,
        feature=asker.feature,
        user=None if asker.user_id is None else str(asker.user_id),
        tenant=asker.tenant,
        stored_at=time.time(),
    )
    return Entry(
        labels=labels,
        source_id=call.id,
        cost=None if cost is None else str(cost),
        replies=[written(reply) for reply in replies],
    )


async def _within_deadline(call: Call, shared: Awaitable[tuple[Entry, bool]]) -> Entry:
    try:
        return (await shared)[0]
    except TimeoutError:
        raise LLMTimeoutError(
            f"no answer within the deadline of {call.timeout:g} s; it was left to another call "
            "that asks the same"
        ) from None
