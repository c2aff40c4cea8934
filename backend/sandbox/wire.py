"""What travels between the parts of the sandbox: JSON, replies, errors in OpenAI's shape."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sandbox.tokens import Usage

Json: TypeAlias = dict[str, Any]
"""One JSON object as parsed; the readers below check what they take out of it."""


class ApiError(Exception):
    """An error reply. `body()` is `{"error": {message, type, param, code}}`, as OpenAI sends it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.param, self.kind, self.headers = param, kind, dict(headers or {})

    def body(self) -> Json:
        """The JSON body of the reply."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A finished answer: a JSON object, raw bytes, or the server-sent events of a stream."""

    content: Json | bytes | None = None
    events: tuple[str, ...] | None = None
    media_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    outcome: str = "completed"
    tokens: Usage | None = None
    """What the journal says was spent; None where nothing was answered."""


def new_id(prefix: str) -> str:
    """A unique id that says where it comes from: `resp_sandbox_…`."""
    return f"{prefix}_sandbox_{uuid.uuid4().hex[:24]}"


def now() -> int:
    """Unix time in whole seconds, as `created` and `created_at` carry it."""
    return int(time.time())


def dumps(value: object) -> str:
    """Compact JSON; text stays readable, so that token counts see words and not escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def text_of(content: object) -> str:
    """The text of a message's content: a string, or a list of parts, of which images say none."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (p.get("text") or p.get("refusal") for p in content if isinstance(p, dict))
    return "\n".join(p for p in parts if isinstance(p, str))
