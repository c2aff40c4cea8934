"""How vendors differ around their formats: where the key is, where the model is named, and what
an error looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.wire import ApiError, Json


def bearer(headers: Mapping[str, str], path: str = "") -> None:
    """Raise 401 without a bearer key, or with one that contains `invalid`; 403 for one without
    `admin` where only the organization's owner may look.
    """
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise ApiError(401, "You didn't provide an API key.", code=None)
    if "invalid" in key:
        raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")
    if path.startswith("/v1/organization/") and "admin" not in key:
        raise ApiError(403, "You have insufficient permissions: an admin key is needed.")


def _status(error: ApiError) -> int:
    return error.status


def _the_same(headers: Mapping[str, str]) -> Mapping[str, str]:
    return headers


def _as_it_is(body: Json, _path: Mapping[str, str]) -> Json:
    return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One vendor's ways; by default OpenAI's.

    ``check_key`` gets headers and path; ``named`` brings what a path names into the body.
    """

    check_key: Callable[[Mapping[str, str], str], None] = bearer
    named: Callable[[Json, Mapping[str, str]], Json] = _as_it_is
    error_body: Callable[[ApiError], Json] = ApiError.body
    error_status: Callable[[ApiError], int] = _status
    headers: Callable[[Mapping[str, str]], Mapping[str, str]] = _the_same


def _api_key(headers: Mapping[str, str], path: str = "") -> None:
    """Azure's classic API: a token, or a key in a header of its own."""
    key = headers.get("api-key")
    bearer({"authorization": f"bearer {key}"} if key else headers, path)


OPENAI = Dialect()
AZURE = Dialect(check_key=_api_key)
