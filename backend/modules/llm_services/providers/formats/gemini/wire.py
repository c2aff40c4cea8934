"""What Google's answers have in common: the parts that we read, and tokens by the subset rule."""

from collections.abc import Sequence

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from modules.llm_services.providers.formats.base import Count, Wire
from modules.llm_services.types import JsonObject, Usage


class GoogleWire(Wire):
    """Base of the parts: their names are written in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class _Modality(GoogleWire):
    modality: str | None = None
    token_count: Count = 0


class UsageMetadata(GoogleWire):
    """Tokens as Google counts them: thoughts stand beside the candidates' tokens, what came from
    the cache is inside the prompt's, and a count that is zero is left out. What a search brought
    (``toolUsePromptTokenCount``) is paid for by the search.
    """

    prompt_token_count: Count | None = None
    candidates_token_count: Count = 0
    thoughts_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    prompt_tokens_details: tuple[_Modality, ...] = ()
    candidates_tokens_details: tuple[_Modality, ...] = ()


class Blob(GoogleWire):
    """Bytes in base64."""

    mime_type: str = ""
    data: str = ""


class FunctionCall(GoogleWire):
    """A tool that the model asks to have called."""

    name: str
    id: str | None = None
    args: JsonObject | None = None


class Part(GoogleWire):
    """A piece of an answer; of a ``thought`` there may be a summary."""

    text: str = ""
    thought: bool = False
    function_call: FunctionCall | None = None
    inline_data: Blob | None = None


class Content(GoogleWire):
    """The pieces of an answer."""

    parts: tuple[Part, ...] = ()


class Candidate(GoogleWire):
    """One answer; the only one, for we never ask for more."""

    content: Content = Content()
    finish_reason: str | None = None


class PromptFeedback(GoogleWire):
    """Why a prompt was not answered."""

    block_reason: str | None = None


class GenerateContentResponse(GoogleWire):
    """What ``generateContent`` answers, whole or as one piece of a stream."""

    candidates: tuple[Candidate, ...] = ()
    prompt_feedback: PromptFeedback = PromptFeedback()
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None


def usage_of(told: UsageMetadata | None) -> Usage | None:
    """Tokens by the subset rule; ``None`` when none were counted."""
    if told is None or told.prompt_token_count is None:
        return None
    return Usage(
        prompt_tokens=told.prompt_token_count,
        completion_tokens=told.candidates_token_count + (told.thoughts_token_count or 0),
        cache_read_tokens=told.cached_content_token_count,
        reasoning_tokens=told.thoughts_token_count,
        image_input_tokens=_of("IMAGE", told.prompt_tokens_details),
        image_output_tokens=_of("IMAGE", told.candidates_tokens_details),
        audio_input_tokens=_of("AUDIO", told.prompt_tokens_details),
    )


def _of(modality: str, details: Sequence[_Modality]) -> int | None:
    counts = [one.token_count for one in details if one.modality == modality]
    return sum(counts) if counts else None
