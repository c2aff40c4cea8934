"""Logged requests on other models: one of them, or many beside what they were."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack
from uuid import UUID

from anyio import CapacityLimiter
from pydantic import BaseModel
from sqlalchemy import RowMapping

from modules.llm_services import arguments
from modules.llm_services.arguments import replays as checks
from modules.llm_services.attribution import attributed
from modules.llm_services.exceptions import LLMError, LLMInputError
from modules.llm_services.recording import Wanted
from modules.llm_services.redaction import safe_error_text
from modules.llm_services.roles import ModelChoice
from modules.llm_services.together import all_of
from modules.llm_services.tooling.describing import describe
from modules.llm_services.types import Call, LLMResponseDTO
from modules.llm_services.types.comparing import (
    ComparedAnswer,
    Comparison,
    LeftOut,
    ReplayOptions,
)
from modules.llm_services.types.paging import RequestFilter
from modules.llm_services.wiring import running_loop

from .base import in_thread
from .comparing import answered, as_logged, estimated, summed
from .likeness import agreement, difference
from .logged import LoggedRequest
from .text import Conversations, response_dto

_AT_ONCE = 4
_NAMED = ("requests", "request_id", "model", "models", "user_id", "response_model")


class ReplayUseCases(Conversations):
    """Implements `ReplaysRequests` for the requests of one user."""

    _of_everybody = False

    async def replay(
        self,
        request_id: UUID,
        model: str | None = None,
        user_id: UUID | None = None,
        *,
        response_model: type[BaseModel] | None = None,
        **options: Unpack[ReplayOptions],
    ) -> tuple[LLMResponseDTO, UUID]:
        """A logged conversation on another model. See `ReplaysRequests.replay`."""
        given = _given(options)
        models = {} if response_model is None else _by_name(response_model)
        wanted = self._wanted([arguments.uuid("request_id", request_id)], user_id, 1, whole=True)
        choice = None if model is None else self._runtime.choose(model)
        running_loop()
        [row] = await self._rows(wanted)
        word = f"{row['provider']}:{row['model']}" if choice is None else _word(choice)
        try:
            call = await self._replay_of(row, word, models, given)
        except LLMInputError as error:
            told = f"request {row['id']} cannot be replayed: {error.message}"
            raise LLMInputError(told) from None
        outcome, replay_id = await self._run(call)
        return response_dto(call, outcome), replay_id

    async def compare(
        self,
        requests: Sequence[UUID] | RequestFilter,
        models: Sequence[str],
        user_id: UUID | None = None,
        *,
        estimate_only: bool = False,
        limit: int | None = None,
        response_models: Sequence[type[BaseModel]] = (),
        **options: Unpack[ReplayOptions],
    ) -> Comparison:
        """Logged conversations beside what models make of them. See `ReplaysRequests.compare`."""
        given = _given(options)
        words, classes = checks.models(models), arguments.response_models(response_models)
        only = arguments.yes_or_no("estimate_only", estimate_only)
        most = checks.limit(limit, estimate_only=only)
        asked = checks.requests(requests, most)
        choices = [self._compared_model(index, word) for index, word in enumerate(words)]
        running_loop()
        found = await self._rows(self._wanted(asked, user_id, most, whole=not only))
        rows, more = found[:most], len(found) > most
        if only:
            return await in_thread(self._estimated, rows, choices, more=more)
        names = [_word(one) for one in choices]
        return await self._compared(rows, names, classes, given, more=more)

    def _estimated(
        self, rows: Sequence[RowMapping], choices: Sequence[ModelChoice], *, more: bool
    ) -> Comparison:
        return Comparison(
            estimated=True,
            requests=len(rows),
            more=more,
            logged=as_logged(rows),
            models=tuple(estimated(rows, one, self._runtime.prices) for one in choices),
        )

    async def _compared(
        self,
        rows: Sequence[RowMapping],
        names: Sequence[str],
        classes: Mapping[str, type[BaseModel]],
        given: Mapping[str, Any],
        *,
        more: bool,
    ) -> Comparison:
        good, left_out = [], []
        for row in rows:
            try:
                calls = [await self._replay_of(row, name, classes, given) for name in names]
                good.append((row, calls))
            except LLMInputError as error:
                left_out.append(LeftOut(request_id=row["id"], reason=error.message))
        limiter = CapacityLimiter(_AT_ONCE)
        asked = ((row, call) for row, calls in good for call in calls)
        answers = await all_of(self._answer(row, call, limiter) for row, call in asked)
        return Comparison(
            estimated=False,
            requests=len(good),
            more=more,
            logged=as_logged([row for row, _ in good]),
            models=tuple(summed(n, [one for one in answers if one.model == n]) for n in names),
            answers=tuple(answers),
            left_out=tuple(left_out),
        )

    async def _answer(
        self, row: RowMapping, call: Call, limiter: CapacityLimiter
    ) -> ComparedAnswer:
        """What a model made of a request; an error is part of the comparison."""
        model = f"{call.provider}:{call.model}"
        shown = ComparedAnswer(request_id=row["id"], model=model, replay_id=call.id)
        async with limiter:
            try:
                outcome, _ = await self._run(call)
            except LLMError as error:
                cost = None if error.cost is None else float(error.cost)
                said = safe_error_text(str(error))
                failed = {"cost": cost, "error_type": error.error_type, "error": said}
                return shown.model_copy(update=failed)
        response = response_dto(call, outcome)
        logged = row["response_content"]
        if not logged or not response.content:
            return answered(response, shown)
        seen = {
            "agreement": await asyncio.to_thread(agreement, logged, response.content),
            "difference": await asyncio.to_thread(difference, logged, response.content),
        }
        return answered(response, shown.model_copy(update=seen))

    def _compared_model(self, index: int, word: str) -> ModelChoice:
        try:
            return self._runtime.choose(word)
        except LLMInputError as error:
            raise LLMInputError(f"models[{index}]: {error.message}") from None

    def _wanted(
        self, asked: Sequence[UUID] | RequestFilter, user_id: object, limit: int, *, whole: bool
    ) -> Wanted:
        said = None if user_id is None else arguments.uuid("user_id", user_id)
        user = said if self._of_everybody else attributed({"user_id": said} if said else {}).user_id
        return Wanted(
            requests=asked,
            limit=limit,
            everybody=self._of_everybody and user is None,
            user_id=user,
            whole=whole,
        )

    async def _rows(self, wanted: Wanted) -> Sequence[RowMapping]:
        """The rows, in the order of their ids when those were given.

        Raises `LLMInputError` for an id that no row of this user has.
        """
        rows = await self._runtime.logged.find(wanted)
        if isinstance(wanted.requests, RequestFilter):
            return rows
        found = {row["id"]: row for row in rows}
        for one in wanted.requests:
            if one not in found:
                raise LLMInputError(f"there is no request {one} of this user")
        return [found[one] for one in wanted.requests]

    async def _replay_of(
        self,
        row: RowMapping,
        model: str,
        classes: Mapping[str, type[BaseModel]],
        given: Mapping[str, Any],
    ) -> Call:
        """The call that makes a row's request again, for whom it was made."""
        options = {name: value for name, value in given.items() if name != "tools"}
        operation, asked = LoggedRequest(row).asked(model, classes, given["tools"], options)
        call = await self._call(operation, asked)
        whose = {name: row[name] for name in ("user_id", "tenant", "feature")}
        return replace(
            call,
            replay_of=row["id"],
            fallback=(),
            cache=None,
            attribution=replace(call.attribution, **whose, conversation_id=None),
        )


def _given(options: ReplayOptions) -> dict[str, Any]:
    """The options, checked; tools as their descriptions."""
    given = arguments.options(options, checks.REPLAY_OPTIONS, _NAMED)
    return {**given, "tools": describe(given.get("tools", ()))}


def _word(choice: ModelChoice) -> str:
    return f"{choice.provider}:{choice.model}"


def _by_name(response_model: object) -> Mapping[str, type[BaseModel]]:
    checked = arguments.response_model(response_model)
    return {checked.__name__: checked}


class AdminReplayUseCases(ReplayUseCases):
    """The same for the requests of everybody."""

    _of_everybody = True
