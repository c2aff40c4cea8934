"""Structured output: instructor is the engine of one attempt, and only this file knows it.

Its mode handlers write the schema and read the answer. Its retry loop, its hooks and its client
are not used: retries and re-asks are counted and paid for in one place, the executor.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from modules.llm_services.exceptions import LLMValidationError
from modules.llm_services.types import Call, JsonObject

from .base import Reply
from .capabilities import JSON_SCHEMA
from .formats.base import OutputSchema
from .strict_schema import strict_schema

_PROBLEMS = 20  # more would only repeat themselves
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")


@lru_cache(maxsize=1)
def _handlers() -> Any:
    from instructor.v2 import Mode, Provider, mode_registry

    return mode_registry.get_handlers(Provider.OPENAI, Mode.JSON_SCHEMA)


_schemas: WeakKeyDictionary[type[BaseModel], OutputSchema] = WeakKeyDictionary()


async def output_schema(model: type[BaseModel]) -> OutputSchema:
    """The schema of an answer that must fit ``model``, strict where the model allows it.

    Written once for each model, in a worker thread: instructor takes a second to load, and the
    schema of a large model some milliseconds.
    """
    schema = _schemas.get(model)
    if schema is None:
        schema = _schemas[model] = await asyncio.to_thread(_write_schema, model)
    return schema


async def schema_for(call: Call, left_out: Sequence[str]) -> OutputSchema | None:
    """The schema of a call's answer; told in words where the model cannot be held to it."""
    if call.output_type is None:
        return None
    schema = await output_schema(call.output_type)
    return replace(schema, enforced=False) if JSON_SCHEMA in left_out else schema


def _write_schema(model: type[BaseModel]) -> OutputSchema:
    _, wire = _handlers().request_handler(model, {"messages": []})
    written: JsonObject = wire["response_format"]["json_schema"]
    strict = strict_schema(written["schema"])
    return OutputSchema(
        name=_NOT_IN_A_NAME.sub("_", written["name"])[:64],
        schema=written["schema"] if strict is None else strict,
        strict=strict is not None,
    )


def parsed(model: type[BaseModel], reply: Reply) -> BaseModel:
    """The answer as an instance of ``model``.

    Raises `LLMValidationError` with pydantic's errors; validators of the model's author may raise
    anything, and that means the same thing: the answer does not fit.
    """
    message = SimpleNamespace(content=reply.text)
    completion = SimpleNamespace(
        choices=[SimpleNamespace(message=message, finish_reason=reply.finish_reason)]
    )
    try:
        instance: BaseModel = _handlers().response_parser(response=completion, response_model=model)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        raise _misfit(model, reply, [dict(entry) for entry in details]) from None
    except Exception as error:
        problem = {"loc": (), "type": type(error).__name__, "msg": str(error)}
        raise _misfit(model, reply, [problem]) from error
    instance.__dict__.pop("_raw_response", None)  # instructor leaves its completion there
    return instance


def _misfit(model: type[BaseModel], reply: Reply, errors: list[JsonObject]) -> LLMValidationError:
    lines = [f"- {_place(entry['loc'])}: {entry['msg']}" for entry in errors[:_PROBLEMS]]
    return LLMValidationError(
        f"the answer does not fit {model.__name__}:\n" + "\n".join(lines),
        errors=errors,
        last_text=reply.text,
        usage=reply.usage,
        provider_request_id=reply.provider_request_id,
        status_code=reply.http_status,
    )


def _place(location: Any) -> str:
    return ".".join(str(part) for part in location) or "the answer"


async def partial_reader(model: type[BaseModel]) -> Callable[[str], BaseModel | None]:
    """Reads an answer that is not complete: the object with what is known, or ``None``.

    Validators may raise anything: they see fields of which nothing is known yet.
    """
    partial = await asyncio.to_thread(_partial_model, model)

    def read(text: str) -> BaseModel | None:
        try:
            known = from_json(text, allow_partial="trailing-strings")
            return partial.model_validate(known)
        except Exception:  # noqa: BLE001 - see above
            return None

    return read


def _partial_model(model: type[BaseModel]) -> type[BaseModel]:
    from instructor import Partial

    made: Any = Partial[model]
    partial: type[BaseModel] = made.get_partial_model()
    return partial
