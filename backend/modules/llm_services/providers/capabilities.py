"""What models refuse, as far as it is known before they say so.

Reasoning models take sampling parameters only while reasoning is off. Source: the matrix that
pydantic-ai verified live between July and October 2026. A model that is not listed is asked, and
what it refuses is learnt (see `OpenAIProvider`).
"""

import re
from collections.abc import Mapping

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
