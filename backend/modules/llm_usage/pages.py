"""Pages out of templates: everything is escaped, and only the package's own scripts run."""

import json
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi import HTTPException, Request, status
from fastapi.responses import HTMLResponse

from . import formats
from .assets import assets
from .windows import CHOICES

if TYPE_CHECKING:
    from jinja2 import Environment

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Log content is hostile: even if a page's escaping failed, no script of a prompt would run."""
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PRIVATE = {"Cache-Control": "no-store", "Vary": "HX-Request"}


def page(request: Request, template: str, status_code: int = 200, **shown: Any) -> HTMLResponse:
    """A page of the browser's, or the part of it that a script asks for."""
    links = Links(request)
    text = _environment().get_template(template).render(links=links, query=links.query, **shown)
    # A text of the ledger may hold half a surrogate pair, which UTF-8 has no bytes for.
    body = text.encode("utf-8", "replace")
    return HTMLResponse(body, status_code, headers={**HEADERS, **_PRIVATE})


def is_part(request: Request) -> bool:
    """Whether a script asks for a part of a page; who comes back to a page needs all of it."""
    headers = request.headers
    return "HX-Request" in headers and "HX-History-Restore-Request" not in headers


class Links:
    """Addresses as they are seen from outside: below whatever path the application is mounted."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.query = defaultdict(str, request.query_params)

    def to(self, page_name: str, **values: str) -> str:
        """A page's path."""
        return str(self._request.url_for(f"llm_usage_{page_name}", **values).path)

    def asset(self, name: str) -> str:
        """A file's path; it changes with the file, which may therefore be kept for ever."""
        return f"{self.to('static', name=name)}?v={assets()[name].version}"

    def with_query(self, page_name: str, query: Mapping[str, object], **values: str) -> str:
        """A page's path with a query."""
        said = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{self.to(page_name, **values)}?{urlencode(said)}"


@cache
def _environment() -> "Environment":
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise HTTPException(
            status.HTTP_503_SERVICE_UNAVAILABLE,
            "The usage page needs Jinja2: pip install 'llm-services[usage]'",
        ) from None
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("money", "number", "compact", "duration", "moment", "visible")
    environment.filters.update({name: getattr(formats, name) for name in names})
    environment.filters["data"] = json.dumps
    environment.globals.update(percent=formats.percent, change=formats.change, choices=CHOICES)
    return environment
