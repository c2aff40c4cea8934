"""What models refuse, as far as it is known before they say so.

Reasoning models take sampling parameters only while reasoning is off. Source: the matrix that
pydantic-ai verified live between July and October 2026. A model that is not listed is asked, and
what it refuses is learnt.
"""

import re
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from modules.llm_services.exceptions import (
    LLMBadRequestError,
    LLMError,
    LLMInputError,
    LLMUnsupportedParameterError,
)
from modules.llm_services.types import Call

from .quirks import NO_QUIRKS, Quirks

SAMPLING = frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty"})

_ALWAYS_REASONS = re.compile(
    r"(gpt-6-astra|gpt-6\.1-sol|gpt-[56][\w.]*-pro|o[134]|gpt-5(-mini|-nano)?|gpt-5\.\d-chat)"
    r"(-\d{4}-\d\d-\d\d|-mini|-latest)*"
)
_REASONS_UNLESS_TOLD = re.compile(r"gpt-(6|5\.[5-9])")


def refused_parameters(model: str, parameters: Mapping[str, object]) -> frozenset[str]:
    """Names among ``parameters`` that ``model`` is known to refuse."""
    given = SAMPLING & parameters.keys()
    return given if given and _reasons(model, parameters.get("reasoning_effort")) else frozenset()


def _reasons(model: str, effort: object) -> bool:
    if _ALWAYS_REASONS.fullmatch(model):
        return True
    if effort is not None:
        return effort != "none"
    return _REASONS_UNLESS_TOLD.match(model) is not None


_SEALS = re.compile(r"gpt-[5-9]|o[134](-|$)")
_SPEAKS_IN_EVENTS = re.compile(r"gpt-4o-mini-tts\b")


def _given(call: Call) -> dict[str, Any]:
    """The call's parameters, and what belongs to them: a model that reasons and calls tools gets
    its ``reasoning`` back in the next round. Nothing is stored, so it has to come sealed. Speech
    that comes as a stream says what it cost; tts-1 has no such stream.
    """
    given = dict(call.parameters)
    reasons = _SEALS.match(call.model) and _reasons(call.model, given.get("reasoning_effort"))
    if call.tools and reasons:
        given["include"] = ["reasoning.encrypted_content"]
    if call.operation == "speech" and _SPEAKS_IN_EVENTS.match(call.model):
        given["stream_format"] = "sse"
    sealed = (one for message in call.messages for one in message.reasoning)
    if any(one.readable_by(call.provider, call.model) for one in sealed):
        given["reasoning"] = True
    return given


_REFUSAL_CODES = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
_DROPPABLE: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "verbosity": "verbosity",
    "text.verbosity": "verbosity",
    "prompt_cache_key": "prompt_cache_key",
    "include": "include",
    "stream_format": "stream_format",
}
"""Wire names of parameters whose absence does not change what was asked for."""
_CALLS_REMEMBERED = 1_000
JSON_SCHEMA = "json_schema"
"""What is said to be left out when an answer is asked for in words, not held to a schema."""
_SCHEMA_S_PLACE = frozenset(
    {"response_format", "response_format.type", "text.format", "text.format.type"}
)
_UNREADABLE = frozenset({400, 422})
_IRRELEVANT = frozenset(_DROPPABLE.values()) | {"service_tier", "metadata"}
"""Parameters of ours without which the same question is asked."""


def check_quirks(quirks: Quirks, call: Call) -> None:
    """Raise `LLMInputError` for what the vendor takes no calls with."""
    given = {**call.parameters, **({"tools": True} if call.tools else {})}
    for name in quirks.refuses & given.keys() - _IRRELEVANT:
        raise LLMInputError(f"{name}: {call.provider} does not take it: leave it out")


def _refused(error: LLMError) -> str | None:
    """The parameter that an error is about, if it can be left out.

    ``include`` is refused without a code. Reasoning cannot be opened by another organisation or
    deployment than its own, as behind a gateway that has several.
    """
    if not isinstance(error, LLMBadRequestError):
        return None
    if error.code == "invalid_encrypted_content":
        return "reasoning"
    known = error.code in _REFUSAL_CODES or error.param == "include"
    return _DROPPABLE.get(error.param or "") if known else None


@dataclass(slots=True)
class Refusals:
    """What the models of one provider refuse: what is known, and what they have said since."""

    quirks: Quirks = NO_QUIRKS
    _learnt: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _told: OrderedDict[UUID, set[str]] = field(default_factory=OrderedDict)

    def accepted(self, call: Call) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The parameters that the model takes, and the names of those that it does not."""
        given = _given(call)
        learnt = self._learnt[call.model].union(self._told.get(call.id, ()))
        refused = refused_parameters(call.model, given) | learnt | self.quirks.refuses
        dropped = tuple(sorted(refused & given.keys()))
        kept = {name: given[name] for name in given if name not in dropped}
        in_words = self.quirks.schemas is False or JSON_SCHEMA in learnt
        return kept, (*dropped, JSON_SCHEMA) if call.output_type and in_words else dropped

    def learnt(self, error: LLMError, call: Call) -> LLMError:
        """A refused parameter that can be left out is remembered, and the call may go on.

        Each call is told once: others may have been under way with the same parameter.
        """
        name = self._refused(error, call)
        if name is None or name in self._told.get(call.id, ()):
            return error
        self._remember(name, call)
        facts = {key: value for key, value in vars(error).items() if key != "message"}
        return LLMUnsupportedParameterError(error.message, **facts)

    def _refused(self, error: LLMError, call: Call) -> str | None:
        name = _refused(error)
        if name is not None:
            return name if name in _given(call) else None
        return JSON_SCHEMA if call.output_type and self._may_mean_the_schema(error) else None

    def _may_mean_the_schema(self, error: LLMError) -> bool:
        """Few vendors name the parameter: where schemas may be unknown, any bad request may be
        about them, and one in other words tells.
        """
        if type(error) is not LLMBadRequestError or error.code == "invalid_json_schema":
            return False
        perhaps = self.quirks.schemas is None and error.status_code in _UNREADABLE
        guessed = perhaps and error.param is None and not error.retryable
        return guessed or error.param in _SCHEMA_S_PLACE

    def answered(self, call: Call) -> None:
        """A request in other words was answered: the next calls are made in them at once."""
        if JSON_SCHEMA in self._told.get(call.id, ()):
            self._learnt[call.model].add(JSON_SCHEMA)

    def _remember(self, name: str, call: Call) -> None:
        """For the model; but reasoning that cannot be opened says nothing of any other, and what
        was wrong with a request is only guessed until the next is answered.
        """
        self._told.setdefault(call.id, set()).add(name)
        if len(self._told) > _CALLS_REMEMBERED:
            self._told.popitem(last=False)
        if name not in {"reasoning", JSON_SCHEMA}:
            self._learnt[call.model].add(name)
