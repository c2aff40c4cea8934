"""What makes two requests one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyClaim:
    """What a row holds of an idempotency key: hashes, so that neither the key nor the request can
    be read there. ``key`` covers the user and the tenant, ``request_hash`` all that is asked.
    """

    key: str
    request_hash: str
