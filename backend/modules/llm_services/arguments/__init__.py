"""Every argument of a caller, checked before anything is sent, written or paid."""

from .basics import MAX_COUNT, Check, number, one_of, text, uuid, whole
from .messages import MAX_CHARACTERS, MAX_MESSAGES, messages
from .options import MAX_CONTEXT_BYTES, OPTIONS, max_tokens, options, temperature, timeout
from .output import response_model

__all__ = [
    "MAX_CHARACTERS",
    "MAX_CONTEXT_BYTES",
    "MAX_COUNT",
    "MAX_MESSAGES",
    "OPTIONS",
    "Check",
    "max_tokens",
    "messages",
    "number",
    "one_of",
    "options",
    "response_model",
    "temperature",
    "text",
    "timeout",
    "uuid",
    "whole",
]
