"""Sums of a comparison: what requests took when they were made, and on other models."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from statistics import fmean, median

from sqlalchemy import RowMapping

from modules.llm_services.pricing import PriceList
from modules.llm_services.roles import ModelChoice
from modules.llm_services.tokens import token_ratio
from modules.llm_services.types import LLMResponseDTO, Usage
from modules.llm_services.types.comparing import ComparedAnswer, ComparedModel

AS_LOGGED = "as logged"
_TOKENS = (
    *("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens"),
    "reasoning_tokens",
)


def as_logged(rows: Sequence[RowMapping]) -> ComparedModel:
    """What the requests took when they were made."""
    return summed(AS_LOGGED, [_logged(row) for row in rows])


def _logged(row: RowMapping) -> ComparedAnswer:
    return ComparedAnswer(
        request_id=row["id"],
        model=AS_LOGGED,
        replay_id=None,
        cost=row["cost_estimate"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        execution_time_ms=row["execution_time_ms"],
        error_type=None if row["status"] == "completed" else row["status"],
    )


def estimated(rows: Sequence[RowMapping], choice: ModelChoice, prices: PriceList) -> ComparedModel:
    """What the requests' tokens would cost on a model today."""
    model, now = f"{choice.provider}:{choice.model}", datetime.now(UTC)
    found = []
    for row in rows:
        usage = _usage(row, token_ratio(row["model"], choice.model))
        tier = "batch" if row["batch_id"] else None
        cost = prices.price(choice.provider, choice.model, usage, now, service_tier=tier).total
        found.append(
            ComparedAnswer(
                request_id=row["id"],
                model=model,
                replay_id=None,
                cost=None if cost is None else float(cost),
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
            )
        )
    return summed(model, found)


def _usage(row: RowMapping, ratio: float) -> Usage:
    counts = {name: row[name] for name in _TOKENS}
    return Usage(**{n: None if c is None else round(c * ratio) for n, c in counts.items()})


def answered(response: LLMResponseDTO, shown: ComparedAnswer) -> ComparedAnswer:
    """The same with what the answer took."""
    names = ("prompt_tokens", "completion_tokens", "execution_time_ms")
    took = {name: getattr(response, name) for name in names}
    return shown.model_copy(update={"cost": response.cost_estimate, **took})


def summed(model: str, answers: Sequence[ComparedAnswer]) -> ComparedModel:
    """What answers add up to."""
    costs = [Decimal(str(one.cost)) for one in answers if one.cost is not None]
    good = [one for one in answers if one.error_type is None]
    times = [one.execution_time_ms for one in good if one.execution_time_ms is not None]
    agreements = [one.agreement for one in good if one.agreement is not None]
    return ComparedModel(
        model=model,
        answered=len(good),
        failed=len(answers) - len(good),
        unpriced=sum(one.cost is None for one in good),
        cost=sum(costs, Decimal(0)) if costs else None,
        prompt_tokens=_total(one.prompt_tokens for one in answers),
        completion_tokens=_total(one.completion_tokens for one in answers),
        median_ms=round(median(times)) if times else None,
        agreement=fmean(agreements) if agreements else None,
    )


def _total(counts: Iterable[int | None]) -> int:
    return sum(count or 0 for count in counts)
