"""Attribution in web applications: what a request says of itself reaches the rows of its calls."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import Depends
from fastapi.requests import HTTPConnection

from .attribution import attribution, trace_ids
from .types import AttributionValues


class AttributionMiddleware:
    """Everything that a request brings about, streams included, is attributed as ``read`` says.

    ``app.add_middleware(AttributionMiddleware, read=lambda request: {"tenant": …})``. Without
    ``read`` it only takes over the trace of the header ``traceparent``. An error of ``read`` is
    the server's (500), for the application's handlers stand inside: what users may get wrong
    belongs in `attribute_requests`.
    """

    def __init__(
        self, app: Any, read: Callable[[HTTPConnection], AttributionValues] | None = None
    ) -> None:
        self._app = app
        self._read = read

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request (ASGI 3)."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        said = self._read(connection) if self._read else AttributionValues()
        with attribution(**_traced(connection, said)):
            await self._app(scope, receive, send)


def attribute_requests(
    read: Callable[..., AttributionValues],
) -> Callable[..., AsyncIterator[None]]:
    """A dependency that attributes the calls of a request as ``read`` says.

    ``read`` is a dependency itself and may ask for others, such as the signed-in user:
    ``APIRouter(dependencies=[Depends(attribute_requests(read))])``. An `LLMInputError` reaches the
    application's handlers like one of the endpoint.
    """

    # Asynchronous on purpose: a plain generator runs in a worker thread, in a context of its own,
    # and the endpoint would see nothing of what it sets.
    async def attribute(
        connection: HTTPConnection, said: AttributionValues = Depends(read)
    ) -> AsyncIterator[None]:
        with attribution(**_traced(connection, said)):
            yield

    return attribute


def _traced(connection: HTTPConnection, said: AttributionValues) -> AttributionValues:
    """A header that makes no sense is left alone, as the W3C's Trace Context asks."""
    header = connection.headers.get("traceparent", "")
    if "traceparent" in said or not trace_ids(header):
        return said
    return {**said, "traceparent": header}
