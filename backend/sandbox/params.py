"""Which parameters an endpoint knows, and which a model takes: checked as OpenAI checks them."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.models import SAMPLING, Row, row
from sandbox.wire import ApiError, Json
from sandbox.words import listed

_SHARED = """metadata model moderation parallel_tool_calls prompt_cache_key prompt_cache_options
    prompt_cache_retention safety_identifier service_tier store stream stream_options temperature
    tool_choice tools top_logprobs top_p user"""
_IMAGES = """prompt background model n output_compression output_format partial_images quality
    response_format size user stream moderation"""

KNOWN: Mapping[str, frozenset[str]] = {
    "responses": listed(f"""{_SHARED} background context_management conversation include input
        instructions max_output_tokens max_tool_calls previous_response_id prompt reasoning
        text truncation"""),
    "chat": listed(f"""{_SHARED} messages audio frequency_penalty function_call functions logit_bias
        logprobs max_completion_tokens max_tokens modalities n prediction presence_penalty
        reasoning_effort response_format seed stop verbosity web_search_options"""),
    "input_tokens": listed("""conversation input instructions model parallel_tool_calls personality
        previous_response_id reasoning text tool_choice tools truncation"""),
    "embeddings": listed("input model dimensions encoding_format user"),
    "images": listed(_IMAGES),
    "edits": listed(f"{_IMAGES} image mask input_fidelity"),
    "speech": frozenset(
        ["input", "model", "voice", "instructions", "response_format", "speed", "stream_format"]
    ),
}

_NUMBERS: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "max_output_tokens": (1, 10_000_000),
    "max_completion_tokens": (1, 10_000_000),
    "max_tokens": (1, 10_000_000),
    "n": (1, 128),
}


def check_known(body: Json, endpoint: str) -> None:
    """Raise 400 `unknown_parameter` for a top-level name that the endpoint does not have."""
    for name in body:
        if name not in KNOWN[endpoint]:
            raise ApiError(
                400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter"
            )


def check_required(body: Json, *names: str) -> None:
    """Raise 400 `missing_required_parameter`."""
    for name in names:
        if body.get(name) in (None, "", []):
            raise ApiError(
                400,
                f"Missing required parameter: '{name}'.",
                param=name,
                code="missing_required_parameter",
            )


def check_numbers(body: Json) -> None:
    """Raise 400 for a number of the wrong type or outside its range."""
    for name, (low, high) in _NUMBERS.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            message = f"Invalid type for '{name}': expected a number."
            raise ApiError(400, message, param=name, code="invalid_type")
        if not low <= value <= high:
            side = ("below_min", low, ">=") if value < low else ("above_max", high, "<=")
            message = (
                f"Invalid '{name}': expected a value {side[2]} {side[1]}, but got {value} instead."
            )
            code = f"{'integer' if isinstance(value, int) else 'decimal'}_{side[0]}_value"
            raise ApiError(400, message, param=name, code=code)


def effort_of(body: Json, asked: object, param: str) -> str:
    """The effort that holds: the one asked for if the model takes it, else the model's own.

    Raises 400 `unsupported_value` for an effort that the model lacks, and for a sampling parameter
    that differs from its default while the model reasons.
    """
    model = str(body.get("model", ""))
    family = row(model)
    effort = family.default_effort if asked is None else str(asked)
    if asked is not None:
        _check_effort(family, effort, param)
    if family.efforts and effort != "none":
        _check_sampling(body)
    return effort


def _check_effort(family: Row, effort: str, param: str) -> None:
    if not family.efforts:
        message = f"Unsupported parameter: '{param}' is not supported with this model."
        raise ApiError(400, message, param=param, code="unsupported_parameter")
    if effort not in family.efforts:
        listed = ", ".join(f"'{e}'" for e in family.efforts)
        raise ApiError(
            400,
            f"Unsupported value: '{effort}' is not supported with this model."
            f" Supported values are: {listed}.",
            param=param,
            code="unsupported_value",
        )


def _check_sampling(body: Json) -> None:
    for name, only in SAMPLING.items():
        value = body.get(name)
        if value is not None and value != only:
            raise ApiError(
                400,
                f"Unsupported value: '{name}' does not support {value} with this model."
                f" Only the default ({only}) value is supported.",
                param=name,
                code="unsupported_value",
            )
