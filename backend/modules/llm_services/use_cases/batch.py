"""Many requests at once, for half the price."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Unpack
from uuid import UUID

from pydantic import BaseModel

from modules.llm_services import arguments
from modules.llm_services.attribution import attribution, current_feature
from modules.llm_services.batches import LateAnswer
from modules.llm_services.calls import batch_call, batch_calls
from modules.llm_services.providers.base import HandlesBatches, TakesBatches
from modules.llm_services.types import (
    BatchDTO,
    BatchOptions,
    BatchRequest,
    BatchResult,
    BatchStatusDTO,
    Call,
)

from .base import UseCases, in_thread
from .text import response_dto


class BatchUseCases(UseCases):
    """Implements `RunsBatches`."""

    async def submit_batch(
        self,
        requests: Sequence[BatchRequest],
        user_id: UUID | None = None,
        model: str | None = None,
        **options: Unpack[BatchOptions],
    ) -> BatchDTO:
        """Hand over requests for one model. See `RunsBatches.submit_batch`."""
        runtime = self._runtime
        with attribution(feature=current_feature()):  # a thread does not know who called
            batch, calls = await in_thread(
                batch_calls, requests, user_id, model, options, runtime.config, runtime.providers
            )
        runtime.budgets.refuse_batch(batch.attribution)
        self._warn_about_open_transaction()
        batch_id = await runtime.batches.submit(batch, calls, await self._desk(batch))
        rows = {call.batch.key: call.id for call in calls if call.batch}
        return BatchDTO(id=f"{batch.provider}:{batch_id}", request_ids=rows)

    async def batch_status(self, batch_id: str) -> BatchStatusDTO:
        """How far a batch is. See `RunsBatches.batch_status`."""
        name, at_provider = arguments.batch_id(batch_id)
        batch = batch_call(name, self._runtime.config, self._runtime.providers)
        seen = await self._runtime.batches.look(batch, at_provider, await self._desk(batch))
        return replace(seen.status, id=batch_id)

    async def collect_batch(
        self, batch_id: str, response_models: Sequence[type[BaseModel]] = ()
    ) -> AsyncIterator[BatchResult]:
        """The results of a batch that has ended. See `RunsBatches.collect_batch`."""
        name, at_provider = arguments.batch_id(batch_id)
        models = arguments.response_models(response_models)
        batch = batch_call(name, self._runtime.config, self._runtime.providers)
        self._warn_about_open_transaction()
        desk = await self._desk(batch)
        async for answer in self._runtime.batches.collect(batch, at_provider, desk, models):
            yield _result(answer)

    async def _desk(self, batch: Call) -> HandlesBatches:
        provider = await self._runtime.provider(batch.provider)
        if not isinstance(provider, TakesBatches):
            raise self._lacks(batch, "takes no batches")
        return provider.batches


def _result(answer: LateAnswer) -> BatchResult:
    outcome = answer.outcome
    if outcome is None:
        return BatchResult(key=answer.key, request_id=answer.call.id, error=answer.error)
    parsed = outcome.reply.parsed
    return BatchResult(
        key=answer.key,
        request_id=answer.call.id,
        response=response_dto(answer.call, outcome),
        parsed=parsed if isinstance(parsed, BaseModel) else None,
    )
