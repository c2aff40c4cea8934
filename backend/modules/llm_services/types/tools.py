"""Tools: functions that a model may ask to have called, and its calls of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, SkipValidation

from .basic import JsonObject
from .frozen import Frozen


class ToolCall(Frozen):
    """One call of a tool, as a model asked for it.

    ``arguments`` are what the model wrote, as decoded JSON. When they fit the tool, ``parsed`` is
    an instance of the tool's model (or of one with a field for each parameter of the function);
    when they do not, or no such tool was offered, ``error`` says why, in words that may be told
    to the model. ``parsed`` is of this process only: it is not serialised and not pickled.
    """

    id: str
    name: str
    arguments: JsonObject = Field(default_factory=dict)
    error: str | None = None
    parsed: Annotated[BaseModel | None, SkipValidation] = Field(
        default=None, exclude=True, repr=False
    )

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        return {**state, "__dict__": {**state["__dict__"], "parsed": None}}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToolSpec:
    """A tool as it is offered to a model.

    Functions and Pydantic models are turned into one; make it yourself for a tool whose
    ``parameters`` (a JSON schema of an object) only you know, say one of an MCP server: its
    arguments are then checked for being a JSON object, no more, for nothing that the module needs
    can check a JSON schema: do so in ``function``, or give a ``model``. ``strict`` asks the
    provider to hold the model to the schema, which has to be in the strict subset. ``function`` is
    what ``run_tools`` calls, with the arguments as keywords. ``model`` is what arguments must fit.
    """

    name: str
    parameters: JsonObject
    description: str = ""
    strict: bool = False
    function: Callable[..., Any] | None = None
    model: type[BaseModel] | None = None


Tool: TypeAlias = Callable[..., Any] | type[BaseModel] | ToolSpec
"""What may stand in ``tools``: a function with type hints, a Pydantic model, or a ready spec."""

ToolChoice: TypeAlias = Literal["auto", "none", "required"] | str
"""Whether tools are called: as the model likes, not at all, at least one, or the one named."""
