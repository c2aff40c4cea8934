"""What requests of the ledger would have been on other models."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TypedDict
from uuid import UUID

from .frozen import Frozen
from .payload import PayloadMode
from .tools import Tool


class ReplayOptions(TypedDict, total=False):
    """The keyword parameters of ``replay`` and ``compare``, for each request that they make.

    ``tools`` are those that logged requests were offered, whose names are all that the ledger
    keeps; ``timeout`` (seconds), ``max_retries`` and ``payload_mode`` are those of
    `GenerationOptions`. Parameters of the logged requests go along.
    """

    tools: Sequence[Tool]
    timeout: float
    max_retries: int
    payload_mode: PayloadMode


class ComparedAnswer(Frozen):
    """What one model made of one logged request.

    ``replay_id`` is the row of the replay. ``agreement`` goes from 0 to 1: the share of fields with
    equal values for JSON, of words in the same order for text; ``difference`` shows where they
    differ, line by line (``-`` as logged, ``+`` now, empty when they are equal). Both are ``None``
    where there is nothing to compare. ``cost`` is USD, ``None`` when the price is not known.
    """

    request_id: UUID
    model: str
    replay_id: UUID | None
    cost: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    execution_time_ms: int | None = None
    agreement: float | None = None
    difference: str | None = None
    error_type: str | None = None
    error: str | None = None


class ComparedModel(Frozen):
    """What all requests took on one model. ``model`` is ``provider:model``, or ``as logged``.

    ``cost`` (USD) is the sum of what is known: ``unpriced`` answers have tokens and no known price;
    it is ``None`` when nothing is known. ``median_ms`` is the time of a whole call; ``agreement``
    the mean of those of the answers. Estimates know neither.
    """

    model: str
    answered: int
    failed: int
    unpriced: int
    cost: Decimal | None
    prompt_tokens: int
    completion_tokens: int
    median_ms: int | None = None
    agreement: float | None = None


class LeftOut(Frozen):
    """A logged request that is not compared, and why."""

    request_id: UUID
    reason: str


class Comparison(Frozen):
    """Requests of the ledger beside the same on other models: ``str()`` shows it as a table.

    ``requests`` were compared; ``more`` says that others fit, beyond the limit. ``logged`` is what
    they took when they were made, ``answers`` (not for estimates) each one by request and model.
    """

    estimated: bool
    requests: int
    more: bool
    logged: ComparedModel
    models: tuple[ComparedModel, ...]
    answers: tuple[ComparedAnswer, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def __str__(self) -> str:
        """A line for each model, what was logged first."""
        what = "estimated for" if self.estimated else "replayed:"
        more = ", and there are more" if self.more else ""
        head = f"{what} {self.requests} requests{more}; {len(self.left_out)} left out"
        names = ("model", "answered", "failed", "USD", "in", "out", "median ms", "agreement")
        lines = [names, *(_line(one) for one in (self.logged, *self.models))]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join([head, *(_aligned(line, widths) for line in lines)])


def _line(one: ComparedModel) -> tuple[str, ...]:
    cost = "?" if one.cost is None else f"{one.cost:.6f}"
    return (
        one.model,
        str(one.answered),
        str(one.failed),
        f"{cost} + {one.unpriced} unpriced" if one.unpriced and one.cost is not None else cost,
        str(one.prompt_tokens),
        str(one.completion_tokens),
        "" if one.median_ms is None else str(one.median_ms),
        "" if one.agreement is None else f"{one.agreement:.0%}",
    )


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers = line
    padded = (text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True))
    return "  ".join([name.ljust(widths[0]), *padded]).rstrip()
