"""The routes: which path is answered by which handler."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.audio import speak, transcribe
from sandbox.chat_api import complete
from sandbox.claude_api import create_message
from sandbox.claude_errors import ANTHROPIC
from sandbox.costs import Costs
from sandbox.dialects import AZURE
from sandbox.embeddings import embed
from sandbox.endpoint import Handler, State, endpoint
from sandbox.faults import Fault
from sandbox.gemini_api import serve as gemini
from sandbox.gemini_errors import GOOGLE
from sandbox.images import edit, generate
from sandbox.listing import list_models, one_model
from sandbox.responses_api import count_input, respond
from sandbox.wire import ApiError, Json, Reply

_POST: dict[str, Handler] = {
    "/v1/responses": respond,
    "/v1/responses/input_tokens": count_input,
    "/v1/chat/completions": complete,
    "/v1/embeddings": embed,
    "/v1/images/generations": generate,
    "/v1/images/edits": edit,
    "/v1/audio/speech": speak,
    "/v1/audio/transcriptions": transcribe,
}


def _of_deployment(handler: Handler) -> Handler:
    """The same where the path names the model."""

    def answer(body: Json, fault: Fault) -> Reply:
        return handler({name: body[name] for name in body if name != "deployment"}, fault)

    return answer


_CLASSIC = {  # Azure's deployments, by the end of their path
    f"/openai/deployments/{{deployment}}{path.removeprefix('/v1')}": _of_deployment(handler)
    for path, handler in _POST.items()
    if "responses" not in path
}
_GET: dict[str, Handler] = {"/v1/models": list_models, "/v1/models/{model:path}": one_model}
_IN_BATCHES = ("/v1/responses", "/v1/chat/completions", "/v1/embeddings")
_GOOGLE = ("/v1beta/models/{call:path}", "/v1/models/{call:path}")
_EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_MARK = {"x-sandbox": "true"}


def create_app(state: State) -> Starlette:
    """The ASGI application over a server's state."""

    files, batches = state.batches.files, state.batches
    posts = {
        **_POST,
        "/v1/files": files.upload,
        "/v1/batches": batches.creator({path: _POST[path] for path in _IN_BATCHES}),
    }
    gets = {
        **_GET,
        "/v1/files/{file_id}": files.describe,
        "/v1/files/{file_id}/content": files.download,
        "/v1/batches/{batch_id}": batches.describe,
        "/v1/organization/costs": Costs(state.journal).describe,
    }

    async def journal(request: Request) -> Response:
        if request.method == "DELETE":
            state.reset()
        return JSONResponse(state.journal.as_json(), headers=_MARK)

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "sandbox": True}, headers=_MARK)

    return Starlette(
        routes=[
            *(Route(path, endpoint(h, state), methods=["POST"]) for path, h in posts.items()),
            *(Route(path, endpoint(h, state), methods=["GET"]) for path, h in gets.items()),
            *(Route(p, endpoint(h, state, AZURE), methods=["POST"]) for p, h in _CLASSIC.items()),
            Route("/v1/messages", endpoint(create_message, state, ANTHROPIC), methods=["POST"]),
            *(Route(path, endpoint(gemini, state, GOOGLE), methods=["POST"]) for path in _GOOGLE),
            Route("/sandbox/journal", journal, methods=["GET", "DELETE"]),
            Route("/sandbox/health", health),
            Route("/{path:path}", endpoint(_unknown_url, state), methods=_EVERY_METHOD),
        ],
    )


def _unknown_url(_body: Json, _fault: Fault) -> Reply:
    raise ApiError(404, "Invalid URL: the sandbox has no such endpoint.", code="unknown_url")
