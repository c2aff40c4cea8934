"""The class that a structured answer must fit."""

from weakref import WeakSet

from pydantic import BaseModel, PydanticUndefinedAnnotation, PydanticUserError, RootModel

from modules.llm_services.exceptions import LLMInputError

from .basics import guarded, shown


def response_model(value: object, name: str = "response_model") -> type[BaseModel]:
    """A model class whose JSON is an object: what every provider asks for."""
    return guarded(name, _checked, value, name)


def _checked(value: object, name: str) -> type[BaseModel]:
    if not (isinstance(value, type) and issubclass(value, BaseModel)) or value is BaseModel:
        raise LLMInputError(f"{name} must be a subclass of pydantic.BaseModel, not {shown(value)}")
    if issubclass(value, RootModel):
        raise LLMInputError(
            f"{name} {value.__name__} is a RootModel, and answers must be JSON objects: put the "
            "root into a field of a BaseModel"
        )
    if value not in _DESCRIBED:
        _describe(value, name)
    return value


_DESCRIBED: WeakSet[type[BaseModel]] = WeakSet()


def _describe(model: type[BaseModel], name: str) -> None:
    """Find a model that no JSON schema can describe. It takes a while, so each is asked once."""
    try:
        model.model_json_schema()
    except (PydanticUserError, PydanticUndefinedAnnotation, NameError) as error:
        reason = str(error).partition("\n")[0]
        raise LLMInputError(f"{name} {model.__name__} must have a JSON schema: {reason}") from None
    _DESCRIBED.add(model)
