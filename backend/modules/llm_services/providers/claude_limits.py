"""What Anthropic's models cannot be asked, known before anything is written or sent."""

from modules.llm_services.exceptions import LLMInputError
from modules.llm_services.types import AudioPart, Call, MessageRole

from .claude_models import can_be_forced, is_forced

_TOLD = frozenset({MessageRole.SYSTEM, MessageRole.DEVELOPER})


def check_claude(call: Call) -> None:
    """Raise `LLMInputError` that names the argument."""
    if "logit_bias" in call.parameters:
        raise LLMInputError("logit_bias: Anthropic's models have no such parameter: leave it out")
    if is_forced(call) and not can_be_forced(call.model):
        raise LLMInputError(
            f"tool_choice: {call.model} cannot be forced to call a tool: give 'auto' and ask for "
            "the call in a message"
        )
    if call.messages and all(message.role in _TOLD for message in call.messages):
        raise LLMInputError("messages: Anthropic's models need one that is no system message")
    _check_sound(call)


def _check_sound(call: Call) -> None:
    listed = [(n, m.parts) for n, m in enumerate(call.messages) if not isinstance(m.content, str)]
    for index, parts in listed:
        for place, part in enumerate(parts):
            if isinstance(part, AudioPart):
                raise LLMInputError(
                    f"messages[{index}].content[{place}]: Anthropic's models take no sound: send "
                    "its transcript, or name a model that hears"
                )
