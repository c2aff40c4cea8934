"""The module's words: usage that adds up, frozen DTOs, ids that sort by time."""

import dataclasses
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from modules.llm_services import types
from modules.llm_services.ids import uuid7
from modules.llm_services.providers import base
from modules.llm_services.types import (
    Attribution,
    GenerationOptions,
    GenerationParameters,
    LLMMessageDTO,
    LLMProviderType,
    LLMRequestDTO,
    LLMResponseDTO,
    MessageRole,
    RequestStatus,
    ToolRunOptions,
    Usage,
)

COUNTS = st.none() | st.integers(0, 10**6)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Usage as providers report it: parts are never more than the whole."""
    prompt, completion = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**6))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cache_read_tokens=draw(st.none() | st.integers(0, prompt)),
        cache_write_tokens=draw(st.none() | st.integers(0, prompt)),
        reasoning_tokens=draw(st.none() | st.integers(0, completion)),
    )


SOME = st.builds(
    Usage,
    prompt_tokens=COUNTS,
    completion_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_tokens=COUNTS,
    reasoning_tokens=COUNTS,
)


@given(one=usages(), other=usages())
def test_a_sum_keeps_the_subset_rule(one: Usage, other: Usage) -> None:
    """Cached tokens are part of the prompt and reasoning is part of the completion, in sums too."""
    total = one + other
    assert total.prompt_tokens is not None
    assert total.completion_tokens is not None
    assert (total.cache_read_tokens or 0) <= total.prompt_tokens
    assert (total.cache_write_tokens or 0) <= total.prompt_tokens
    assert (total.reasoning_tokens or 0) <= total.completion_tokens
    assert total.total_tokens == (one.total_tokens or 0) + (other.total_tokens or 0)


@given(one=SOME, two=SOME, three=SOME)
def test_attempts_may_be_added_in_any_order(one: Usage, two: Usage, three: Usage) -> None:
    """Addition does not depend on order or grouping, and nothing added changes nothing."""
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert one + Usage() == one


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [(None, None, None), (None, 0, 0), (0, None, 0), (0, 0, 0), (3, None, 3), (3, 4, 7)],
)
def test_unknown_is_not_zero(left: int | None, right: int | None, total: int | None) -> None:
    """A sum is unknown only when nothing of it was reported; a reported zero stays a zero."""
    assert (Usage(reasoning_tokens=left) + Usage(reasoning_tokens=right)).reasoning_tokens == total
    assert Usage(prompt_tokens=left, completion_tokens=right).total_tokens == total


def test_the_ledger_keeps_what_was_reported() -> None:
    """An attempt's entry holds reported classes only, zeros among them."""
    assert Usage(prompt_tokens=5, reasoning_tokens=0).as_dict() == {
        "prompt_tokens": 5,
        "reasoning_tokens": 0,
    }
    assert Usage().as_dict() == {}


@pytest.mark.parametrize(
    ("dto", "field"),
    [
        (LLMMessageDTO(role="user", content="hi"), "content"),
        (LLMResponseDTO(content="hi", provider="openai", model="gpt-5"), "content"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_a_dto_cannot_be_changed(dto: Any, field: str) -> None:
    """DTOs cross module borders: nobody changes them behind another's back."""
    with pytest.raises(ValidationError, match="frozen"):
        setattr(dto, field, "other")


@pytest.mark.parametrize("dto", [LLMMessageDTO, LLMResponseDTO, LLMRequestDTO])
def test_a_dto_is_frozen_and_reads_attributes(dto: Any) -> None:
    """Every DTO is frozen and can be made from a row."""
    assert dto.model_config["frozen"]
    assert dto.model_config["from_attributes"]


@pytest.mark.parametrize("value", [Usage(), Attribution()])
def test_a_record_on_the_road_cannot_be_changed(value: Any) -> None:
    """What goes down the road is frozen, too."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, None)


def test_a_message_is_checked_when_it_is_sent() -> None:
    """Making a message never fails, so that its error can name its place in the list."""
    bad: Any = {"role": 5, "content": None, "name": ["x"]}
    message = LLMMessageDTO(**bad)
    assert message.model_dump(warnings=False, exclude_unset=True) == bad


def test_a_response_knows_nothing_that_it_was_not_told() -> None:
    """Tokens and cost that nobody reported are None, never 0."""
    response = LLMResponseDTO(content="hi", provider="openai", model="gpt-5")
    assert (response.tokens_used, response.cost_estimate, response.cached) == (None, None, False)
    assert (response.attempts, response.dropped_params) == (1, ())


def test_the_plans_fields_are_there() -> None:
    """CONTRACT.md §1 fixes these fields."""
    assert list(LLMMessageDTO.model_fields)[:3] == ["role", "content", "name"]
    assert {"content", "provider", "model", "tokens_used", "cost_estimate", "finish_reason"} <= set(
        LLMResponseDTO.model_fields
    )
    assert {"id", "provider", "model", "status", "tokens_used", "cost_estimate"} <= set(
        LLMRequestDTO.model_fields
    )


def test_the_legacy_names_are_there() -> None:
    """Names that callers already import keep importing."""
    assert types.LLMMessage is LLMMessageDTO
    assert types.LLMResponse is LLMResponseDTO
    assert base.LLMProvider is not None
    assert (MessageRole.USER, LLMProviderType.OPENAI) == ("user", "openai")
    assert set(RequestStatus) == {"pending", "completed", "failed", "cancelled"}


def test_options_are_the_parameters_and_what_is_ours() -> None:
    """Every parameter of the model can be given by the caller, as an argument or an option."""
    arguments = {"temperature", "max_tokens"}
    ours = {"timeout", "max_retries", "feature", "tenant", "conversation_id", "context"}
    ours |= {"payload_mode", "cache", "cache_scope", "idempotency_key", "fallback", "fallback_on"}
    tools = {"tools", "tool_choice", "parallel_tool_calls"}  # fields of the call
    parameters = set(GenerationParameters.__annotations__)
    given = set(GenerationOptions.__annotations__)
    assert parameters - arguments == given - ours - tools
    run = set(ToolRunOptions.__annotations__)  # two are its own parameters, two would not help
    assert run == given - {"tools", "timeout", "cache", "cache_scope"}


def _milliseconds(value: UUID) -> int:
    return value.int >> 80


def test_an_id_says_its_version_and_variant() -> None:
    """Ids are UUIDs of RFC 9562 version 7, which every database and library can read."""
    for _ in range(200):
        made = uuid7()
        assert made.version == 7
        assert made.variant == RFC_4122


def test_ids_sort_by_the_time_of_their_making() -> None:
    """The first 48 bits are milliseconds since 1970: new rows lie together in the index."""
    before = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(1_000)]
    after = time.time_ns() // 1_000_000
    stamps = [_milliseconds(value) for value in made]
    assert stamps == sorted(stamps)
    assert before <= stamps[0] <= stamps[-1] <= after


def test_ids_are_unique_across_threads() -> None:
    """No two calls share an id, however many are made at once."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: uuid7(), range(20_000)))
    assert len(set(made)) == len(made)
