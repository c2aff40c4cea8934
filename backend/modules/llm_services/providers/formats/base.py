"""What a wire format does, and the checks that every format shares."""

import json
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modules.llm_services.bulk import parsed_json
from modules.llm_services.exceptions import LLMBadResponseError
from modules.llm_services.providers.base import Correction, Reply
from modules.llm_services.providers.quirks import NO_QUIRKS, Quirks
from modules.llm_services.types import Call, JsonObject

COUNT_LIMIT = 2**31 - 1
Count = Annotated[int, Field(ge=0, le=COUNT_LIMIT, strict=True)]

_MEND = "Mend this and answer again, with the JSON only."


class Wire(BaseModel):
    """Base of the parts of replies that we read; what we do not know is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


def build_shapes() -> None:
    """Build what checks replies, of all formats that are loaded: some 50 ms of work, which neither
    an import nor a call's first answer should wait for.
    """
    for shape in Wire.__subclasses__():
        shape.model_rebuild()


W = TypeVar("W", bound=Wire)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSchema:
    """The JSON schema of a structured answer, ready to be sent. One that is not ``enforced`` is
    told in words, for a vendor that holds answers to nothing but JSON.
    """

    name: str
    schema: JsonObject
    strict: bool
    enforced: bool = True

    def in_words(self) -> str:
        """What a model is told that is not held to the schema."""
        schema = json.dumps(self.schema, ensure_ascii=False, separators=(",", ":"))
        return f"Answer with a JSON object, and nothing else, that fits this JSON schema:\n{schema}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a format needs to write a body."""

    call: Call
    parameters: Mapping[str, Any]
    schema: OutputSchema | None = None
    correction: Correction | None = None
    quirks: Quirks = NO_QUIRKS

    @property
    def told_schema(self) -> str | None:
        """The schema in words, when it is not enforced."""
        return self.schema.in_words() if self.schema and not self.schema.enforced else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFormat:
    """One way to talk to a model. ``only`` names parameters that no other format can carry,
    ``least_tokens`` is the lowest cap that OpenAI's document allows, ``fetches_documents`` whether
    a document may be an address; what only ``looks`` is a GET without a body.
    """

    path: str
    body: Callable[[Request], JsonObject]
    reply: Callable[[JsonObject], Reply]
    only: Set[str] = frozenset()
    least_tokens: int = 1
    fetches_documents: bool = True
    looks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryFormat:
    """A request in JSON whose answer is bytes, at most ``limit`` of them; ``reply`` reads them
    and their media type.
    """

    path: str
    body: Callable[[Request], JsonObject]
    reply: Callable[[bytes, str], Reply]
    limit: int


def decode(body: bytes, what: str = "answer") -> JsonObject:
    """The JSON object of a success reply. Raises `LLMBadResponseError` for anything else."""
    try:
        value = _loads(body)
    except (ValueError, RecursionError) as error:
        raise LLMBadResponseError(
            f"the provider's {what} is not JSON", maybe_billed=True, response_body=_excerpt(body)
        ) from error
    if not isinstance(value, dict):
        raise LLMBadResponseError(
            f"the provider's {what} is a JSON {type(value).__name__}, not an object",
            maybe_billed=True,
            response_body=_excerpt(body),
        )
    return value


def _loads(body: bytes) -> object:
    """JSON, also with escaped lone surrogates, which the fast parser refuses."""
    try:
        return parsed_json(body)
    except ValueError:
        if b"\\ud" not in body.lower():
            raise
        return json.loads(body, parse_constant=_refuse)


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def read(shape: type[W], value: JsonObject) -> W:
    """The parts that we need, checked. Raises `LLMBadResponseError` naming what is wrong."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise LLMBadResponseError(
            f"the provider's answer has an unexpected shape at {where!r}: {first['msg']}",
            maybe_billed=True,
            response_body=_excerpt(json.dumps(value, separators=(",", ":")).encode()),
        ) from None


def corrected(messages: list[JsonObject], correction: Correction | None) -> list[JsonObject]:
    """The conversation so far and what to do better, when the last answer did not fit."""
    return [*messages, *corrections(correction)]


def corrections(correction: Correction | None) -> list[JsonObject]:
    """The last answer and what to do better, as messages."""
    if correction is None:
        return []
    return [
        {"role": "assistant", "content": correction.text},
        {"role": "user", "content": f"{correction.problem}\n{_MEND}"},
    ]


def _excerpt(body: bytes) -> str:
    return body[:2_000].decode("utf-8", "replace")
