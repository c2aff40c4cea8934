"""Messages of a conversation."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, SkipValidation


class LLMMessageDTO(BaseModel):
    """One message of a conversation.

    Its fields are checked when it is sent, not when it is made, so that the error can say which
    message of the list was wrong and is always an ``LLMInputError``.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    role: Annotated[str, SkipValidation]
    content: Annotated[str, SkipValidation] = ""
    name: Annotated[str | None, SkipValidation] = None
