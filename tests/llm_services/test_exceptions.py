"""Errors carry facts, survive a process border, and keep payloads out of their text."""

import copy
import pickle
import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from modules.llm_services import exceptions
from modules.llm_services.exceptions import (
    LLMError,
    LLMProviderError,
    LLMRateLimitError,
    LLMToolRunError,
    LLMValidationError,
)
from modules.llm_services.types import LLMResponseDTO, ToolRun, Usage

ERROR_TYPES = frozenset(
    (
        *("Connection", "Timeout", "RateLimited", "QuotaExceeded", "Authentication", "NotFound"),
        *("PermissionDenied", "BadRequest", "ContextLength", "ProviderError", "BadResponse"),
        *("StreamCut", "Validation", "Truncated", "Refused", "Overloaded", "CircuitOpen"),
        *("BudgetExceeded", "Interrupted"),
    )
)
"""CONTRACT.md §5: what the ledger's column ``error_type`` may hold."""

FACTS: dict[str, Any] = {
    "request_id": UUID(int=7),
    "provider": "openai",
    "model": "gpt-5",
    "status_code": 500,
    "code": "server_error",
    "param": "temperature",
    "provider_request_id": "req_1",
    "retryable": True,
    "retry_after": 1.5,
    "maybe_billed": True,
    "usage": Usage(prompt_tokens=3, completion_tokens=4),
    "cost": Decimal("0.001"),
    "partial_text": "PAYLOAD so far",
    "response_body": '{"PAYLOAD": 1}',
}


def _with_subclasses(base: type[LLMError]) -> list[type[LLMError]]:
    return [base, *(c for child in base.__subclasses__() for c in _with_subclasses(child))]


CLASSES = [c for c in _with_subclasses(LLMError) if c.__module__.startswith(exceptions.__name__)]


def needed_by(kind: type[LLMError]) -> dict[str, Any]:
    """Facts without which an error of this class makes no sense."""
    if not issubclass(kind, LLMToolRunError):
        return {}
    answer = LLMResponseDTO(content="PAYLOAD", provider="openai", model="gpt-5")
    run = ToolRun(
        response=answer,
        messages=(),
        rounds=1,
        cost=None,
        results=(),
        conversation_id="c",
        request_ids=(),
    )
    return {"limit": "rounds", "run": run}


def known_to(kind: type[LLMError]) -> dict[str, Any]:
    """Every fact that an error of this class can carry; a misfit's text is its last answer."""
    if not issubclass(kind, LLMValidationError):
        return {**FACTS, **needed_by(kind)}
    facts = {name: fact for name, fact in FACTS.items() if name != "partial_text"}
    return {**facts, "errors": [{"msg": "PAYLOAD"}], "last_text": "PAYLOAD"}


every_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


@every_class
def test_an_error_survives_a_process_border(kind: type[LLMError]) -> None:
    """Pickled and copied errors are of the same class and know the same facts."""
    error = kind("it failed", **known_to(kind))
    error.add_note("while testing")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301
        assert type(again) is kind
        assert vars(again) == vars(error)
        assert (str(again), again.args) == ("it failed", ("it failed",))


def test_a_validation_error_survives_with_its_errors() -> None:
    """What did not fit, and the answer itself, cross a process border, too."""
    problems = [{"loc": ("a", 0), "type": "missing", "msg": "Field required"}]
    facts = known_to(LLMValidationError) | {"errors": problems, "last_text": '{"b": 1}'}
    error = LLMValidationError("no fit", **facts)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (again.errors, again.last_text) == (problems, '{"b": 1}')
    assert again.partial_text == '{"b": 1}'
    assert vars(again) == vars(error)


@every_class
def test_payloads_stay_out_of_the_text(kind: type[LLMError]) -> None:
    """``str``, ``repr`` and ``args`` hold the message only: they end up in logs."""
    error = kind("it failed", **known_to(kind))
    assert "PAYLOAD" not in f"{error} {error!r} {error.args} {error.safe_message}"


@every_class
def test_an_end_user_is_told_no_details(kind: type[LLMError]) -> None:
    """``safe_message`` is a sentence for people, whatever the message says."""
    error = kind("openai said: sk-123456789", model="gpt-5", **needed_by(kind))
    assert re.fullmatch(r"[A-Z][A-Za-z' ]+\.( [A-Z][A-Za-z ]+\.)?", error.safe_message)


@every_class
def test_every_error_type_is_one_that_the_contract_names(kind: type[LLMError]) -> None:
    """The ledger's column holds no word that its readers do not know."""
    assert kind.error_type in ERROR_TYPES


@every_class
def test_every_fact_is_optional(kind: type[LLMError]) -> None:
    """An error needs a message and nothing else; what is not known is None."""
    error = kind("it failed", **needed_by(kind))
    assert error.message == "it failed"
    assert error.retryable is kind.retryable_by_nature
    assert not error.maybe_billed
    unknown = FACTS.keys() - {"retryable", "maybe_billed"}
    assert {getattr(error, name) for name in unknown} == {None}


@pytest.mark.parametrize("retryable", [True, False])
def test_a_provider_may_overrule_the_nature_of_an_error(*, retryable: bool) -> None:
    """``retryable`` is what was said about this very failure, else what is usual."""
    assert LLMProviderError("500", retryable=retryable).retryable is retryable
    assert LLMRateLimitError("429", retryable=retryable).retryable is retryable


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    """Who reads the tree at the top of the file can rely on it."""
    drawn: dict[str, str | None] = {}
    path: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines():
        found = re.fullmatch(r"    ((?:[│├└─ ]{4})*)(LLM\w+Error|LLMError)( .*)?", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            drawn[found[2]] = path[depth - 1] if depth else None
    bases = {c.__name__: c.__base__.__name__ if c.__base__ else None for c in CLASSES}
    assert drawn == {**bases, "LLMError": None}


def test_the_legacy_names_are_there() -> None:
    """Names that callers already catch keep importing, and catch what they used to."""
    for name in ("Authentication", "RateLimit", "Timeout", "Provider", "Validation"):
        assert issubclass(getattr(exceptions, f"LLM{name}Error"), LLMError)
