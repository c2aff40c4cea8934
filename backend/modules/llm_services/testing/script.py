"""What the fake vendor says to which call."""

import asyncio
import inspect
from collections.abc import Callable, Collection, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from modules.llm_services.exceptions import LLMError
from modules.llm_services.types import Call, Usage

from .recorded import Conditions, RecordedCall, check_conditions, fits, recorded

ErrorSource: TypeAlias = LLMError | type[LLMError] | Callable[[RecordedCall], LLMError]


class UnscriptedError(BaseException):
    """The test asks for something that the fake does not know how to answer.

    No ``Exception``: the code under test must not take a gap in the test for an outage.
    """


class Terms(Conditions, total=False):
    """When and how an answer is given.

    ``times`` is how many requests it serves (for ever by default), ``latency`` the seconds that it
    takes: nobody waits for them, but a deadline that is shorter passes. ``usage`` are the tokens
    that it reports, ``cost`` is USD or ``"unknown"``, ``finish_reason`` as vendors say it
    (``length``, ``content_filter``).
    """

    times: int
    latency: float
    usage: Usage
    cost: float | Literal["unknown"]
    finish_reason: str


@dataclass(slots=True, kw_only=True, eq=False)
class Rule:
    """An answer, or an error, and the calls that it is for. ``left`` requests it still serves.

    ``pieces`` come before the error of a stream. ``gate`` is what an answer waits for.
    """

    conditions: Conditions = field(default_factory=Conditions)
    operations: Collection[str] = ()
    answer: Any = None
    error: ErrorSource | None = None
    pieces: Sequence[str] = ()
    gate: "Gate | None" = None
    left: int | None = None
    latency: float = 0.0
    usage: Usage | None = None
    cost: Decimal | Literal["unknown"] | None = None
    finish_reason: str | None = None

    def serves(self, call: RecordedCall) -> bool:
        """Whether it has an answer to a call."""
        fitting = not self.operations or call.operation in self.operations
        return fitting and self.left != 0 and fits(call, self.conditions)


class Gate:
    """An answer that is held back until `open`. ``reached`` is set when a call waits for it."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._open = asyncio.Event()

    def open(self) -> None:
        """Let the answer come."""
        self._open.set()

    async def passed(self) -> None:
        """Wait for the gate to open."""
        self.reached.set()
        await self._open.wait()


class Script:
    """The rules in the order in which they were made, and the calls that came."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self.calls: list[RecordedCall] = []

    def add(self, rule: Rule) -> None:
        """Another rule."""
        self._rules.append(rule)

    def take(self, call: Call, prompts: tuple[str, ...]) -> tuple[RecordedCall, Rule]:
        """Note a request, and use up the rule that answers it.

        Rules with ``times`` go first, in their order; of the others the last one that fits.
        """
        asked = recorded(call, prompts)
        self._note(asked)
        serving = [rule for rule in self._rules if rule.serves(asked)]
        limited = [rule for rule in serving if rule.left is not None]
        rule = (limited or serving[::-1] or [self.fallback(call, asked)])[0]
        if rule.left is not None:
            rule.left -= 1
        return asked, rule

    def fallback(self, _call: Call, _asked: RecordedCall) -> Rule:
        """What answers where no rule does: something sensible, always the same."""
        return Rule()

    def _note(self, asked: RecordedCall) -> None:
        """Retries are the same call, and so are the parts that it is made of."""
        for index, known in enumerate(self.calls):
            if known.request_id == asked.request_id:
                new = tuple(prompt for prompt in asked.prompts if prompt not in known.prompts)
                self.calls[index] = replace(known, prompts=known.prompts + new)
                return
        self.calls.append(asked)


def rule_of(terms: Terms, **more: Any) -> Rule:
    """A rule of what a test said. Raises ``TypeError`` and ``ValueError`` for what is wrong."""
    effects: dict[str, Any] = {n: terms[n] for n in _EFFECTS if n in terms}  # type: ignore[literal-required]
    conditions: Any = {n: v for n, v in terms.items() if n not in {*_EFFECTS, "times", "cost"}}
    times, cost = terms.get("times"), terms.get("cost")
    if times is not None and times < 1:
        raise ValueError(f"times is {times}: give at least 1, or leave it out")
    known = cost if cost is None or cost == "unknown" else Decimal(str(cost))
    check_conditions(conditions)
    return Rule(conditions=conditions, left=times, cost=known, **effects, **more)


def error_of(source: ErrorSource, asked: RecordedCall) -> LLMError:
    """A new error for each request: the road writes on them whose they are."""
    if isinstance(source, LLMError):
        return copy(source)
    made: LLMError = source("told to fail") if isinstance(source, type) else source(asked)
    return made


def is_function(answer: object) -> bool:
    """Whether an answer is made anew of each call."""
    return callable(answer) and not isinstance(answer, type)


async def value_of(answer: Any, asked: RecordedCall) -> Any:
    """The answer itself, or what its function makes of the call."""
    if not is_function(answer):
        return answer
    said = answer(asked)
    return await said if inspect.isawaitable(said) else said


_EFFECTS = ("latency", "usage", "finish_reason")
