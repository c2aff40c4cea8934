"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

from sandbox.faults import Fault
from sandbox.models import LISTED
from sandbox.wire import ApiError, Json, Reply

_CREATED = 1_780_000_000


def list_models(_body: Json, _fault: Fault) -> Reply:
    """All models that the sandbox speaks of; it answers under any other name too."""
    return Reply(content={"object": "list", "data": [_model(name) for name in LISTED]})


def one_model(body: Json, _fault: Fault) -> Reply:
    """One of them; 404 `model_not_found` for a name that is not listed."""
    name = str(body.get("model"))
    if name not in LISTED:
        message = f"The model '{name}' does not exist"
        raise ApiError(404, message, param="model", code="model_not_found")
    return Reply(content=_model(name))


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "sandbox"}
