"""What a request will probably cost: tokens counted before, corrected by what was counted after."""

from collections.abc import Sequence
from datetime import UTC, datetime

from .exceptions import LLMPricingError
from .models import LLMRequest
from .pricing import PriceList
from .repo import LLMRequestRepo
from .roles import ModelChoice
from .tokens import calibration_factor, count_messages, expected_output_tokens
from .types import LLMMessageDTO, Usage

_ANSWERS = 10
_WINDOW = 500
_LONGEST = 20_000  # characters of a logged conversation that is worth counting again


def estimate(
    messages: Sequence[LLMMessageDTO],
    choice: ModelChoice,
    cap: int | None,
    prices: PriceList,
    repo: LLMRequestRepo,
) -> float:
    """USD of a request: its prompt, and an answer as long as this model's usually are.

    The prompt's count is calibrated by what the provider counted for the model's last answers in
    the ledger. Raises `LLMPricingError` when the model's price is not known.
    """
    history = repo.recent_answers(choice.model, _ANSWERS, _WINDOW)
    counted = count_messages(messages, choice.model).tokens * _calibration(history, choice.model)
    answers = [row.completion_tokens for row in history if row.completion_tokens is not None]
    usage = Usage(
        prompt_tokens=round(counted), completion_tokens=expected_output_tokens(answers, cap)
    )
    price = prices.price(choice.provider, choice.model, usage, datetime.now(UTC))
    if price.total is None:
        raise LLMPricingError(
            f"no price is known for {choice.provider}:{choice.model}; add one to the file of "
            "LLM_PRICE_OVERRIDES",
            provider=choice.provider,
            model=choice.model,
        )
    return float(price.total)


def _calibration(history: Sequence[LLMRequest], model: str) -> float:
    pairs = []
    for row in reversed(history):
        said = _conversation(row)
        if said and row.prompt_tokens:
            pairs.append((count_messages(said, model).tokens, row.prompt_tokens))
    return calibration_factor(pairs)


def _conversation(row: LLMRequest) -> list[LLMMessageDTO]:
    """The row's messages when they are plain text and not too long to count; else nothing."""
    if isinstance(row.additional_params, dict) and "tools" in row.additional_params:
        return []  # the schemas of the tools were counted, too
    said: list[object] = list(row.messages)
    texts = [text for item in said if isinstance(text := _content(item), str)]
    if len(texts) != len(said) or sum(len(text) for text in texts) > _LONGEST:
        return []
    return [LLMMessageDTO.model_validate(item) for item in said]


def _content(item: object) -> object:
    plain = isinstance(item, dict) and "role" in item and "tool_calls" not in item
    return item.get("content") if plain and isinstance(item, dict) else None
