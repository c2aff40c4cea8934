"""The composition root of the backend: it knows every module, and no module knows it."""

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from modules.content_creation.public import (
    ContentCreationError,
    OutlineFailedError,
    TopicBusyError,
    TopicNotFoundError,
)
from modules.content_creation.routes import router as content_creation_router
from modules.llm_services.public import (
    LLMAuthenticationError,
    LLMCircuitOpenError,
    LLMConfigurationError,
    LLMContextLengthError,
    LLMError,
    LLMInputError,
    LLMOverloadedError,
    LLMPricingError,
    LLMRateLimitError,
    LLMRecordingError,
    LLMTimeoutError,
    llm_services_lifespan,
)

_LLM_STATUS: Mapping[type[LLMError], int] = {
    LLMInputError: 422,
    LLMContextLengthError: 422,
    LLMRateLimitError: 429,
    LLMTimeoutError: 504,
    LLMRecordingError: 503,
    LLMCircuitOpenError: 503,
    LLMOverloadedError: 503,
    LLMAuthenticationError: 500,
    LLMConfigurationError: 500,
    LLMPricingError: 500,
    LLMError: 502,
}
"""The first class that fits decides. 500 is ours to repair, 502 the provider's."""

_TOPIC_STATUS: Mapping[type[ContentCreationError], int] = {
    TopicNotFoundError: 404,
    TopicBusyError: 409,
    ContentCreationError: 500,
}


def create_app() -> FastAPI:
    """The application: modules started and closed, routers included, errors turned to problems."""
    app = FastAPI(title="Lessons", version="0.1.0", lifespan=_lifespan)
    app.include_router(content_creation_router)
    app.add_api_route("/health", _health, tags=["health"])
    app.add_exception_handler(LLMError, _on_llm_error)
    app.add_exception_handler(ContentCreationError, _on_topic_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    return app


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with llm_services_lifespan():
        yield


async def _health() -> dict[str, str]:
    """The process answers. It says nothing about the providers, which are asked when needed."""
    return {"status": "ok"}


def _on_llm_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LLMError)  # noqa: S101 - Starlette types every handler alike
    return _llm_problem(error)


def _on_topic_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ContentCreationError)  # noqa: S101 - as above
    topic_id = str(error.topic_id)
    if isinstance(error, OutlineFailedError) and isinstance(error.__cause__, LLMError):
        return _llm_problem(error.__cause__, topic_id=topic_id)
    status = next(code for cls, code in _TOPIC_STATUS.items() if isinstance(error, cls))
    return _problem(status, detail=error.safe_message, topic_id=topic_id)


def _on_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong and where, but never echo what was sent: a source can be very long."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    faults = [
        {"field": ".".join(map(str, fault["loc"])), "message": _plain(fault["msg"])}
        for fault in error.errors()
    ]
    detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
    return _problem(422, detail=detail, errors=faults)


def _on_http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    return _problem(error.status_code, detail=error.detail, headers=error.headers)


def _llm_problem(error: LLMError, **members: Any) -> JSONResponse:
    status = next(code for cls, code in _LLM_STATUS.items() if isinstance(error, cls))
    wait = error.retry_after
    return _problem(
        status,
        type_=f"urn:problem-type:llm:{error.error_type}",
        title=_spaced(error.error_type),
        detail=error.safe_message,
        headers={"Retry-After": str(math.ceil(wait))} if wait is not None else None,
        request_id=str(error.request_id) if error.request_id else None,
        retryable=error.retryable,
        **members,
    )


def _problem(
    status: int,
    *,
    detail: str,
    type_: str = "about:blank",
    title: str | None = None,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> JSONResponse:
    """A problem as RFC 9457 writes it; ``members`` are its extensions."""
    return JSONResponse(
        {
            "type": type_,
            "title": title or HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            **members,
        },
        status,
        headers,
        media_type="application/problem+json",
    )


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


def _spaced(error_type: str) -> str:
    """``RateLimited`` reads ``Rate limited``."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in error_type)
    return spaced.strip().capitalize()


app = create_app()
