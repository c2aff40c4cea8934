"""What becomes of the errors of vendors' SDKs, and of the HTTP client below them."""

from typing import Any

import httpx2

from modules.llm_services.exceptions import LLMError, LLMTimeoutError

from .key_mask import KeyMask
from .response_guard import KEY_HEADERS, broken, unconnected

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


def unanswered(cause: BaseException | None, host: str, *, late: bool = False) -> LLMError:
    """The error of a request that got no answer; only what surely was not sent is surely not paid
    for. ``late`` when its time was up.
    """
    if isinstance(cause, _NEVER_SENT):
        return unconnected(host, cause)
    if late:
        return LLMTimeoutError(f"no answer from {host} in time", maybe_billed=True)
    return broken(cause) if isinstance(cause, httpx2.HTTPError) else unconnected(host, cause)


def without_key(error: Any, mask: KeyMask) -> Exception:
    """An SDK's error holds the request, and that the key, and quotes what the provider said: as
    the cause of ours it is shown in tracebacks.
    """
    for name in KEY_HEADERS:
        error.request.headers.pop(name, None)
    error.body = None
    mask.error(error)
    shown: Exception = error
    return shown
