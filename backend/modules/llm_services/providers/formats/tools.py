"""Tools and their calls, as far as both of OpenAI's formats say the same."""

import json
from collections.abc import Iterable

from pydantic_core import from_json

from modules.llm_services.types import Call, JsonObject, LLMMessageDTO, ToolCall, ToolSpec

_EXCERPT = 200


def function(spec: ToolSpec) -> JsonObject:
    """What a model is told of a tool."""
    said: JsonObject = {"name": spec.name, "parameters": spec.parameters, "strict": spec.strict}
    return {**said, "description": spec.description} if spec.description else said


def choice(call: Call) -> JsonObject:
    """The parameters about tools that have the same words in both formats."""
    said: JsonObject = {}
    if call.tool_choice in {"auto", "none", "required"}:
        said["tool_choice"] = call.tool_choice
    if call.parallel_tool_calls is not None:
        said["parallel_tool_calls"] = call.parallel_tool_calls
    return said


def forced(call: Call) -> str | None:
    """The one tool that has to be called."""
    return None if "tool_choice" in choice(call) else call.tool_choice


def arguments_text(call: ToolCall) -> str:
    """The arguments as they go back to the model that wrote them."""
    return json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))


def tool_calls(found: Iterable[tuple[str | None, str, str | None]]) -> tuple[ToolCall, ...]:
    """Calls from ids, names and JSON texts; each gets an id of its own if a vendor gave none."""
    calls: dict[str, ToolCall] = {}
    for number, (given, name, text) in enumerate(found):
        key = given if given and given not in calls else f"call_{number}"
        calls[key] = _tool_call(key, name, text or "{}")
    return tuple(calls.values())


def _tool_call(key: str, name: str, text: str) -> ToolCall:
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        return ToolCall(id=key, name=name, error=f"the arguments are not JSON: {text[:_EXCERPT]}")
    if not isinstance(value, dict):
        return ToolCall(
            id=key, name=name, error=f"the arguments are no JSON object: {text[:_EXCERPT]}"
        )
    return ToolCall(id=key, name=name, arguments=value)


def is_plain(message: LLMMessageDTO) -> bool:
    """Whether a message is text and nothing else."""
    return isinstance(message.content, str) or message.role != "user"
