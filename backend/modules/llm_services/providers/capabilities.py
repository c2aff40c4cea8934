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
    LLMUnsupportedParameterError,
)
from modules.llm_services.types import Call

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

    _learnt: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _told: OrderedDict[UUID, set[str]] = field(default_factory=OrderedDict)

    def accepted(self, call: Call) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The parameters that the model takes, and the names of those that it does not."""
        given = _given(call)
        learnt = self._learnt[call.model].union(self._told.get(call.id, ()))
        refused = refused_parameters(call.model, given) | learnt
        dropped = tuple(sorted(refused & given.keys()))
        return {name: given[name] for name in given if name not in dropped}, dropped

    def learnt(self, error: LLMError, call: Call) -> LLMError:
        """A refused parameter that can be left out is remembered, and the call may go on.

        Each call is told once: others may have been under way with the same parameter.
        """
        name = _refused(error)
        if name is None or name not in _given(call) or name in self._told.get(call.id, ()):
            return error
        self._remember(name, call)
        facts = {key: value for key, value in vars(error).items() if key != "message"}
        return LLMUnsupportedParameterError(error.message, **facts)

    def _remember(self, name: str, call: Call) -> None:
        """For the model; but reasoning that cannot be opened says nothing of any other."""
        self._told.setdefault(call.id, set()).add(name)
        if len(self._told) > _CALLS_REMEMBERED:
            self._told.popitem(last=False)
        if name != "reasoning":
            self._learnt[call.model].add(name)
