"""Who may look when the application has no dependency of its own: this machine, and nobody else."""

from ipaddress import ip_address

from fastapi import HTTPException, Request, status

_SIGNS_OF_A_PROXY = (
    *("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
    *("x-forwarded-server", "x-forwarded-port", "x-real-ip", "x-client-ip", "true-client-ip"),
    *("cf-connecting-ip", "x-envoy-external-address", "x-original-forwarded-for"),
)
_REFUSAL = (
    "The usage page has no guard, so it answers browsers on this machine only. "
    "Give it one: create_usage_router(guard=...)."
)


def loopback_only(request: Request) -> None:
    """Let through what came from this machine directly; a dependency of FastAPI.

    An address says little: behind a proxy everybody comes from this machine, and servers that
    trust the proxy take the address from ``X-Forwarded-For``, which anybody can send. So any sign
    of a proxy refuses. ``Host`` has to be a name of this machine as well: a page elsewhere whose
    name was made to point here (DNS rebinding) sends its own. A proxy on this machine that
    rewrites ``Host`` and adds nothing can't be told from a browser: such an application needs a
    guard.

    Raises:
        HTTPException: 403.

    """
    peer = request.client.host if request.client else ""
    forwarded = any(name in request.headers for name in _SIGNS_OF_A_PROXY)
    if forwarded or not (_is_loopback(peer) and _is_loopback(request.url.hostname or "")):
        raise HTTPException(status.HTTP_403_FORBIDDEN, _REFUSAL)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
