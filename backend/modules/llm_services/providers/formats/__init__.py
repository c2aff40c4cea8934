"""Wire formats, without any SDK: a call becomes a JSON body, a JSON body becomes a reply.

Several vendors speak the same format, so formats are named after themselves, not after a vendor.
"""

from .base import WireFormat
from .chat import CHAT
from .responses import RESPONSES

FORMATS: dict[str, WireFormat] = {"responses": RESPONSES, "chat": CHAT}

__all__ = ["CHAT", "FORMATS", "RESPONSES", "WireFormat"]
