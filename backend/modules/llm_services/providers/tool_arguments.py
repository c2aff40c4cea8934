"""Do the arguments that a model wrote fit the tool that it calls?"""

import json
from collections.abc import Sequence

from pydantic import BaseModel, ValidationError

from modules.llm_services.types import ToolCall, ToolSpec

_PROBLEMS = 10  # more would only repeat themselves


def checked(calls: Sequence[ToolCall], tools: Sequence[ToolSpec]) -> tuple[ToolCall, ...]:
    """The calls with what their arguments mean, or with what is wrong with them."""
    offered = {spec.name: spec for spec in tools}
    return tuple(_checked(call, offered) for call in calls)


def _checked(call: ToolCall, offered: dict[str, ToolSpec]) -> ToolCall:
    if call.error is not None:
        return call
    spec = offered.get(call.name)
    if spec is None:
        known = ", ".join(offered)
        return _with_error(call, f"there is no tool {call.name[:80]!r}; there are {known}")
    return call if spec.model is None else _parsed(call, spec.model)


def _parsed(call: ToolCall, model: type[BaseModel]) -> ToolCall:
    try:
        parsed = model.model_validate_json(json.dumps(call.arguments))
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        lines = [f"- {_place(entry['loc'])}: {entry['msg']}" for entry in details[:_PROBLEMS]]
        return _with_error(call, "the arguments do not fit:\n" + "\n".join(lines))
    except Exception as error:  # noqa: BLE001 - validators of a caller's model raise anything
        return _with_error(call, f"the arguments do not fit: {type(error).__name__}: {error}")
    return call.model_copy(update={"parsed": parsed})


def _with_error(call: ToolCall, error: str) -> ToolCall:
    return call.model_copy(update={"error": error})


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the arguments"
