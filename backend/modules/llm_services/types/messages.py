"""Messages of a conversation."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, SkipValidation

from .frozen import Frozen
from .parts import ContentPart, TextPart
from .reasoning import ReasoningItem
from .tools import ToolCall


class LLMMessageDTO(Frozen):
    """One message of a conversation.

    ``content`` is text, or a list of parts: images, documents and sound in a user's message. What
    an assistant asked to have called is in ``tool_calls``; a message with ``role="tool"`` is the
    result of the one with the id ``tool_call_id``. What
    the assistant thought is in ``reasoning``, sealed.

    Its fields are checked when it is sent, not when it is made, so that the error can say which
    message of the list was wrong and is always an ``LLMInputError``.
    """

    model_config = ConfigDict(from_attributes=True)

    role: Annotated[str, SkipValidation]
    content: Annotated[str | Sequence[ContentPart], SkipValidation] = ""
    name: Annotated[str | None, SkipValidation] = None
    tool_calls: Annotated[Sequence[ToolCall], SkipValidation] = ()
    reasoning: Annotated[Sequence[ReasoningItem], SkipValidation] = ()
    tool_call_id: Annotated[str | None, SkipValidation] = None

    @property
    def text(self) -> str:
        """The text of the content, without images, documents and sound."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def parts(self) -> Sequence[ContentPart]:
        """The content as parts."""
        return (TextPart(text=self.content),) if isinstance(self.content, str) else self.content
