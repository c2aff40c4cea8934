"""Bodies on their way out: JSON at once or in pieces, or a form."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast
from urllib.parse import quote

from pydantic_core import to_json

from modules.llm_services.bulk import LARGE, json_pieces, sent_singly, weight
from modules.llm_services.types import JsonObject

from .formats import WireFormat
from .formats.base import BinaryFormat, Request
from .formats.images import File

Pieces: TypeAlias = Sequence[bytes]
_NOTHING_ELSE: Mapping[str, Any] = {}


async def written(
    wire: WireFormat | BinaryFormat, request: Request, asks: Mapping[str, Any] = _NOTHING_ELSE
) -> Pieces:
    """The body as it is sent. Pictures take a while to write: that happens in a thread."""
    if weight(request.call.messages) < LARGE:
        return [to_json({**wire.body(request), **asks})]
    return await asyncio.to_thread(lambda: json_pieces({**wire.body(request), **asks}))


def payload(
    body: Pieces | JsonObject, files: Sequence[File] | None
) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """The body as the SDK's client takes it, and the headers that go with it."""
    if files:
        return {"body": body, "files": files}, {"Content-Type": "multipart/form-data"}
    pieces = cast("Pieces", body)
    if len(pieces) == 1:
        return {"content": pieces[0]}, {}
    length = sum(map(len, pieces))
    return {"content": sent_singly(pieces)}, {"Content-Length": str(length)}


def json_of(text: str) -> object:
    """What a text says as JSON, or ``None``."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_OF_DEPLOYMENTS = frozenset(
    {
        *("/chat/completions", "/embeddings", "/images/generations", "/images/edits"),
        *("/audio/speech", "/audio/transcriptions"),
    }
)


def deployed(path: str, model: str) -> str:
    """The path of a classic deployment of Azure's; other endpoints have none of their own."""
    return f"/deployments/{quote(model, safe='')}{path}" if path in _OF_DEPLOYMENTS else path
