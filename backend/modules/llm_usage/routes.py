"""The pages over HTTP: read-only, behind the application's guard, or for this machine alone."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from modules.llm_services.public import (
    LLMInputError,
    LLMServicesAdminProvider,
    llm_services_admin_provider,
)

from . import filters, request_view
from .access import loopback_only
from .assets import assets
from .exceptions import PageError, PageNotFoundError
from .pages import HEADERS, is_part, page
from .service import UsagePages
from .windows import window_of

PANELS = ("savings", "users", "latency", "errors")


def create_usage_router(
    guard: Callable[..., Any] | None = None, *, prefix: str = "/llm-usage"
) -> APIRouter:
    """The usage page, to be included in an application: ``app.include_router(...)``.

    Args:
        guard: a dependency of the application's that raises (401, 403) for whoever may not look;
            it guards every page and file. The pages show everybody's prompts and answers. Without
            it they answer browsers on this machine only, and everybody else with 403; what comes
            through a proxy is refused too.
        prefix: the path of the first page.

    The pages read through the application's ``get_session``. They need Jinja2
    (``pip install 'llm-services[usage]'``).

    """
    router = APIRouter(
        prefix=prefix,
        dependencies=[Depends(guard or loopback_only)],
        include_in_schema=False,
        route_class=_Page,
        default_response_class=HTMLResponse,
    )
    router.add_api_route("", _overview, name="llm_usage_overview")
    router.add_api_route("/panels/{name}", _panel, name="llm_usage_panel")
    router.add_api_route("/requests", _requests, name="llm_usage_requests")
    router.add_api_route("/requests/{request_id}", _request, name="llm_usage_request")
    router.add_api_route("/requests/{request_id}/download", _download, name="llm_usage_download")
    router.add_api_route("/static/{name}", _static, name="llm_usage_static")
    return router


class _Page(APIRoute):
    """A route whose errors about what was asked for are pages, too."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                return await handle(request)
            except PageError as error:
                return page(request, "error.html", error.status, message=str(error))
            except LLMInputError as error:
                return page(request, "error.html", 400, message=str(error))

        return shown


def _pages(
    admin: Annotated[LLMServicesAdminProvider, Depends(llm_services_admin_provider)],
) -> UsagePages:
    return UsagePages(admin)


Pages = Annotated[UsagePages, Depends(_pages)]


def _overview(request: Request, pages: Pages) -> HTMLResponse:
    window = window_of(request.query_params)
    return page(request, "overview.html", window=window, shown=pages.overview(window))


def _panel(request: Request, pages: Pages, name: str) -> HTMLResponse:
    if name not in PANELS:
        raise PageNotFoundError("There is no such page.")
    window = window_of(request.query_params)
    found = getattr(pages, name)(window)
    template = f"_{name}.html" if is_part(request) else "panel.html"
    return page(request, template, window=window, name=name, found=found)


def _requests(request: Request, pages: Pages) -> HTMLResponse:
    wanted = filters.filter_of(request.query_params)
    found = pages.requests(wanted, request.query_params.get("after"))
    if is_part(request):
        return page(request, "_requests.html", found=found)
    more = filters.asks_for_more(request.query_params)
    return page(request, "requests.html", found=found, statuses=filters.STATUSES, more_filters=more)


def _request(request: Request, pages: Pages, request_id: str) -> HTMLResponse:
    row = pages.request(_id(request_id))
    return page(request, "request.html", row=row, thread=pages.thread(row), view=request_view)


def _download(pages: Pages, request_id: str) -> Response:
    row = pages.request(_id(request_id))
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{row.id}.json"'}
    body = request_view.as_json(row.model_dump()).encode("utf-8", "replace")
    return Response(
        body, media_type="application/json", headers={**headers, "Cache-Control": "no-store"}
    )


def _static(name: str) -> Response:
    found = assets().get(name)
    if found is None:
        raise PageNotFoundError("There is no such file.")
    headers = {**HEADERS, "Cache-Control": "private, max-age=31536000, immutable"}
    return Response(found.data, media_type=found.media_type, headers=headers)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise PageNotFoundError("There is no such request.") from None
