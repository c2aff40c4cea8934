"""Every argument of a caller, checked before anything is sent, written or paid."""

from .basics import MAX_COUNT, Check, day, in_order, number, one_of, text, uuid, whole
from .batch import MAX_REQUESTS, batch_id, batch_parameters, batch_requests, response_models
from .images import (
    IMAGE_EDIT_OPTIONS,
    IMAGE_OPTIONS,
    ImageWish,
    given_images,
    image_parameters,
    image_prompt,
    pictures,
)
from .messages import MAX_CHARACTERS, MAX_MESSAGES, messages
from .options import MAX_CONTEXT_BYTES, OPTIONS, max_tokens, options, temperature, timeout
from .output import response_model
from .tools import (
    check_choice,
    check_runnable,
    max_cost,
    max_rounds,
    on_tool_error,
    tool_specs,
    tools,
)

__all__ = [
    "IMAGE_EDIT_OPTIONS",
    "IMAGE_OPTIONS",
    "MAX_CHARACTERS",
    "MAX_CONTEXT_BYTES",
    "MAX_COUNT",
    "MAX_MESSAGES",
    "MAX_REQUESTS",
    "OPTIONS",
    "Check",
    "ImageWish",
    "batch_id",
    "batch_parameters",
    "batch_requests",
    "check_choice",
    "check_runnable",
    "day",
    "given_images",
    "image_parameters",
    "image_prompt",
    "in_order",
    "max_cost",
    "max_rounds",
    "max_tokens",
    "messages",
    "number",
    "on_tool_error",
    "one_of",
    "options",
    "pictures",
    "response_model",
    "response_models",
    "temperature",
    "text",
    "timeout",
    "tool_specs",
    "tools",
    "uuid",
    "whole",
]
