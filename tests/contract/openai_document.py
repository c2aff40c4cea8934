"""What OpenAI's own document says of a request: the part of it that ``extract`` cut out."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from .extract import REQUESTS

NEWER_THAN_THE_DOCUMENT: Mapping[str, Mapping[str, str]] = {}
"""By path: top-level properties that the API takes and the document does not know yet, and where
that is said. Empty it when the document is renewed.
"""


@lru_cache(maxsize=1)
def document() -> Mapping[str, Any]:
    """The document's part, as it is kept."""
    loaded: Mapping[str, Any] = json.loads(REQUESTS.read_text())
    return loaded


@lru_cache
def _validator(path: str, media_type: str) -> Draft202012Validator:
    schema = {"$defs": document()["$defs"], "$ref": document()["paths"][path][media_type]}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def problems(path: str, media_type: str, body: Mapping[str, Any]) -> list[str]:
    """What the document would find wrong with a body, each with its place; nothing when right."""
    if media_type not in document()["paths"].get(path, {}):
        return [f"{path} takes no {media_type}"]
    newer = NEWER_THAN_THE_DOCUMENT.get(path, {})
    known = {name: value for name, value in body.items() if name not in newer}
    return [_told(error) for error in _validator(path, media_type).iter_errors(known)]


def _told(error: ValidationError) -> str:
    """The deepest of the errors that made an alternative fail: the one to be mended."""
    cause = best_match([error]) or error
    return f"{cause.json_path}: {cause.message[:300]}"


def form_values(path: str, form: Mapping[str, Any]) -> dict[str, Any]:
    """A form's fields as the document's types: a form says everything as text, files as bytes."""
    schema = _validator(path, "multipart/form-data")
    return {name: _typed(schema, name, value) for name, value in form.items()}


def _typed(validator: Draft202012Validator, name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, list):
        return [_typed(validator, name, item) for item in value]
    wrong = {error.path[0] for error in validator.iter_errors({name: value}) if error.path}
    return _unquoted(value) if name in wrong else value


def _unquoted(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
