"""Reasoning items of the Responses API: sealed on the way out, checked on the way back."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from itertools import pairwise

from sandbox.models import row
from sandbox.wire import ApiError, Json, new_id

SEALED = "reasoning.encrypted_content"
_SECRET = b"the sandbox's own"
_BEGINNING = "gAAAAA"


def check_include(body: Json) -> None:
    """Raise 400 for a model that hands out no reasoning; OpenAI gives that error no code."""
    model = str(body.get("model", ""))
    if wanted(body) and (not row(model).efforts or "-chat" in model):
        raise ApiError(400, "Encrypted content is not supported with this model.", param="include")


def wanted(body: Json) -> bool:
    """Whether reasoning shall come sealed."""
    return SEALED in (body.get("include") or [])


def item(body: Json, follower: Json) -> Json:
    """A reasoning item that leads to ``follower``."""
    key = new_id("rs")
    made: Json = {"id": key, "type": "reasoning", "summary": [], "status": None}
    if wanted(body):
        made["encrypted_content"] = _seal(key, str(body.get("model", "")), _name(follower))
    return made


def check_items(body: Json, items: Sequence[Json]) -> None:
    """Raise 400 for reasoning that is not the sandbox's own, or not where it belongs."""
    follower: Json | None
    for given, follower in pairwise([*items, None]):
        if given is not None and given.get("type") == "reasoning":
            _check(body, given, follower)


def _check(body: Json, given: Json, follower: Json | None) -> None:
    key, sealed = str(given.get("id")), given.get("encrypted_content")
    if not sealed:
        raise ApiError(
            404,
            f"Item with id '{key}' not found. Items are not persisted when `store` is set to false."
            " Try again with `store` set to true, or remove this item from your input.",
            param="input",
        )
    if follower is None or _name(follower) == "":
        raise ApiError(
            400,
            f"Item '{key}' of type 'reasoning' was provided without its required following item.",
            param="input",
        )
    if not hmac.compare_digest(sealed, _seal(key, str(body.get("model", "")), _name(follower))):
        raise ApiError(
            400,
            f"The encrypted content {sealed[:4]}...{sealed[-4:]} could not be verified.",
            code="invalid_encrypted_content",
        )


def _name(follower: Json) -> str:
    """What an item is called here: a call by its id, the assistant's words; the user's are none."""
    if follower.get("type") == "function_call":
        return str(follower.get("call_id"))
    return "message" if follower.get("role") == "assistant" else ""


def _seal(key: str, model: str, follower: str) -> str:
    said = f"{key}|{model}|{follower}".encode()
    return _BEGINNING + hmac.new(_SECRET, said, hashlib.sha256).hexdigest() * 4


def led_to(body: Json, items: Iterable[Json]) -> Iterable[Json]:
    """The items of an answer with the reasoning before the first of them."""
    made = list(items)
    return [item(body, made[0]), *made] if made else made
