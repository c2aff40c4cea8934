"""What a model thought before it answered, as far as a vendor hands it out."""

import hashlib

from pydantic import Field

from .basic import JsonObject
from .frozen import Frozen


class ReasoningItem(Frozen):
    """A piece of a model's reasoning, sealed by its vendor: nobody else can read it.

    It goes back with the answer that it belongs to, so that the model does not think the same
    again after each tool; it is sent only to the ``provider`` and the ``model`` that it comes from.
    ``before`` is its place in the answer: 0 for the text, n for the n-th call of a tool. ``item``
    is what the vendor gave, unchanged; the ledger keeps its ``digest``.
    """

    provider: str
    model: str
    before: int = 0
    item: JsonObject = Field(repr=False)

    def readable_by(self, provider: str, model: str) -> bool:
        """Whether it comes from there."""
        return (self.provider, self.model) == (provider, model)

    @property
    def digest(self) -> JsonObject:
        """What may be kept of it: size and SHA-256 of the sealed content."""
        return digest_of(self.item)


_SEALED = ("encrypted_content", "signature", "data")
"""Where vendors put it: OpenAI, and Anthropic for thoughts that it shows and those it hides."""


def digest_of(item: JsonObject) -> JsonObject:
    """Size and SHA-256 of an item's sealed content."""
    found = next((str(item[name]) for name in _SEALED if item.get(name)), "")
    sealed = found.encode("utf-8", "replace")
    return {"omitted": True, "bytes": len(sealed), "sha256": hashlib.sha256(sealed).hexdigest()}
