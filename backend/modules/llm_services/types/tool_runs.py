"""What comes of a loop in which a model calls tools."""

from uuid import UUID

from .frozen import Frozen
from .messages import LLMMessageDTO
from .results import LLMResponseDTO
from .tools import ToolCall


class ToolResult(Frozen):
    """A call of a tool and what the model was told of it. ``failed``: it was an error."""

    call: ToolCall
    content: str
    failed: bool = False
    execution_time_ms: int = 0

    def as_message(self) -> LLMMessageDTO:
        """The message that tells the model."""
        return LLMMessageDTO(role="tool", content=self.content, tool_call_id=self.call.id)


class ToolRun(Frozen):
    """A loop of rounds: the model answers, tools are called, the model is told.

    ``response`` is the last one, ``messages`` the whole conversation with it, ready to be
    continued. ``cost`` is USD of all rounds whose price is known, ``None`` when none is. Each
    round is a row of the ledger: ``request_ids`` in their order, all of ``conversation_id``.
    """

    response: LLMResponseDTO
    messages: tuple[LLMMessageDTO, ...]
    rounds: int
    cost: float | None
    results: tuple[ToolResult, ...]
    conversation_id: str
    request_ids: tuple[UUID, ...]
