"""The requests of a batch, checked before anything is written or sent."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import BatchRequest, GenerationParameters

from .basics import guarded, items, kind, label, plain_text, shown
from .options import OPTIONS, max_tokens, temperature
from .output import response_model

MAX_REQUESTS = 50_000
MAX_MODELS = 1_000
_PARAMETERS = {
    name: OPTIONS[name]
    for name in GenerationParameters.__annotations__
    if name in OPTIONS and name != "service_tier"
} | {"temperature": temperature, "max_tokens": max_tokens}
_BATCH_ID = re.compile(r"([a-z][a-z0-9_]*):([\x21-\x7e]{1,200})")
_key = label(200)


def batch_requests(value: object) -> tuple[tuple[str, BatchRequest], ...]:
    """The requests of a batch, each with its key."""
    return guarded("requests", _keyed, value)


def _keyed(value: object) -> tuple[tuple[str, BatchRequest], ...]:
    keyed: dict[str, BatchRequest] = {}
    for index, request in enumerate(items("requests", value, MAX_REQUESTS, "BatchRequest")):
        key = _checked_key(index, request)
        if key in keyed:
            raise LLMInputError(f"requests[{index}].key {key!r:.60} is another request's, too")
        keyed[key] = request
    return tuple(keyed.items())


def _checked_key(index: int, request: object) -> str:
    if not isinstance(request, BatchRequest):
        raise LLMInputError(f"requests[{index}] must be a BatchRequest, not {kind(request)}")
    return str(index) if request.key is None else str(_key(f"requests[{index}].key", request.key))


def batch_parameters(given: object) -> dict[str, Any]:
    """What is said to the model; no request of a batch has policies or a feature of its own."""
    if not isinstance(given, Mapping):
        raise LLMInputError(f"parameters must be a dict, not {kind(given)}")
    for name in given:
        if name not in _PARAMETERS:
            raise LLMInputError(
                f"unknown parameter {shown(name)}; known are {', '.join(_PARAMETERS)}"
            )
    return {
        name: guarded(name, _PARAMETERS[name], name, value)
        for name, value in given.items()
        if value is not None
    }


def batch_id(value: object) -> tuple[str, str]:
    """A batch's provider and the provider's own id for it."""
    found = _BATCH_ID.fullmatch(plain_text(value) or "")
    if found is None:
        raise LLMInputError(f"batch_id must be what submit_batch returned, not {shown(value)}")
    return found[1], found[2]


def response_models(value: object) -> dict[str, type[BaseModel]]:
    """Classes by their names, as rows know them."""
    if isinstance(value, list | tuple) and not value:
        return {}
    models = guarded("response_models", items, "response_models", value, MAX_MODELS, "classes")
    checked = [response_model(m, f"response_models[{i}]") for i, m in enumerate(models)]
    return {model.__name__: model for model in checked}
