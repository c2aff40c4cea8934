"""Errors over HTTP, as RFC 9457 writes them: what every module's problems have in common."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse


class _ProblemResponse(JSONResponse):
    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        """JSON in UTF-8 whatever it holds: a client may have sent half a surrogate pair."""
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def problem_response(
    status: int,
    *,
    detail: str,
    type_: str = "about:blank",
    title: str | None = None,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> JSONResponse:
    """A problem: ``detail`` is shown to people, ``members`` are its extensions.

    ``title`` is the status's own phrase unless the ``type_`` of problem has one.
    """
    body = {"type": type_, "title": title or HTTPStatus(status).phrase, "status": status}
    return _ProblemResponse({**body, "detail": detail, **members}, status, headers)
