"""The composition root of the backend: it knows every module, and no module knows it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

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
    LLMError,
    llm_error_handler,
    llm_problem,
    llm_services_lifespan,
)
from modules.llm_usage.public import create_usage_router
from modules.shared.problems import problem_response

_TOPIC_STATUS: Mapping[type[ContentCreationError], int] = {
    TopicNotFoundError: 404,
    TopicBusyError: 409,
    ContentCreationError: 500,
}
_LONGEST_FIELD = 200  # a client may call a field anything


def create_app() -> FastAPI:
    """The application: modules started and closed, routers included, errors turned to problems."""
    app = FastAPI(title="Lessons", version="0.1.0", lifespan=_lifespan)
    app.include_router(content_creation_router)
    app.include_router(create_usage_router())  # no guard: for browsers on this machine
    app.add_api_route("/health", _health, tags=["health"])
    app.add_exception_handler(LLMError, llm_error_handler)
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


def _on_topic_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ContentCreationError)  # noqa: S101 - Starlette types handlers alike
    topic_id = str(error.topic_id)
    if isinstance(error, OutlineFailedError) and isinstance(error.__cause__, LLMError):
        return llm_problem(error.__cause__, topic_id=topic_id)
    status = next(code for cls, code in _TOPIC_STATUS.items() if isinstance(error, cls))
    return problem_response(status, detail=error.safe_message, topic_id=topic_id)


def _on_invalid_request(_request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong and where, but never echo what was sent: a source can be very long."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    faults = [
        {"field": _field(fault["loc"]), "message": _plain(fault["msg"])} for fault in error.errors()
    ]
    detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
    return problem_response(422, detail=detail, errors=faults)


def _on_http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    return problem_response(error.status_code, detail=error.detail, headers=error.headers)


def _field(location: Sequence[object]) -> str:
    return ".".join(map(str, location))[:_LONGEST_FIELD]


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


app = create_app()
